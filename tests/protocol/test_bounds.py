# SPDX-License-Identifier: Apache-2.0
"""Every bound: what reaches it is counted under the name of its setting, in status and in the metrics,
and told in an event. What becomes of the client or message is in test_limits.py and its like."""

import contextlib

import pytest

import mqtt
from gateway import wait_until
from mqtt import V5, Client
from told import OPEN, PASSWORD, ROBOT, name

SETTINGS = [
    "broker.workers=1", "broker.connect-timeout=500ms", "broker.max-packet=64K", "broker.max-payload=2000",
    "broker.max-topic-length=100", "broker.max-topic-levels=4", "broker.max-subscriptions=3", "broker.max-inflight=5",
    "broker.max-connections=12", "broker.max-connections-per-address=8", "broker.max-connections-per-device=8",
    "broker.max-sessions=12", "broker.max-half-open=5", "broker.max-half-open-per-address=4",
    "broker.max-retained-messages=3", "broker.max-retained-bytes=4K", "broker.max-queued-messages=5",
    "broker.max-queued-bytes=64K", "broker.max-output-bytes=64K", "broker.handshake-rate=2",
    "broker.handshake-rate-per-address=1", "broker.pre-connect-memory=64K", "broker.publish-rate-per-device=0",
    "broker.publish-bytes-per-device=0",
]
LISTENERS = [OPEN, "secure auth=any", "password tls=off auth=password", "few tls=off auth=anonymous max-connections=1"]
KEPT = {"clean": False, "props": {"session_expiry": 300}}


def large_packet(t):
    t.join().send(mqtt.packet(mqtt.PUBLISH, 0, b"", length=100000))


def large_payload(t):
    t.join().send(mqtt.publish("a", "x" * 2001, version=V5))


def long_topic(t):
    t.join().send(mqtt.publish("x" * 101, "", version=V5))


def deep_topic(t):
    t.join().subscribe("a/b/c/d/e", check=False)


def many_subscriptions(t):
    t.join().subscribe("1", "2", "3", "4", check=False)


def many_in_flight(t):
    t.join().send(*[mqtt.publish("a", "", 2, i, V5) for i in range(1, 7)])


def retain(t, payload, n):
    c = t.join()
    c.send(*[mqtt.publish(f"r/{i}", "", retain=True, version=V5) for i in range(5)])
    c.send(*[mqtt.publish(f"r/{i}", payload, retain=True, version=V5) for i in range(n)])


def many_retained(t):
    retain(t, "x", 5)


def large_retained(t):
    retain(t, "x" * 1900, 3)


def away(t, payload, n):
    """A subscriber that is away, and messages for it."""
    who = name()
    c = t.join(who, **KEPT)
    c.subscribe(who, qos=1)
    c.disconnect()
    p = t.join()
    for _ in range(n):
        p.publish(who, payload, 1)
    t.join(who)  # cleans up


def many_queued(t):
    away(t, "x", 6)


def slow(t):
    topic = name()
    reader = t.dial(receive_buffer=4096)
    reader.connect(name())
    reader.subscribe(topic)
    p = t.join()
    for _ in range(2000):
        p.send(mqtt.publish(topic, "x" * 2000, version=V5))
    p.ping()


def silent(t):
    t.dial().expect_closed()


def half_open_address(t):
    for _ in range(6):
        t.dial()


def half_open_all(t):
    for i in range(8):
        t.dial(source=f"127.0.1.{i + 1}")


def connect_all(t, n, source, **options):
    """One after the other; the last ones are refused."""
    for i in range(n):
        c = t.dial(source=source(i), **options)
        c.send(mqtt.connect(name(), V5, username=ROBOT, password=PASSWORD))
        c._packet(mqtt.time.monotonic() + mqtt.PATIENCE)


def connections_of_an_address(t):
    connect_all(t, 9, lambda i: "127.0.0.2")


def connections_of_a_device(t):
    connect_all(t, 9, lambda i: f"127.0.4.{i + 1}", listener="password")


def all_connections(t):
    connect_all(t, 13, lambda i: f"127.0.2.{i + 1}")


def handshakes_of_an_address(t):
    for _ in range(3):
        t.dial("secure")


def all_handshakes(t):
    for i in range(4):
        t.dial("secure", source=f"127.0.3.{i + 1}")


START = mqtt.packet(mqtt.CONNECT, 0, b"\0\4MQTT\5\2\0\0", length=60000)


def memory_of_an_address(t):
    t.dial().send(START + b"x" * 9000)


REACHED = "limit.reached"
BOUNDS = [
    ("max-packet", large_packet, "packet.too-large"), ("max-payload", large_payload, REACHED),
    ("max-topic-length", long_topic, REACHED), ("max-topic-levels", deep_topic, REACHED),
    ("max-subscriptions", many_subscriptions, REACHED), ("max-inflight", many_in_flight, "packet.malformed"),
    ("max-retained-messages", many_retained, REACHED), ("max-retained-bytes", large_retained, REACHED),
    ("max-queued-messages", many_queued, REACHED), ("max-output-bytes", slow, REACHED),
    ("connect-timeout", silent, "login.refused"), ("max-half-open-per-address", half_open_address, REACHED),
    ("max-half-open", half_open_all, REACHED),
    ("max-connections-per-address", connections_of_an_address, REACHED),
    ("max-connections-per-device", connections_of_a_device, "login.refused"),
    ("max-connections", all_connections, REACHED),
    ("handshake-rate-per-address", handshakes_of_an_address, REACHED), ("handshake-rate", all_handshakes, REACHED),
    ("pre-connect-memory-per-address", memory_of_an_address, REACHED),
]


class Tools:
    """Connections of one test, closed at its end."""

    def __init__(self, gateway):
        self.gateway, self.open = gateway, []

    def dial(self, listener="open", **options):
        self.open.append(Client.tcp(self.gateway.listeners[listener], V5, **options))
        return self.open[-1]

    def join(self, client_id=None, **options):
        c = self.dial()
        c.connect(client_id or name(), **options)
        return c

    def close(self):
        while self.open:
            with contextlib.suppress(OSError):  # some are closed
                self.open.pop().reset()


@pytest.fixture(scope="module", autouse=True)
def robot(gateway):
    gateway.cli("device", "add", ROBOT, "--password", input=PASSWORD + "\n")


@pytest.fixture
def tools(gateway):
    def empty():
        counters = gateway.json("status")["counters"]
        return counters.get("connections", 0) == counters.get("connections.half-open", 0) == 0

    wait_until(empty, what="an empty house")
    t = Tools(gateway)
    yield t
    t.close()


def counted(gateway, bound):
    return gateway.json("status")["counters"].get(f"limits.refused.{bound}", 0)


@pytest.mark.parametrize("bound, reach, event", BOUNDS, ids=[b[0] for b in BOUNDS])
def test_a_bound_that_is_reached(gateway, tools, events, bound, reach, event):
    before = counted(gateway, bound)

    def act():
        tools.close()
        reach(tools)

    if event == REACHED:
        told = events.expect(act, event, limit=bound, reason=bound)
        assert told["value"] >= 1
    else:
        events.expect(act, event)
    wait_until(lambda: counted(gateway, bound) > before, what="its figure")


def test_a_bound_of_one_listener_counts_too(gateway, tools, events):
    before = counted(gateway, "max-connections")

    def two():
        tools.close()
        tools.dial("few")
        tools.dial("few")

    told = events.expect(two, REACHED, limit="max-connections", listener="few")
    assert told["value"] == 1
    wait_until(lambda: counted(gateway, "max-connections") > before, what="its figure")
