# SPDX-License-Identifier: Apache-2.0
"""A gateway with an administrator of each level."""

import pytest

from api import Api

PASSWORD = "a long enough secret"


def add_people(gateway):
    for level in ("viewer", "operator", "admin"):
        gateway.cli("admin", "add", level, level, input=PASSWORD + "\n")
    return gateway


@pytest.fixture(scope="module")
def gw(gateway):
    return add_people(gateway)


@pytest.fixture
def stranger(gw):
    return Api(gw.admin, gw.root_ca)


@pytest.fixture
def login(gw):
    """login("viewer"): a caller with a session of its own."""

    def log_in(name):
        who = Api(gw.admin, gw.root_ca)
        who.login(name, PASSWORD)
        return who

    return log_in
