# SPDX-License-Identifier: Apache-2.0
"""When a device was last connected, through everything that can end: its connection, the broker, the
store, the gateway in order and by a power cut. What lists are ordered and narrowed by is written some
seconds after it happened; the device itself is shown as it is."""

from datetime import datetime, timedelta, timezone

import pytest

import mqtt
from gateway import wait_until


@pytest.fixture
def plant(make_plant):
    return make_plant()


def listed(plant, state):
    return [d["name"] for d in plant.gw.json("device", "list", "--state", state)]


def shown(plant, name):
    return plant.gw.json("device", "show", name)


def await_listed(plant, name, state):
    """The device as the list of those in this state has it."""
    rows = wait_until(lambda: [d for d in plant.gw.json("device", "list", "--state", state) if d["name"] == name],
                      30, f"{name} in the list of those that are {state}")
    return rows[0]


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def assert_recent(text, since):
    """Between then and now, to the second, which is cut off."""
    assert since - timedelta(seconds=2) <= time_of(text) <= datetime.now(timezone.utc) + timedelta(seconds=1)


def now():
    return datetime.now(timezone.utc)


def test_from_the_first_connection_to_its_end(plant):
    began = now()
    fresh = shown(plant, "pump-1")
    assert (fresh["state"], fresh["last_seen"], fresh["last_address"]) == ("never", None, None)
    assert listed(plant, "never") == ["meter", "panel", "pump-1"]
    with plant.connect("pump-1"):
        row = await_listed(plant, "pump-1", "connected")
        assert (row["last_address"], row["last_listener"], row["last_protocol"]) == ("127.0.0.1", "mqtts", "MQTT 5.0")
        assert row["last_tls"].startswith("TLS") and row["connection_count"] == 1
        assert_recent(row["last_seen"], began)
        ended = now()
    row = await_listed(plant, "pump-1", "away")
    assert_recent(row["last_seen"], ended)
    assert (row["last_address"], row["connection_count"]) == ("127.0.0.1", 0)
    assert listed(plant, "connected") == []
    after = shown(plant, "pump-1")
    assert (after["version"], after["changed"]) == (fresh["version"], fresh["changed"])


def test_a_connection_of_a_moment_counts(plant):
    """A sensor that wakes up, publishes and sleeps again, faster than the broker tells the store."""
    for _ in range(3):
        began = now()
        with plant.connect("pump-1", version=mqtt.V311) as c:
            assert c.publish("plant/pump-1/x", b"x", qos=1) in (0, 0x10)
        row = await_listed(plant, "pump-1", "away")
        wait_until(lambda: time_of(shown(plant, "pump-1")["last_seen"]) >= began - timedelta(seconds=2),
                   what="the last connection")
        assert row["last_protocol"] == "MQTT 3.1.1"


def test_the_gateway_is_restarted(plant):
    with plant.connect("pump-1"):
        await_listed(plant, "pump-1", "connected")
        began = now()
        plant.gw.restart()
        row = shown(plant, "pump-1")
        assert row["state"] == "away"
        assert_recent(row["last_seen"], began)
        assert listed(plant, "away") == ["pump-1"] and listed(plant, "connected") == []
        assert row["last_address"] == "127.0.0.1"


def test_the_broker_is_killed(plant):
    with plant.connect("pump-1") as c:
        await_listed(plant, "pump-1", "connected")
        began, old = now(), plant.kill("broker")
        c.expect_closed()
    row = await_listed(plant, "pump-1", "away")
    assert_recent(row["last_seen"], began)
    plant.await_recovered("broker", old)
    with plant.connect("pump-1"):
        await_listed(plant, "pump-1", "connected")


def test_the_store_is_killed(plant):
    """The broker lives on, and tells the next store who is there."""
    with plant.connect("pump-1"), plant.connect("panel"):
        for name in ("pump-1", "panel"):
            await_listed(plant, name, "connected")
        plant.await_recovered("store", plant.kill("store"))
        for name in ("pump-1", "panel"):
            await_listed(plant, name, "connected")
    for name in ("pump-1", "panel"):
        await_listed(plant, name, "away")


def test_a_power_cut(plant):
    """Nobody could say good-bye: it was last seen when the store last wrote that it lives."""
    began = now()
    with plant.connect("pump-1"):
        await_listed(plant, "pump-1", "connected")
        plant.gw.kill()
    plant.gw.start()
    row = shown(plant, "pump-1")
    assert row["state"] == "away"
    assert_recent(row["last_seen"], began)
    assert listed(plant, "away") == ["pump-1"] and listed(plant, "connected") == []


def test_it_is_in_no_log_and_in_no_document(plant):
    with plant.connect("pump-1"):
        await_listed(plant, "pump-1", "connected")
        before = plant.gw.json("audit", "list")
        state = plant.gw.cli("state", "export").stdout
        assert "last_" not in state and "127.0.0.1" not in state.split('"devices"')[1].split("]")[0]
    await_listed(plant, "pump-1", "away")
    assert plant.gw.json("audit", "list") == before
