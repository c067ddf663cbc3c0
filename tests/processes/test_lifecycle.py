# SPDX-License-Identifier: Apache-2.0
"""Start and stop in order, SIGHUP, the death of the parent, and what systemd gives and gets: readiness,
watchdog, and the listening sockets that outlive a restart."""

import json
import os
import re
import signal
import socket
import stat
import threading
import time

import pytest

import mqtt
from conftest import NAMES
from gateway import freeze, running, wait_until

STAGES = [["vault"], ["store"], ["broker", "admin", "enrol", "ctl"]]


def connect(d, client_id="c", version=mqtt.V5):
    c = mqtt.Client.tcp(d.mqtt, version)
    c.connect(client_id)
    return c


# -- start and stop

def test_processes_start_stage_by_stage(daemon):
    daemon.start()
    daemon.await_ready()
    began = {name: int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19])
             for name, pid in daemon.processes().items()}
    assert sorted(began) == sorted(NAMES)
    pids = daemon.processes()
    for before, after in zip(STAGES, STAGES[1:]):
        assert max(began[n] for n in before) <= min(began[n] for n in after)
        assert max(pids[n] for n in before) < min(pids[n] for n in after)
    assert daemon.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clients_are_told_at_the_stop(daemon, number):
    daemon.start()
    daemon.await_ready()
    five, three = connect(daemon, "five"), connect(daemon, "three", mqtt.V311)
    daemon.process.send_signal(number)
    five.expect_disconnect(0x8B)  # server shutting down
    assert three.expect_closed() == []
    assert daemon.wait() == 0
    assert daemon.log_lines("notice  parent: stopped")


def test_a_stop_leaves_nothing_behind(daemon):
    daemon.start()
    daemon.await_ready()
    pids = list(daemon.processes().values())
    assert daemon.stop() == 0
    assert not any(running(pid) for pid in pids)
    assert not os.path.exists(daemon.socket)
    assert not daemon.log_lines(" error ")
    states = [s for s in daemon.states if s.startswith(("READY", "STOPPING"))]
    assert states == ["STOPPING=1"]


def test_the_last_events_are_kept(daemon):
    """What a process reports while it stops is in the database afterwards: the store stops behind it.
    Eight are fewer than the store takes from one source at once."""
    daemon.config["log"]["level"] = "debug"
    daemon.start()
    daemon.await_ready()
    clients = [connect(daemon, f"c{i}") for i in range(8)]
    assert daemon.stop() == 0
    for c in clients:
        c.expect_disconnect(0x8B)
    daemon.start()
    daemon.await_ready()
    events = [json.loads(x) for x in daemon.cli("event", "list", "--last", 1000, "--json").stdout.splitlines()]
    gone = [e for e in events if e["event"] == "client.disconnected"]
    assert sorted(e["client_id"] for e in gone) == sorted(f"c{i}" for i in range(8))
    assert [e["event"] for e in events].count("gateway.stopped") == 1


def test_a_second_signal_changes_nothing(daemon):
    daemon.start()
    daemon.await_ready()
    for _ in range(5):
        daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert len(daemon.log_lines("parent: stopping")) == 1


def test_a_stop_during_the_start(daemon):
    daemon.start()
    wait_until(daemon.processes, what="the first process")
    pids = list(daemon.processes().values())
    assert daemon.stop() == 0
    assert not any(running(pid) for pid in pids)


def test_a_process_that_does_not_stop_is_killed(daemon):
    daemon.start()
    daemon.await_ready()
    admin = daemon.processes()["admin"]
    freeze(admin)
    assert daemon.stop() == 0
    assert daemon.log_lines("admin did not stop in time: killed")
    assert not running(admin)


def test_children_end_with_their_parent(daemon):
    """kill -9 of the parent: nobody is left to accept, to write or to hold the lock."""
    daemon.start()
    daemon.await_ready()
    c = connect(daemon)
    pids = list(daemon.processes().values())
    daemon.process.kill()
    daemon.wait()
    c.expect_disconnect(0x8B)
    wait_until(lambda: not any(running(p) for p in pids), 15, "the end of the children")
    daemon.start()
    daemon.await_ready()
    assert daemon.stop() == 0


def test_signals_to_children_are_the_parents_affair(daemon):
    """A terminal's Ctrl-C reaches the whole group; only the parent acts on it."""
    daemon.start()
    daemon.await_ready()
    before = daemon.processes()
    for pid in before.values():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
    connect(daemon).disconnect()
    assert daemon.processes() == before
    assert daemon.stop() == 0


# -- SIGHUP

def reload(d, line):
    """Reads the configuration again; waits for what the log says to it."""
    before = len(d.log_lines(line))
    d.write()
    d.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(d.log_lines(line)) > before, what=f"'{line}' in the log")


def test_a_changed_limit_takes_effect_without_dropping_anyone(daemon):
    daemon.start()
    daemon.await_ready()
    c = connect(daemon)
    c.publish("t", b"x" * 5000, qos=1)
    daemon.config["broker"]["max-packet"] = "2K"
    reload(daemon, "configuration read again")
    daemon.await_state("READY=1")
    c.ping()
    fresh = wait_until(lambda: limited(daemon), what="the new limit")
    fresh.send(mqtt.publish("t", b"x" * 5000, version=mqtt.V5))
    fresh.expect_disconnect(0x95)  # packet too large
    c.ping()
    assert daemon.stop() == 0


def limited(d):
    c = mqtt.Client.tcp(d.mqtt, mqtt.V5)
    answer = c.connect("fresh")
    if dict(answer.props).get("maximum_packet_size") == 2048:
        return c
    c.disconnect()
    return None


def test_the_log_level_changes(daemon):
    daemon.start()
    daemon.await_ready()
    connect(daemon).disconnect()
    daemon.config["log"]["level"] = "error"
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not told(daemon, "quiet"), what="silence")
    daemon.config["log"]["level"] = "info"
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: told(daemon, "loud"), what="lines in the log")


def told(d, name):
    """Does the log tell of a client that comes and goes?"""
    number = len(d.log_lines("client.disconnected"))
    connect(d, name).disconnect()
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        if len(d.log_lines("client.disconnected")) > number:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("section, key, value, why", [
    ("broker", "max-packet", "1", r"max-packet = 1: "),
    ("broker", "max-pakcet", "2M", r"max-pakcet.*max-packet"),
    ("listener mqtts", "key", "/nonexistent/key.pem", r"key"),
])
def test_a_wrong_configuration_changes_nothing(daemon, section, key, value, why):
    daemon.start()
    daemon.await_ready()
    c = connect(daemon)
    daemon.config[section][key] = value
    daemon.config["log"]["level"] = "debug"
    reload(daemon, "the gateway goes on with the old one")
    assert daemon.log_lines(f" error .*{why}")
    assert not daemon.log_lines(" debug ")
    c.ping()
    connect(daemon, "other").disconnect()
    assert "config.refused" in daemon.cli("event", "list").stdout
    assert daemon.stop() == 0


def test_what_needs_a_restart_waits_for_it(daemon):
    """Workers stay what they are, also for a process that is started again meanwhile; the rest of the
    change is taken."""
    daemon.start()
    daemon.await_ready()
    daemon.config["broker"] = {"workers": 3, "max-packet": "2K"}
    daemon.config["store"] = {"password-threads": 3}
    reload(daemon, "these settings take effect after a restart")
    line = daemon.log_lines("these settings take effect after a restart")[-1]
    assert re.search(r"restart: broker.workers, store.password-threads$", line), line
    os.kill(daemon.processes()["broker"], signal.SIGKILL)
    wait_until(lambda: daemon.log_lines("broker serves again"), 15, "another broker")
    assert len([t for t in os.listdir(f"/proc/{daemon.processes()['broker']}/task")
                if open(f"/proc/{daemon.processes()['broker']}/task/{t}/comm").read().startswith("worker-")]) == 1
    wait_until(lambda: limited(daemon), what="the new limit").disconnect()
    assert daemon.stop() == 0


def test_own_files_are_read_again(daemon):
    """New files of a listener serve after SIGHUP, and for a process that is started again."""
    daemon.own_certificate("first")
    daemon.start()
    daemon.await_ready()
    assert daemon.shown_name() == "first"
    daemon.own_certificate("second")
    reload(daemon, "configuration read again")
    wait_until(lambda: daemon.shown_name() == "second", what="the new certificate")
    for name in ("vault", "broker"):
        old = daemon.processes()[name]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: daemon.log_lines(f"{name} serves again"), 15, f"another {name}")
    wait_until(daemon.shown_name, what="a handshake")
    assert daemon.shown_name() == "second"
    assert daemon.stop() == 0


def test_sighup_during_the_start(daemon):
    """It is no reason to say READY, and the change arrives."""
    daemon.start()
    wait_until(daemon.processes, what="the first process")
    daemon.config["broker"]["max-packet"] = "2K"
    daemon.write()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_ready()
    assert sorted(daemon.processes()) == sorted(NAMES)
    wait_until(lambda: limited(daemon), what="the new limit").disconnect()
    assert daemon.stop() == 0
    assert "RELOADING=1" not in daemon.states


# -- systemd

def test_readiness_and_watchdog(daemon):
    daemon.start(env={"WATCHDOG_USEC": "200000"})
    daemon.await_ready()
    for _ in range(3):
        daemon.await_state("WATCHDOG=1", 5)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.await_state("RELOADING=1", 10)
    daemon.await_state("READY=1", 10)
    assert daemon.stop() == 0
    assert "STOPPING=1" in daemon.states


def test_a_log_for_the_journal_has_priorities(daemon):
    daemon.log.touch()
    st = os.stat(daemon.log)
    assert stat.S_ISREG(st.st_mode)
    daemon.start(env={"JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
    daemon.await_ready()
    assert daemon.stop() == 0
    assert all(re.match(r"<[3-7]>", line) for line in daemon.log_text().splitlines())


def names_of(d, workers):
    addresses = {"mqtts": d.mqtts, "mqtt": d.mqtt, "admin": d.admin, "enrol": d.enrol}
    return {f"{name}/127.0.0.1_{port}/{i}" for name, port in addresses.items()
            for i in range(workers if name.startswith("mqtt") else 1)}


def test_a_restart_refuses_no_connection(daemon):
    """The sockets stay open in the service manager: who connects between stop and start waits, and is
    served by the next gateway."""
    daemon.config["broker"]["workers"] = 2
    daemon.start()
    daemon.await_ready()
    assert set(daemon.fds) == names_of(daemon, 2)
    connect(daemon).disconnect()
    stop, results, refused = threading.Event(), [], []

    def keep_connecting(number):
        while not stop.is_set():
            s = socket.socket()
            s.settimeout(30)
            try:
                s.connect(("127.0.0.1", daemon.mqtt))
            except OSError as e:
                refused.append(e)
                return
            s.sendall(mqtt.connect(f"w{number}", version=mqtt.V5))
            try:
                results.append(s.recv(1) == b"\x20")
            except ConnectionResetError:
                results.append(False)
            s.close()

    threads = [threading.Thread(target=keep_connecting, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    wait_until(lambda: sum(results) > 20, what="connections before the restart")
    assert daemon.stop() == 0
    waiting = socket.create_connection(("127.0.0.1", daemon.mqtt))  # nobody runs now
    waiting.sendall(mqtt.connect("patient", version=mqtt.V5))
    daemon.start()
    daemon.await_ready()
    waiting.settimeout(10)
    assert waiting.recv(1) == b"\x20"
    before = sum(results)
    wait_until(lambda: sum(results) > before + 20, what="connections after the restart")
    stop.set()
    for t in threads:
        t.join()
    assert refused == []
    assert daemon.removed == []
    assert daemon.stop() == 0


def test_sockets_that_nobody_takes_are_given_back(daemon):
    """A listener that went, and workers that are fewer: what stayed open would get connections."""
    daemon.config["broker"]["workers"] = 2
    daemon.start()
    daemon.await_ready()
    assert daemon.stop() == 0
    gone = daemon.config.pop("listener mqtts")["bind"].replace(":", "_")
    daemon.config["broker"]["workers"] = 1
    daemon.start()
    daemon.await_ready()
    assert sorted(daemon.removed) == sorted([f"mqtts/{gone}/0", f"mqtts/{gone}/1", f"mqtt/127.0.0.1_{daemon.mqtt}/1"])
    for _ in range(20):
        connect(daemon).disconnect()
    assert socket.socket().connect_ex(("127.0.0.1", daemon.mqtts)) != 0
    assert daemon.stop() == 0


def test_sockets_for_another_process_are_not_taken(daemon):
    """LISTEN_PID names somebody else: the variables are a leftover."""
    daemon.start(env={"LISTEN_PID": "1", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "a:b:c"})
    daemon.await_ready()
    assert daemon.removed == []
    connect(daemon).disconnect()
    assert daemon.stop() == 0


def test_children_get_nothing_but_their_link(daemon):
    """Neither the descriptors of the service manager nor those of the caller."""
    r, w = os.pipe()
    pipe = os.readlink(f"/proc/self/fd/{r}")
    daemon.fds["stray"] = r
    daemon.start()
    daemon.await_ready()
    assert daemon.removed == ["stray"]
    for name, pid in daemon.processes().items():
        assert pipe not in [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")], name
    os.close(w)
    assert daemon.stop() == 0
