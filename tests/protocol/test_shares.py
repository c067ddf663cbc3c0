# SPDX-License-Identifier: Apache-2.0
"""What one address may hold before CONNECT, and how many connections one device may have."""

import mqtt
import pytest
from gateway import wait_until
from mqtt import V5
from told import OPEN, PASSWORD, ROBOT, name

SETTINGS = ["broker.max-half-open=20", "broker.max-half-open-per-address=4", "broker.pre-connect-memory=64K",
            "broker.max-connections-per-device=2", "broker.connect-timeout=60s", "broker.workers=2"]
LISTENERS = [OPEN, "password tls=off auth=password"]
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="module")
def robot(gateway):
    gateway.cli("device", "add", ROBOT, "--password", input=PASSWORD + "\n")
    return ROBOT


@pytest.fixture
def login(dial, robot):
    def login(client_id=None, version=V5, **options):
        c = dial(version, "password")
        c.connect(client_id or name(), username=robot, password=PASSWORD, **options)
        return c

    return login


def figure(gateway, key):
    return gateway.json("status")["counters"].get(key, 0)


def half_open(gateway, n):
    wait_until(lambda: figure(gateway, "connections.half-open") == n, what=f"{n} half-open connections")


def test_silent_connections_of_one_address_leave_room(gateway, dial, events):
    silent = [dial() for _ in range(4)]
    half_open(gateway, 4)

    def one_more():
        assert dial().expect_closed() == []

    told = events.expect(one_more, "limit.reached")
    assert told["limit"] == told["reason"] == "max-half-open-per-address" and told["value"] == 4
    assert told["address"].startswith("127.0.0.1:")
    other = dial(source=ELSEWHERE)
    other.connect(name())
    silent[0].connect(name())  # no longer half-open: its place is free
    for _ in range(3):
        dial().connect(name())  # without login the bound of a device does not count
    for c in silent[1:]:
        c.close()
    half_open(gateway, 0)


def test_half_a_connect_of_one_address_leaves_memory(gateway, dial, events):
    """An eighth of 64 KiB is held for one address; two connections share it."""
    half_open(gateway, 0)
    start = mqtt.packet(mqtt.CONNECT, 0, b"\0\4MQTT\5\2\0\0", length=20000)
    before = figure(gateway, "bytes.received")
    first, other = dial(), dial(source=ELSEWHERE)
    first.send(start + b"x" * 6000)
    other.send(start + b"x" * 6000)
    wait_until(lambda: figure(gateway, "bytes.received") >= before + 12000, what="their bytes")

    def too_much():
        second = dial()
        second.send(start + b"x" * 3000)
        assert second.expect_closed() == []

    told = events.expect(too_much, "limit.reached")
    assert told["limit"] == "pre-connect-memory-per-address" and told["value"] == 8192
    other.send(b"x" * 1000)
    assert not other.wire.pending()
    first.close()
    other.close()
    half_open(gateway, 0)


def test_connections_of_one_device(gateway, login, robot, dial, version, events):
    mine = [login() for _ in range(2)]

    def third():
        c = dial(version, "password")
        c.connect(name(), refused=0x97 if version == V5 else 3, username=robot, password=PASSWORD)

    told = events.expect(third, "login.refused")
    assert told["reason"] == "max-connections-per-device" and told["actor"] == robot
    for c in mine:
        c.ping()
    mine[0].disconnect()
    wait_until(lambda: len(gateway.json("client", "list")) < 2, what="its end")
    mine[0] = login()
    for c in mine:
        c.disconnect()
    wait_until(lambda: not gateway.json("client", "list"), what="their ends")


def test_who_connects_again_is_not_one_more(login):
    """A device whose network broke off is not kept out by its own dead connection."""
    who = name()
    other = login()
    for _ in range(8):  # to both workers
        c = login(who)
    c.ping()
    other.ping()
    c.disconnect()
    other.disconnect()


def test_a_refused_one_leaves_no_session(gateway, login, robot, dial):
    wait_until(lambda: not gateway.json("client", "list"), what="an empty house")
    mine = [login(), login()]
    who = name()
    dial(V5, "password").connect(who, refused=0x97, username=robot, password=PASSWORD, clean=False,
                                 props={"session_expiry": 300})
    mine[0].disconnect()
    wait_until(lambda: len(gateway.json("client", "list")) < 2, what="its end")
    again = dial(V5, "password")
    assert not again.connect(who, username=robot, password=PASSWORD, clean=False).session_present
    again.disconnect()
    mine[1].disconnect()
