# SPDX-License-Identifier: Apache-2.0
"""Certificates that end: what on-expiry lets them do, and how device and people hear of it. The registry
of a stopped gateway is told another life than the certificate states, as the broker judges by it."""

import sqlite3
import ssl
import time

import pytest

import mqtt
from gateway import Gateway, wait_until
from mqtt import V5, V311, Client

DAY = 24 * 3600


def live(gw, device, ago, left):
    """While it is stopped: the certificate began so many seconds ago and ends in so many."""
    now = int(time.time())
    with sqlite3.connect(f"{gw.state}/store/registry.db") as db:
        db.execute("UPDATE cert SET not_before = ?, not_after = ? WHERE name = ?", (now - ago, now + left, device))
    db.close()


@pytest.fixture
def gateway_with(request):
    """gateway_with(life, *settings): a gateway whose pump-1 has this life, and its bundle."""
    made = []

    def make(ago, left, *settings):
        gw = Gateway(set=settings)
        made.append(gw)
        bundle = gw.bundle("pump-1")
        gw.cli("acl", "allow", "any", "all", "$gw/pki/renew")
        gw.stop()
        live(gw, "pump-1", ago, left)
        gw.start()
        return gw, bundle

    yield make
    for gw in made:
        gw.close()


def opened(gw, bundle, version=V5, **options):
    c = Client.tls(gw.mqtts, version, bundle=bundle)
    c.connect("", **options)
    return c


@pytest.mark.parametrize("setting, left, allowed", [
    ("grace", -2 * 3600, True), ("disconnect", -5, False), ("keep", -400 * DAY, True)])
def test_logins_after_the_end(gateway_with, setting, left, allowed):
    gw, bundle = gateway_with(500 * DAY, left, f"broker.on-expiry={setting}")
    if allowed:
        opened(gw, bundle).close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError, mqtt.Wrong)):
            opened(gw, bundle)
        refused = wait_until(lambda: gw.json("event", "list", "--name", "handshake.refused"), what="the event")
        assert refused[-1]["reason"] == "expired"


def test_the_grace_ends(gateway_with):
    gw, bundle = gateway_with(500 * DAY, -2 * 3600, "broker.expiry-grace=1h")
    with pytest.raises((ssl.SSLError, ConnectionError, mqtt.Wrong)):
        opened(gw, bundle)


def test_a_live_session_is_closed_at_the_end(gateway_with):
    gw, bundle = gateway_with(100, 4, "broker.on-expiry=disconnect")
    c = opened(gw, bundle)
    packets = c.expect_closed()
    assert [(p.kind, p.reason) for p in packets] == [(mqtt.DISCONNECT, 0x98)]
    gone = wait_until(lambda: gw.json("event", "list", "--name", "client.disconnected"), what="the event")
    assert gone[-1]["reason"] == "the certificate expired"


def test_the_setting_acts_on_live_sessions(gateway_with):
    gw, bundle = gateway_with(500 * DAY, -2 * 3600)
    c = opened(gw, bundle)
    gw.cli("config", "set", "broker.on-expiry", "disconnect")
    assert [p.reason for p in c.expect_closed()] == [0x98]
    gw.cli("config", "set", "broker.on-expiry", "keep")
    wait_until(lambda: is_open(gw, bundle), what="the setting")


def is_open(gw, bundle):
    try:
        opened(gw, bundle).close()
    except (ssl.SSLError, ConnectionError, mqtt.Wrong):
        return False
    return True


@pytest.mark.parametrize("ago, left, told", [(10 * DAY, 90 * DAY, False), (70 * DAY, 30 * DAY, True),
                                             (100 * DAY, -3600, True)])
def test_connack_tells_when_it_is_time(gateway_with, ago, left, told):
    gw, bundle = gateway_with(ago, left)
    c = opened(gw, bundle)
    properties = c.connack.props.get("user_property", [])
    if told:
        (name, value), = properties
        ends = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + left))
        assert name == "cert-expires" and value[:13] == ends[:13]
    else:
        assert not properties
    c.close()
    opened(gw, bundle, V311).close()
    tight = Client.tls(gw.mqtts, V5, bundle=bundle)  # no room for it
    tight.connect("tight", props=[("maximum_packet_size", 30)])
    tight.close()


def test_events_name_the_device(gateway_with):
    gw, _ = gateway_with(70 * DAY, 30 * DAY)
    events = wait_until(lambda: gw.json("event", "list", "--name", "certificate.expiring"), what="the event")
    assert [(e["device"], e["detail"]["percent"]) for e in events] == [("pump-1", 70)]
    gw.restart()
    time_of_first_look = wait_until(lambda: gw.json("cert", "list"), what="the gateway")
    assert time_of_first_look and len(gw.json("event", "list", "--name", "certificate.expiring")) == 1
