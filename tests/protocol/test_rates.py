# SPDX-License-Identifier: Apache-2.0
"""How fast one device may publish, and what becomes of one that is faster: it is slowed down."""

import pytest

import mqtt
from gateway import wait_until
from mqtt import V5
from told import OPEN, PASSWORD, name

SETTINGS = ["broker.publish-rate-per-device=40", "broker.publish-bytes-per-device=8K", "broker.workers=2"]
LISTENERS = [OPEN, "password tls=off auth=password"]
ELSEWHERE = "127.0.0.2"  # a receiver with an address, and so a rate, of its own


@pytest.fixture(scope="module")
def device(gateway):
    """device(): the name of a new device with a password."""
    def device():
        who = name()
        gateway.cli("device", "add", who, "--password", input=PASSWORD + "\n")
        return who

    return device


@pytest.fixture
def login(dial):
    def login(who, version=V5, **options):
        c = dial(version, "password")
        c.connect(name(), username=who, password=PASSWORD, **options)
        return c

    return login


def paused(gateway, limit):
    return gateway.json("status")["counters"].get(f"limits.refused.{limit}", 0)


def watcher(dial, topic, version=V5):
    c = dial(version, source=ELSEWHERE)
    c.connect(name())
    c.subscribe(topic)
    return c


def test_a_burst_is_slowed_down_and_nothing_is_lost(gateway, dial, login, device, version, topic, events):
    """More than twice the rate in one write, then a ping: all of it is taken, in its order."""
    before = paused(gateway, "publish-rate-per-device")
    receiver = watcher(dial, topic)
    who = device()
    c = login(who, version)
    burst = b"".join(mqtt.publish(topic, str(i), version=version) for i in range(100))

    told = events.expect(lambda: c.send(burst), "limit.reached", device=who)
    assert told["reason"] == told["limit"] == "publish-rate-per-device"
    assert told["value"] == 40 and told["listener"] == "password"
    c.ping()
    assert [int(m.payload) for m in receiver.messages(100)] == list(range(100))
    wait_until(lambda: paused(gateway, "publish-rate-per-device") > before, what="a counted pause")


def test_quality_of_service_1_is_answered_late_not_refused(login, device, topic):
    c = login(device())
    c.send(*[mqtt.publish(topic, "x", 1, i, V5) for i in range(1, 61)])
    assert [c.expect(mqtt.PUBACK).packet_id for _ in range(60)] == list(range(1, 61))


def test_one_pause_is_told_once(gateway, login, device, topic, events):
    who = device()
    first, second = login(who), login(who)
    burst = b"".join(mqtt.publish(topic, "x", version=V5) for _ in range(60))
    events.expect(lambda: first.send(burst), "limit.reached", device=who)
    second.send(burst)
    first.ping()
    second.ping()
    found = [e for e in gateway.json("event", "list", "--name", "limit.reached") if e.get("device") == who]
    assert len(found) == 1, found


def test_bytes_count_as_well(gateway, dial, login, device, topic, events):
    receiver = watcher(dial, topic)
    who = device()
    c = login(who)
    large = [mqtt.publish(topic, "x" * 5000, version=V5) for _ in range(3)]
    told = events.expect(lambda: c.send(*large), "limit.reached", device=who)
    assert told["limit"] == "publish-bytes-per-device" and told["value"] == 8192
    assert [len(m.payload) for m in receiver.messages(3)] == [5000] * 3
    c.ping()


def test_silence_while_it_is_not_read_is_no_silence(dial, login, device, topic):
    """The pause after 30 KB is longer than the keep alive of a second allows."""
    receiver = watcher(dial, topic)
    c = login(device(), keep_alive=1)
    c.send(mqtt.publish(topic, "x" * 30000, version=V5), mqtt.publish(topic, "end", version=V5))
    assert [len(m.payload) for m in receiver.messages(2)] == [30000, 3]
    c.ping()


def test_reconnecting_does_not_help(gateway, login, device, topic):
    """What was published too much is owed by the device, not by the connection."""
    who = device()
    c = login(who)
    c.send(mqtt.publish(topic, "x" * 20000, version=V5))
    c.ping()
    c.disconnect()
    before = paused(gateway, "publish-bytes-per-device")
    c = login(who)
    c.publish(topic, "x", 1)
    wait_until(lambda: paused(gateway, "publish-bytes-per-device") > before, what="a counted pause")


def test_another_device_is_not_slowed_down(gateway, login, device, topic):
    """One is paused for seconds; the other's messages are taken meanwhile."""
    slow, other = login(device()), login(device())
    slow.send(mqtt.publish(topic, "x" * 200000, version=V5), mqtt.publish(topic, "y", 1, 1, V5))
    for i in range(20):
        other.publish(topic, str(i), 1)
    assert not slow.wire.pending()
