# SPDX-License-Identifier: Apache-2.0
"""Small helpers for the tests of what carries MQTT: proxies, ports, TLS clients."""

import itertools

import pytest

from gateway import Gateway

OPEN_RULES = [("allow", "any", "all", "#")]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(request):
    """A gateway with the SETTINGS and LISTENERS of the file; everyone may do everything."""
    module = request.module
    with Gateway(set=getattr(module, "SETTINGS", []), listeners=getattr(module, "LISTENERS", [])) as gw:
        for rule in OPEN_RULES:
            gw.cli("acl", *rule)
        yield gw


def name():
    """A client identifier that no other test has."""
    return f"c{next(_numbers)}"
