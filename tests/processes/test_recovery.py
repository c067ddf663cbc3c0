# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process while clients talk: it comes back by itself, is named in `gatehouse status`
and in the events, nothing in the registry is lost, and nobody pays for a process that he does not use.
Also a process that is stopped instead of killed: whoever needs it is refused in time, never hung."""

import os
import signal
import ssl
import time

import pytest

import mqtt
from conftest import NAMES, Plant, Traffic
from gateway import wait_until
from transport import TlsWire

OTHERS = [n for n in NAMES if n != "broker"]


def registry(gw):
    return [gw.json(*words) for words in
            (("device", "list"), ("cert", "list"), ("acl", "list"), ("role", "list"))]


def without_sessions(tables):
    """Connections come and go; the rest must stay."""
    def stays(key):
        return key not in ("connection_count", "state") and not key.startswith("last_")
    return [[{k: v for k, v in row.items() if stays(k)} for row in t] for t in tables]


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_comes_back_and_is_named(plant, name):
    before = without_sessions(registry(plant.gw))
    restarts = plant.states()[name]["restarts"]
    exited, recovered = len(plant.events("process.exited")), len(plant.events("process.recovered"))
    old = plant.kill(name)
    row = plant.await_recovered(name, old)
    assert row["restarts"] == restarts + 1
    assert row["last_exit"] == "killed by signal 9 (Killed)"
    assert without_sessions(registry(plant.gw)) == before
    wait_until(lambda: len(plant.events("process.recovered")) > recovered, what="the event process.recovered")
    event = plant.events("process.exited")[-1]
    assert len(plant.events("process.exited")) == exited + 1
    assert (event["actor"], event["reason"]) == (name, "killed by signal 9 (Killed)")
    assert plant.events("process.recovered")[-1]["actor"] == name
    with plant.connect("pump-1") as c:
        assert c.publish("plant/pump-1/x", b"x", qos=1) in (0, 0x10)


@pytest.mark.parametrize("name", OTHERS)
def test_connected_clients_survive(plant, traffic, name):
    """Only the broker holds connections."""
    with traffic() as t:
        old = plant.kill(name)
        t.flows()
        plant.await_recovered(name, old)
        t.flows()


def test_clients_return_after_the_broker(plant):
    c = plant.connect("panel")
    old = plant.kill("broker")
    c.expect_closed()
    plant.await_recovered("broker", old)
    with Traffic(plant) as t:
        t.flows()
    # What the dead broker had connected is not shown any more.
    wait_until(lambda: not plant.gw.json("client", "list"), what="an empty list of clients")


def test_all_of_them_at_once(make_plant):
    plant = make_plant()
    before = without_sessions(registry(plant.gw))
    old = plant.gw.processes()
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    for name in NAMES:
        plant.await_recovered(name, old[name], 30)
    assert without_sessions(registry(plant.gw)) == before
    with Traffic(plant) as t:
        t.flows()


def test_logins_by_certificate_go_on_without_the_store(plant, stopped):
    """The broker knows the certificates and the rules by itself; passwords it does not know."""
    stopped(plant.pid("store"))
    with Traffic(plant) as t:
        t.flows()
    c = mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, ca=plant.bundles["panel"] / "ca.crt")
    c.send(mqtt.connect("meter", version=mqtt.V5, username="meter", password=b"a long password"))
    assert c.receive(seconds=30).reason == 0x88  # server unavailable
    c.close()


def test_passwords_work_again_when_the_store_is_back(plant):
    old = plant.kill("store")
    plant.await_recovered("store", old)
    c = mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, ca=plant.bundles["panel"] / "ca.crt")
    c.connect("meter", username="meter", password=b"a long password")
    assert c.publish("plant/meter/x", b"x", qos=1) in (0, 0x10)
    c.disconnect()


def test_a_stopped_vault_fails_handshakes_in_time(plant, stopped):
    """New ones are refused within seconds, connected clients do not notice."""
    with Traffic(plant) as t:
        stopped(plant.pid("vault"))
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises((OSError, ssl.SSLError)):
                TlsWire(plant.gw.mqtts, bundle=plant.bundles["pump-1"])
        assert time.monotonic() - began < 30  # a guard against hanging, no measurement
        t.flows()
        os.kill(plant.pid("vault"), signal.SIGCONT)
        t.flows()
    wait_until(lambda: can_connect(plant), what="a handshake after the vault went on")


def can_connect(plant):
    try:
        plant.connect("pump-1").close()
        return True
    except (OSError, mqtt.Wrong):
        return False


def test_resumed_sessions_need_no_vault(plant, stopped):
    first = TlsWire(plant.gw.mqtts, bundle=plant.bundles["pump-1"], versions=ssl.TLSVersion.TLSv1_2)
    session, context = first.socket.session, first.context
    first.close()
    stopped(plant.pid("vault"))
    again = TlsWire(plant.gw.mqtts, bundle=plant.bundles["pump-1"], context=context, session=session)
    assert again.socket.session_reused
    c = mqtt.Client(again, mqtt.V5)
    c.connect("pump-1")
    c.disconnect()


def test_a_stopped_store_does_not_hang_the_command_line(plant, stopped):
    stopped(plant.pid("store"))
    done = plant.gw.cli("status", check=False)
    assert done.returncode == 4
    assert "did not answer in time" in done.stderr


def test_back_off_grows_and_stays_bounded(make_plant):
    """Each further death in a row waits twice as long."""
    plant = make_plant()
    waits = []
    for _ in range(4):
        old = plant.kill("ctl")
        died = time.monotonic()
        wait_until(lambda: plant.gw.processes().get("ctl", old) != old, what="another ctl")
        waits.append(time.monotonic() - died)
        plant.await_recovered("ctl", old)
    assert waits[3] > 0.7  # 0.1, 0.2, 0.4, 0.8: it never comes earlier than that
    assert plant.states()["ctl"]["restarts"] == 4


def test_the_registry_survives_a_power_cut(make_gateway):
    plant = Plant(make_gateway())
    before = without_sessions(registry(plant.gw))
    plant.gw.kill()
    plant.gw.start()
    assert without_sessions(registry(plant.gw)) == before
    with Traffic(plant) as t:
        t.flows()


def test_a_store_that_comes_back_knows_who_logged_in_from_where(make_gateway):
    """A source that was right may err more often than a stranger, whatever became of the store meanwhile."""
    gw = make_gateway(listeners=["password tls=off auth=password"], set=["store.password-tries=3"])
    gw.cli("device", "add", "meter", "--password", input="old password of it\n")

    def ask(password, source):
        c = mqtt.Client.tcp(gw.listeners["password"], mqtt.V5, source=source)
        c.send(mqtt.connect("meter", mqtt.V5, username="meter", password=password))
        return c.expect(mqtt.CONNACK).reason

    assert ask("old password of it", "127.0.0.8") == 0
    gw.cli("device", "set", "meter", "--password", input="new password of it\n")
    assert any(e["event"] == "client.connected" for e in gw.json("event", "list", "--last", 100))
    old = gw.processes()["store"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: gw.processes().get("store", old) != old and
               gw.cli("status", check=False).returncode == 0, 30, "another store")
    wait_until(lambda: ask("guess", "127.0.0.9") == 0x86, 30, "logins")
    assert [ask("guess", "127.0.0.8") for _ in range(5)] == [0x86] * 5  # a stranger has 3
    assert ask("new password of it", "127.0.0.8") == 0
