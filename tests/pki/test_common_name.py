# SPDX-License-Identifier: Apache-2.0
"""Rules with ${cn}: they hold for clients that were there, or away, when the rule was added."""

import pytest

from mqtt import V5, Client

MINE = "x/${cn}/#"
NOT_AUTHORIZED = 0x87


@pytest.fixture
def gw(make_gateway):
    return make_gateway()


def connect(gw, bundle, **options):
    client = Client.tls(gw.mqtts, V5, ca=bundle / "ca.crt", cert=bundle / "device.crt",
                        key=bundle / "device.key")
    client.connect("pump-1", **options)
    return client


def test_a_client_that_is_connected(gw):
    with connect(gw, gw.bundle("pump-1")) as pump:
        assert pump.publish("x/pump-1/a", qos=1) == NOT_AUTHORIZED
        gw.cli("acl", "allow", "device:pump-1", "publish", MINE)
        assert pump.publish("x/pump-1/a", qos=1) < 0x80
        assert pump.publish("x/pump-2/a", qos=1) == NOT_AUTHORIZED


def test_a_client_that_is_away(gw):
    bundle = gw.bundle("pump-1")
    stays = {"clean": False, "props": {"session_expiry": 100}}
    gw.cli("acl", "allow", "device:pump-1", "all", "x/#")
    with connect(gw, bundle, **stays) as pump:
        pump.subscribe("x/pump-1/a")
    gw.cli("acl", "remove", "1")
    gw.cli("acl", "allow", "device:pump-1", "all", MINE)
    with connect(gw, bundle, **stays) as pump:
        assert pump.connack.session_present
        pump.publish("x/pump-1/a", b"back")
        assert pump.message().payload == b"back"
