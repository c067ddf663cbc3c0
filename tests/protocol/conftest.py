# SPDX-License-Identifier: Apache-2.0
"""One gateway for each file of protocol tests, and connections to it.

A file may set SETTINGS (section.key=value), LISTENERS (see tests/throwaway) and RULES (words of
`gatehouse acl`). Without them there is a listener `open`, plain TCP without login, and everyone may
do everything: the standard alone is tested.
"""

import pytest

import mqtt
from gateway import Gateway
from told import OPEN, Events, name

EVERYTHING = [("allow", "any", "all", "#"), ("allow", "any", "all", "$x/#")]


@pytest.fixture(scope="module")
def gateway(request):
    module = request.module
    with Gateway(set=getattr(module, "SETTINGS", []), listeners=getattr(module, "LISTENERS", [OPEN])) as gw:
        for rule in getattr(module, "RULES", EVERYTHING):
            gw.cli("acl", *rule)
        yield gw


@pytest.fixture(params=[mqtt.V311, mqtt.V5], ids=["3.1.1", "5.0"])
def version(request):
    return request.param


@pytest.fixture
def dial(gateway):
    """dial(version, listener="open", **options of transport.TcpWire): a connection before CONNECT."""
    clients = []

    def dial(version=mqtt.V5, listener="open", **options):
        clients.append(mqtt.Client.tcp(gateway.listeners[listener], version, **options))
        return clients[-1]

    yield dial
    for c in clients:
        c.close()


@pytest.fixture
def join(dial):
    """join(version, client_id=None, **options of mqtt.connect): a connection with its CONNACK."""
    def join(version=mqtt.V5, client_id=None, listener="open", **options):
        c = dial(version, listener)
        c.connect(name() if client_id is None else client_id, **options)
        return c

    return join


@pytest.fixture
def topic():
    """A topic that no other test has."""
    return f"t/{name()}"


@pytest.fixture(scope="module")
def events(gateway):
    stream = Events(gateway)
    yield stream
    stream.close()
