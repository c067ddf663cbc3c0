# SPDX-License-Identifier: Apache-2.0
"""A link between two processes that breaks while both live: they get a new one, nothing is restarted, and
what was to go over it goes on."""

import ctypes
import json
import os
import re
import socket
import ssl
import subprocess

import pytest

import mqtt
from conftest import Plant
from gateway import Gateway, wait_until

PIDFD_GETFD = 438


def links(a, b):
    """Descriptors in process a of its links to process b, in the order in which it got them."""
    said = subprocess.run(["ss", "-xpH"], capture_output=True, text=True, check=True).stdout
    sockets = {}
    for line in said.splitlines():
        fields = line.split()
        if fields[0] != "u_seq":
            continue
        for pid, fd in re.findall(r"pid=(\d+),fd=(\d+)", line):
            sockets[int(fields[5])] = (int(pid), int(fd), int(fields[7]))
    return sorted(fd for pid, fd, peer in sockets.values() if pid == a and sockets.get(peer, (0,))[0] == b)


def break_link(pid, fd):
    """Both directions end, as if the other side had closed it."""
    pidfd = os.pidfd_open(pid)
    number = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    assert number >= 0, f"pidfd_getfd: {os.strerror(ctypes.get_errno())}"
    s = socket.socket(fileno=number)
    s.shutdown(socket.SHUT_RDWR)
    s.close()


@pytest.fixture(scope="module")
def plant():
    with Gateway(set=["broker.workers=1", "broker.handshake-threads=1"]) as gw:
        yield Plant(gw)


@pytest.fixture
def broken(plant):
    """broken(a, b, n): breaks the link n between two processes and waits until there is another."""
    before = dict(plant.gw.processes())

    def cut(a, b, n=0):
        fds = links(before[a], before[b])
        assert n < len(fds), (a, b, fds)
        told = plant.gw.log_text().count("it is made anew")
        break_link(before[a], fds[n])
        return lambda: wait_until(lambda: plant.gw.log_text().count("it is made anew") == told + 1,
                                  what=f"a new link between {a} and {b}")
    yield cut
    assert plant.gw.processes() == before
    assert all(p["restarts"] == 0 for p in json.loads(plant.gw.cli("status", "--json").stdout)["processes"])
    assert "treated as taken over" not in plant.gw.log_text()


def login(plant, who="meter"):
    c = mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, ca=plant.gw.root_ca)
    c.connect(who, username="meter", password="a long password")
    return c


def test_broker_and_store(plant, broken):
    """Logins, the list of clients, revocations: all go over it."""
    panel = plant.connect("panel")
    broken("broker", "store")()
    panel.ping()
    wait_until(lambda: login(plant), what="a login")
    wait_until(lambda: "panel" in plant.gw.cli("client", "list").stdout, what="the client in the list")
    plant.gw.cli("device", "add", "late", "--bundle", plant.gw.dir / "late")
    late = mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, bundle=plant.gw.dir / "late")
    late.connect("late")
    plant.gw.cli("cert", "revoke", "--device", "late")
    late.expect_disconnect(0x98)
    panel.ping()


def test_the_spool(plant, broken):
    """What is kept for a session that is away arrives after it."""
    properties = {"session_expiry": 300}
    c = mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, bundle=plant.bundles["panel"])
    c.connect("keeper", props=properties)
    c.subscribe("plant/#", qos=1)
    c.disconnect()
    pump = plant.connect("pump-1")
    for i in range(10):
        pump.publish("plant/pump-1/x", str(i).encode(), qos=1)
    mended = broken("broker", "store", 1)
    for i in range(10, 20):
        pump.publish("plant/pump-1/x", str(i).encode(), qos=1)
    mended()
    for i in range(20, 30):
        pump.publish("plant/pump-1/x", str(i).encode(), qos=1)
    c = mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, bundle=plant.bundles["panel"])
    c.connect("keeper", clean=False, props=properties)
    assert [int(m.payload) for m in c.messages(30)] == list(range(30))


def test_signatures_of_the_broker(plant, broken):
    mended = broken("broker", "vault", 1)

    def full_handshake():
        try:
            mqtt.Client.tls(plant.gw.mqtts, mqtt.V5, bundle=plant.bundles["panel"]).close()
            return True
        except (OSError, ssl.SSLError):
            return False
    full_handshake()  # finds out
    mended()
    wait_until(full_handshake, what="a handshake")


@pytest.mark.parametrize("process", ["admin", "enrol"])
def test_signatures_of_the_web_processes(plant, broken, process):
    mended = broken(process, "vault", 1)
    context = ssl.create_default_context(cafile=plant.gw.root_ca)

    def full_handshake():
        try:
            with socket.create_connection(("127.0.0.1", getattr(plant.gw, process))) as s:
                context.wrap_socket(s, server_hostname="localhost").close()
            return True
        except (OSError, ssl.SSLError):
            return False
    full_handshake()
    mended()
    wait_until(full_handshake, what="a handshake")


def test_store_and_vault(plant, broken):
    broken("store", "vault")()
    wait_until(lambda: plant.gw.cli("device", "add", "anew", "--bundle", plant.gw.dir / "anew", check=False)
               .returncode == 0, what="a certificate")


def test_ctl_and_store(plant, broken):
    broken("ctl", "store")()
    wait_until(lambda: plant.gw.cli("device", "list", check=False).returncode == 0, what="an answer")


def test_one_that_ends_is_no_broken_link():
    """Its peers tell of the end of their links, and get others with the process that comes."""
    with Gateway() as gw:
        os.kill(gw.processes()["admin"], 9)
        wait_until(lambda: "admin serves again" in gw.log_text(), 30, "another process")
        pids = gw.processes()
        break_link(pids["ctl"], links(pids["ctl"], pids["store"])[0])  # looked into later than the others
        wait_until(lambda: re.search("between (ctl and store|store and ctl) broke", gw.log_text()), what="a new link")
        assert gw.log_text().count("it is made anew") == 1
