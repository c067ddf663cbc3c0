# SPDX-License-Identifier: Apache-2.0
"""Everything that is refused, denied or cut off is told: who, from where, what and why."""

import ssl

import pytest

import mqtt
from gateway import wait_until
from mqtt import V311, V5, Client
from told import authority, leaf, name
from transport import TlsWire

SETTINGS = ["events.rate-per-source=100000", "broker.connect-timeout=500ms", "listener.open.max-packet=1K"]
LISTENERS = ["open tls=off auth=anonymous", "plain tls=off auth=password", "strict auth=certificate", "any auth=any",
             "one tls=off auth=anonymous max-connections=1", "named client-id=device",
             "elsewhere tls=off auth=anonymous allow-from=192.0.2.0/24"]
RULES = [("allow", "any", "all", "t/#"), ("deny", "any", "publish", "t/secret/#")]
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def pump(gateway):
    bundle = gateway.bundle("pump")
    gateway.cli("device", "set", "pump", "--password", input=f"{PASSWORD}\n")
    return bundle


@pytest.fixture(scope="module")
def rules(gateway):
    """{(effect, filter): number}"""
    return {(r["effect"], r["filter"]): r["id"] for r in gateway.json("acl", "list")}


def attempt(connect):
    """connect() and whatever the server makes of it."""
    try:
        with connect() as c:
            c.send(mqtt.connect(name(), V5))
            c.expect_closed()
    except (ssl.SSLError, ConnectionResetError):
        pass


def test_connected_and_disconnected(gateway, events, pump):
    def act():
        c = Client.tls(gateway.listeners["any"], V5, bundle=pump)
        c.connect("shown", keep_alive=30)
        c.publish("t/x", "y", 1)
        c.disconnect()

    e = events.expect(act, "client.connected", client_id="shown")
    assert e["device"] == "pump" and e["listener"] == "any" and e["severity"] == "info"
    assert e["address"].startswith("127.0.0.1:") and e["protocol"] == "MQTT 5.0" and e["tls"] == "TLS1.3"
    assert e["keep_alive"] == 30 and e["clean_start"] is True and e["session_present"] is False
    e = events.expect(act, "client.disconnected", client_id="shown", reason="the client disconnected")
    assert e["messages_received"] == 1 and e["messages_sent"] == 0
    assert e["bytes_received"] > 20 and e["duration_ms"] >= 0


@pytest.mark.parametrize("how, reason", [
    ("close", "the client closed the connection"), ("reset", "onnection"), ("malformed", "Malformed Packet"),
    ("too large", "Packet too large"), ("keep alive", "keep alive")])
def test_why_it_was_disconnected(dial, events, how, reason):
    who = name()

    def act():
        c = dial(V5)
        c.connect(who, keep_alive=1 if how == "keep alive" else 60)
        if how == "close":
            c.close()
        elif how == "reset":
            c.reset()
        elif how == "malformed":
            c.send(b"\xc1\x00")
        elif how == "too large":
            c.send(mqtt.publish("t/x", "x" * 2000, version=V5))

    assert reason in events.expect(act, "client.disconnected", client_id=who)["reason"]


def test_taken_over(dial, events):
    who = name()

    def act():
        for _ in range(2):
            dial(V5).connect(who)

    e = events.expect(act, "client.taken-over", client_id=who)
    assert e["severity"] == "notice" and e["by"].startswith("127.0.0.1:")


def test_kicked(gateway, dial, events):
    who = name()

    def act():
        c = dial(V5)
        c.connect(who)
        c.ping()
        gateway_sees(gateway, who)
        gateway.cli("client", "remove", who)
        c.expect_disconnect(0x98)

    assert events.expect(act, "client.kicked", client_id=who)["listener"] == "open"


def gateway_sees(gateway, who):
    wait_until(lambda: who in [c["client_id"] for c in gateway.json("client", "list")], what=f"{who} in the list")


LOGINS = [("plain", {"username": "pump", "password": "wrong"}, "wrong user name or password"),
          ("plain", {"username": "ghost", "password": PASSWORD}, "wrong user name or password"),
          ("plain", {}, "no user name and password")]


@pytest.mark.parametrize("listener, options, reason", LOGINS, ids=["password", "unknown", "nothing"])
def test_login_refused(gateway, dial, events, pump, listener, options, reason):
    who = name()
    e = events.expect(lambda: dial(V311, listener=listener).connect(who, refused=4, **options), "login.refused",
                      client_id=who)
    assert e["reason"] == reason and e["listener"] == listener and e["severity"] == "warning"
    assert e["actor"] == options.get("username") and e["address"].startswith("127.0.0.1:")
    assert "wrong\"" not in str(e) and PASSWORD not in gateway.log_text()


def test_foreign_session(gateway, dial, events, pump):
    who = name()
    owner = Client.tls(gateway.listeners["any"], V5, bundle=pump)
    owner.connect(who)
    e = events.expect(lambda: dial(V5).connect(who, refused=0x85), "login.refused", client_id=who)
    assert "another device's session" in e["reason"]
    owner.close()


def test_client_identifier_is_not_the_devices(gateway, events, pump):
    def act():
        with Client.tls(gateway.listeners["named"], V5, bundle=pump) as c:
            c.connect("panel", refused=0x85)

    e = events.expect(act, "login.refused", client_id="panel")
    assert "not the device's name" in e["reason"] and e["listener"] == "named"


def test_no_connect_in_time(dial, events):
    e = events.expect(lambda: dial(V5).expect_closed(), "login.refused", reason="no CONNECT in time")
    assert e["listener"] == "open"


# -- handshakes

def test_no_certificate(gateway, events):
    e = events.expect(lambda: attempt(lambda: Client.tls(gateway.listeners["strict"], V5, ca=gateway.root_ca)),
                      "handshake.refused", listener="strict")
    assert "certificate" in e["reason"] and e["address"].startswith("127.0.0.1:")


def test_unknown_ca(gateway, events, tmp_path):
    authority(tmp_path, "ca", "/CN=Stranger CA")
    leaf(tmp_path, "intruder", "ca", "extendedKeyUsage=clientAuth")
    e = events.expect(lambda: attempt(lambda: Client.tls(
        gateway.listeners["any"], V5, ca=gateway.root_ca, cert=tmp_path / "intruder.crt",
        key=tmp_path / "intruder.key")), "handshake.refused", listener="any")
    assert "intruder" in e["subject"] and "Stranger CA" in e["issuer"] and e["serial"]
    assert e["reason"] == "unknown-ca"


def test_revoked(gateway, events):
    bundle = gateway.bundle("doomed")
    gateway.cli("cert", "revoke", "--device", "doomed")
    e = events.expect(lambda: attempt(lambda: Client.tls(gateway.listeners["any"], V5, bundle=bundle)),
                      "handshake.refused", device="doomed")
    assert "revoked" in e["reason"] and "doomed" in e["subject"] and e["serial"]


def test_disabled(gateway, events):
    bundle = gateway.bundle("asleep")
    gateway.cli("device", "set", "asleep", "--disabled")
    e = events.expect(lambda: attempt(lambda: Client.tls(gateway.listeners["any"], V5, bundle=bundle)),
                      "handshake.refused", device="asleep")
    assert "disabled" in e["reason"]


def test_not_tls(dial, events):
    def act():
        c = dial(V5, listener="any")
        c.send(mqtt.connect(name(), V5))
        while c.wire.receive(mqtt.time.monotonic() + mqtt.PATIENCE):
            pass

    assert events.expect(act, "handshake.refused", listener="any", subject=None)["reason"]


def test_handshake_too_slow(dial, events):
    e = events.expect(lambda: dial(V5, listener="strict").expect_closed(), "handshake.refused", listener="strict",
                      subject=None)
    assert e["reason"]


def test_server_certificate_not_trusted_by_the_client(gateway, events, tmp_path):
    authority(tmp_path, "ca", "/CN=Other")

    def act():
        with pytest.raises(ssl.SSLError):
            TlsWire(gateway.listeners["any"], ca=tmp_path / "ca.crt")

    assert events.expect(act, "handshake.refused", listener="any")["reason"]


# -- access rules

def test_publish_denied_by_a_rule(gateway, events, rules, pump):
    def act():
        with Client.tls(gateway.listeners["any"], V5, bundle=pump) as c:
            c.connect("denied")
            assert c.publish("t/secret/x", "x", 1) == 0x87

    e = events.expect(act, "acl.denied", client_id="denied")
    assert (e["device"], e["action"], e["topic"]) == ("pump", "publish", "t/secret/x")
    assert e["rule"] == rules["deny", "t/secret/#"] and e["address"].startswith("127.0.0.1:")
    assert e["severity"] == "warning" and e["listener"] == "any"


@pytest.mark.parametrize("action, topic", [("publish", "out/x"), ("subscribe", "#"), ("subscribe", "out/+")])
def test_denied_because_no_rule_allows_it(dial, events, action, topic):
    who = name()

    def act():
        c = dial(V5)
        c.connect(who)
        if action == "publish":
            c.publish(topic, "x", 1)
        else:
            c.subscribe(topic, check=False)
        c.close()

    e = events.expect(act, "acl.denied", client_id=who)
    assert (e["action"], e["topic"], e["rule"]) == (action, topic, 0)


def test_will_denied(dial, events):
    who = name()

    def act():
        c = dial(V5)
        c.connect(who, will=("elsewhere", "x", 0, False))
        c.reset()

    e = events.expect(act, "acl.denied", client_id=who)
    assert e["topic"] == "elsewhere" and e["will"] is True


# -- the protocol

@pytest.mark.parametrize("bad, packet", [
    (mqtt.pingreq(flags=1), "PINGREQ"), (mqtt.publish("a/#", "", version=V5), "PUBLISH"),
    (mqtt.subscribe(0, [("a", 0)], V5), "SUBSCRIBE"), (mqtt.connect("x", V5), "CONNECT")])
def test_malformed_packet(dial, events, bad, packet):
    who = name()

    def act():
        c = dial(V5)
        c.connect(who)
        c.send(bad)
        c.expect_closed()

    assert events.expect(act, "packet.malformed", client_id=who)["packet"] == packet


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", mqtt.packet(mqtt.CONNECT, 0, b"\0\4MQTT\4\x03\0\0\0\1x")],
                         ids=["not MQTT", "CONNECT"])
def test_malformed_beginning(dial, events, first):
    def act():
        c = dial(V5)
        c.send(first)
        c.expect_closed()

    packet = "CONNECT" if first[0] == 0x10 else "not MQTT"
    assert events.expect(act, "packet.malformed", packet=packet)["address"].startswith("127.0.0.1:")


def test_packet_too_large(dial, events):
    who = name()

    def act():
        c = dial(V5)
        c.connect(who)
        c.send(mqtt.publish("t/x", "x" * 2000, version=V5))
        c.expect_disconnect(0x95)

    assert events.expect(act, "packet.too-large", client_id=who)["severity"] == "warning"


def test_too_many_connections(dial, events):
    c = dial(V5, listener="one")
    c.connect(name())
    e = events.expect(lambda: dial(V5, listener="one").expect_closed(), "limit.reached", listener="one")
    assert "connections" in e["reason"] and e["address"].startswith("127.0.0.1:")


def test_a_burst_is_counted(dial, events):
    """Hundreds of refusals in a second: some are written, the rest is told as a number."""
    c = dial(V5)
    c.connect(name())
    start = len(events.seen)

    def counted():
        c.send(*[mqtt.publish("elsewhere", "x", version=V5)] * 1000)
        c.ping()
        return [e for e in events.seen[start:] if e["event"] == "acl.denied" and e["detail"].get("suppressed")]

    told = wait_until(counted, what="an event with the number of those that were left out")
    assert told[0]["detail"]["suppressed"] > 500
