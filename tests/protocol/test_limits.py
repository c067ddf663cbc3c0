# SPDX-License-Identifier: Apache-2.0
"""Bounds on what one client may send, keep and make the broker keep."""

import contextlib
import os
import pathlib

import pytest

import mqtt
from gateway import wait_until
from mqtt import PUBACK, PUBLISH, V311, V5
from told import OPEN, name

states = pytest.mark.states

KEPT = {"clean": False, "props": {"session_expiry": 300}}
SETTINGS = [
    "broker.max-packet=64K", "listener.open.max-packet=4096", "broker.max-payload=2048",
    "broker.max-queued-messages=50", "broker.max-inflight=10", "broker.max-output-bytes=64K",
    "broker.max-subscriptions=20", "broker.max-topic-levels=8", "broker.max-topic-length=200",
    "listener.few.max-connections=3", "broker.max-session-expiry=1h",
]
LISTENERS = [OPEN, "wide tls=off auth=anonymous", "few tls=off auth=anonymous",
             "elsewhere tls=off auth=anonymous allow-from=192.0.2.0/24"]


def events(gateway, kind, count=1):
    """Waits until there are so many events of this name that this test has not seen."""
    def enough():
        found = gateway.json("event", "list", "--name", kind)
        return found if len(found) >= count else None
    return wait_until(enough, what=f"{count} events {kind}")


# -- packets

def sized(total, version):
    """A PUBLISH of so many bytes in all."""
    start = len(mqtt.publish("a", "", version=version)) + 1
    p = mqtt.publish("a", "x" * (total - start), version=version)
    return p if len(p) == total else mqtt.publish("a", "x" * (total - start + 1), version=version)


@states("v5 3.2.2-15")
def test_largest_packet(join, version):
    c = join(version)
    if version == V5:
        assert c.connack.props["maximum_packet_size"] == 4096
    c.send(mqtt.publish("a", "x" * 2000, version=version, props={"content_type": "y" * 2000} if version == V5 else ()))
    c.ping()
    c.send(sized(4096, version)[:4096], mqtt.pingreq())
    c.expect(mqtt.PINGRESP)
    c.send(sized(4097, version))
    c.expect_disconnect(0x95)


@pytest.mark.parametrize("length", [4095, 100000, 268435455])
def test_the_header_is_enough_to_refuse(join, version, length):
    """The body is not waited for."""
    c = join(version)
    c.send(mqtt.packet(PUBLISH, 0, b"", length=length))
    c.expect_disconnect(0x95)


@pytest.mark.parametrize("length", [4095, 268435455])
def test_connect_too_large(dial, version, length):
    c = dial(version)
    c.send(mqtt.packet(mqtt.CONNECT, 0, b"\0\4MQTT" + bytes([version]), length=length))
    answer = c.expect_closed()
    assert all(p.kind == mqtt.CONNACK and p.reason == 0x95 for p in answer)
    if version == V311:
        assert answer == []


def test_a_listener_may_take_more(join):
    c = join(V5, listener="wide")
    assert c.connack.props["maximum_packet_size"] == 1 << 16
    c.send(mqtt.publish("a", "", version=V5, props={"user_property": [("k", "v" * 1000)] * 40}))
    c.ping()


def test_payload_too_large_is_refused_and_the_connection_lives(join, topic):
    watcher = join(V5, listener="wide")
    watcher.subscribe(topic, qos=2)
    c = join(V5)
    assert c.publish(topic, "x" * 2049, 1) == 0x97
    assert c.publish(topic, "x" * 2049, 2) == 0x97
    c.publish(topic, "x" * 2049, 0)
    old = join(V311)
    old.publish(topic, "x" * 2049, 1)  # acknowledged and dropped
    assert c.publish(topic, "x" * 2048, 1) == 0
    assert len(watcher.message().payload) == 2048
    watcher.ping()


# -- receive maximum of the broker

@states("v5 3.3.4-7", "v5 4.9.0-2")
def test_receive_maximum_of_the_server(join, topic):
    c = join(V5)
    most = c.connack.props["receive_maximum"]
    assert most == 10
    c.send(*[mqtt.publish(topic, "x", 2, i + 1, V5) for i in range(most)])
    for i in range(most):
        assert c.expect(mqtt.PUBREC).packet_id == i + 1
    c.send(mqtt.publish(topic, "x", 2, 1, V5, dup=True))  # the same one again is not one more
    assert c.expect(mqtt.PUBREC).packet_id == 1
    c.send(mqtt.publish(topic, "x", 2, most + 1, V5))
    c.expect_disconnect(0x93)


def test_who_is_told_no_receive_maximum_may_send_more(join, topic):
    """In 3.1.1 there is none, and libraries send whatever they have; it has an end all the same."""
    c = join(V311)
    most = 4096
    c.send(*[mqtt.publish(topic, "x", 2, i + 1) for i in range(most)])
    for i in range(most):
        assert c.expect(mqtt.PUBREC).packet_id == i + 1
    c.send(*[mqtt.ack(mqtt.PUBREL, i + 1) for i in range(most)])
    for i in range(most):
        assert c.expect(mqtt.PUBCOMP).packet_id == i + 1
    c.send(*[mqtt.publish(topic, "x", 2, i + 1) for i in range(most + 1)])
    assert len(c.expect_closed()) <= most


def test_receive_maximum_frees_places(join, topic):
    c = join(V5)
    for i in range(100):
        assert c.publish(topic, "x", 2) in (0x00, 0x10)


def test_window_to_a_client_without_receive_maximum(join, version, topic):
    """In 3.1.1, and in 5.0 where the client allows 65535, the broker's own bound holds."""
    c = join(version)
    c.subscribe(topic, qos=1)
    p = join(V5)
    for i in range(30):
        p.publish(topic, str(i), 1)
    got = []
    while len(got) < 30:
        batch = c.messages(10, acknowledge=False)
        c.ping()
        for m in batch:
            c.send(mqtt.ack(PUBACK, m.packet_id))
        got += [m.payload for m in batch]
    assert got == [b"%d" % i for i in range(30)]


# -- what waits

def test_queue_of_a_client_that_is_away(dial, join, topic):
    who = name()
    c = dial(V5)
    c.connect(who, **KEPT)
    c.subscribe(topic, qos=1)
    c.disconnect()
    p = join(V5)
    for i in range(200):
        p.publish(topic, str(i), 1)
    c = dial(V5)
    c.connect(who, **KEPT)
    p.publish(topic, "end", 1)
    got = []
    while not got or got[-1] != b"end":
        got.append(c.message().payload)
    numbers = [int(x) for x in got[:-1]]
    assert 0 < len(numbers) <= 60
    assert numbers == sorted(set(numbers))


def test_a_slow_reader_does_not_hold_others_up(join, dial, topic):
    """It stops reading: messages of QoS 0 for it are dropped, everyone else gets all of them."""
    slow = dial(V5, receive_buffer=4096)
    slow.connect(name())
    slow.subscribe(f"{topic}/#")
    good = join(V5)
    good.subscribe(f"{topic}/#")
    p = join(V5)
    n = 4000
    for i in range(n):
        p.send(mqtt.publish(f"{topic}/{i}", "x" * 1500, version=V5))
        assert good.message().topic == f"{topic}/{i}"
    p.publish(f"{topic}/last", "x", 1)
    good.message()
    got = 0
    while True:
        m = slow.receive(30)
        got += 1
        if m.topic == f"{topic}/last":
            break
        if got % 100 == 0:
            p.publish(f"{topic}/last", "x")
    assert got < n


def test_a_slow_reader_of_qos_1_loses_nothing_within_its_queue(dial, join, topic):
    slow = dial(V5, receive_buffer=4096)
    slow.connect(name(), **KEPT)
    slow.subscribe(topic, qos=1)
    p = join(V5)
    for i in range(40):
        p.publish(topic, b"%d " % i + b"x" * 2000, 1)
    assert [int(m.payload.split()[0]) for m in slow.messages(40)] == list(range(40))


def test_a_client_that_never_reads_its_acknowledgements(dial, topic):
    """The broker stops reading from it rather than to collect answers without bound."""
    c = dial(V5, receive_buffer=4096)
    c.connect(name())
    chunk = mqtt.pingreq() * 30000
    sent = 0
    while sent < 200 << 20:
        if not mqtt.select.select([], [c.wire.socket], [], 1)[1]:
            break
        sent += c.wire.send_some(chunk)
    assert sent < 200 << 20


# -- subscriptions and topics

def test_number_of_subscriptions(join, version, topic):
    c = join(version)
    codes = c.subscribe(*[f"{topic}/{i}" for i in range(25)], check=False)
    assert codes == [0] * 20 + [0x97 if version == V5 else 0x80] * 5
    assert c.subscribe(f"{topic}/3", qos=1) == [1]  # one that is there may be replaced
    c.unsubscribe(f"{topic}/0")
    assert c.subscribe(f"{topic}/new") == [0]


@pytest.mark.parametrize("bad", ["/".join("abcdefghi"), "x" * 201, "+/" * 8 + "#"])
def test_filter_beyond_the_limits(join, version, bad):
    assert join(version).subscribe(bad, check=False) == [0x8F if version == V5 else 0x80]


@pytest.mark.parametrize("good", ["/".join("abcdefgh"), "x" * 200])
def test_topic_at_the_limits(join, version, good):
    c = join(version)
    c.subscribe(good)
    c.publish(good, "x")
    assert c.message().topic == good


@pytest.mark.parametrize("bad", ["/".join("abcdefghi"), "x" * 201])
def test_topic_beyond_the_limits(join, version, bad):
    """5.0 can say so; 3.1.1 closes."""
    c = join(version)
    c.send(mqtt.publish(bad, "x", 1, 1, version))
    answer = c._packet(mqtt.time.monotonic() + mqtt.PATIENCE)
    if version == V5:
        assert answer.reason == 0x90
    else:
        assert answer is None or answer.kind == PUBACK


# -- connections

def test_connections_of_a_listener(dial):
    clients = [dial(V5, listener="few") for _ in range(3)]
    for c in clients:
        c.connect(name())
    more = dial(V5, listener="few")
    more.send(mqtt.connect(name(), V5))
    assert more.expect_closed() == []
    clients[0].disconnect()

    def again():
        c = dial(V5, listener="few")
        c.send(mqtt.connect(name(), V5))
        return c._packet(mqtt.time.monotonic() + mqtt.PATIENCE) is not None

    wait_until(again, what="a free place")


def test_allow_from(dial):
    # Peers from elsewhere are reset, which may come before or after our CONNECT is on its way.
    with contextlib.suppress(ConnectionError):
        c = dial(V5, listener="elsewhere")
        c.send(mqtt.connect(name(), V5))
        assert c.expect_closed() == []


def test_longest_session_expiry(dial):
    c = dial(V5)
    assert c.connect(name(), props={"session_expiry": 3601}).props["session_expiry"] == 3600
    assert "session_expiry" not in dial(V5).connect(name(), props={"session_expiry": 3600}).props


def test_events_of_the_limits(gateway, join, topic):
    c = join(V5)
    c.send(sized(5000, V5))
    c.expect_disconnect(0x95)
    join(V5).publish(topic, "x" * 3000, 1)
    assert any(e["address"] for e in events(gateway, "packet.too-large"))
    assert any("max-payload" in e["reason"] for e in events(gateway, "limit.reached"))


def tcp_timer(port, peer_port):
    """What the kernel waits for on the broker's side of a connection: kind and seconds left."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ours, theirs = (int(x.split(":")[1], 16) for x in fields[1:3])
        if (ours, theirs) == (port, peer_port):
            kind, ticks = fields[5].split(":")
            return int(kind), int(ticks, 16) / os.sysconf("SC_CLK_TCK")
    raise AssertionError("no such connection")


@pytest.mark.parametrize("keep_alive, probed", [(0, True), (65535, True), (3600, False)])
def test_longest_keep_alive_of_who_cannot_be_told(gateway, dial, keep_alive, probed):
    """3.1.1 with no keep alive, or a longer one than max-keep-alive: TCP finds out who is dead."""
    c = dial(V311)
    c.connect(name(), keep_alive=keep_alive)
    ports = gateway.listeners["open"], c.wire.socket.getsockname()[1]
    wait_until(lambda: tcp_timer(*ports)[0] in (0, 2), what="the client's TCP to acknowledge CONNACK")
    kind, left = tcp_timer(*ports)
    assert kind == (2 if probed else 0)
    assert not probed or 3400 < left <= 3601
