# SPDX-License-Identifier: Apache-2.0
"""Gateways whose processes are stopped, killed and looked at, with two devices that talk meanwhile."""

import json
import os
import signal
import threading

import pytest

import mqtt
from daemon import Daemon
from gateway import Gateway, freeze, wait_until

NAMES = ["broker", "admin", "enrol", "ctl", "store", "vault"]


@pytest.fixture
def daemon():
    """A gatehoused to start by hand, and daemon.another() for further ones."""
    made = []

    def make():
        made.append(Daemon())
        return made[-1]

    first = make()
    first.another = make
    yield first
    for d in made:
        d.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.failed:
        for d in Daemon.live:
            report.sections.append((f"log of the gateway in {d.dir}", "\n".join(d.log_text().splitlines()[-60:])))


class Plant:
    """A gateway with the devices pump-1, which publishes, and panel, which hears it."""

    def __init__(self, gw):
        self.gw = gw
        self.bundles = {name: gw.bundle(name) for name in ("pump-1", "panel")}
        gw.cli("device", "add", "meter", "--password", input="a long password\n")
        for rule in [("allow", "device:pump-1", "publish", "plant/${device}/#"),
                     ("allow", "device:meter", "publish", "plant/${device}/#"),
                     ("allow", "device:panel", "subscribe", "plant/#"),
                     ("allow", "device:panel", "receive", "plant/#")]:
            gw.cli("acl", *rule)

    def connect(self, name, client_id=None, version=mqtt.V5, **options):
        """A session by certificate."""
        connect = {k: options.pop(k) for k in ("keep_alive", "clean") if k in options}
        c = mqtt.Client.tls(self.gw.mqtts, version, bundle=self.bundles[name], **options)
        c.connect(client_id or name, **connect)
        return c

    def states(self):
        """{process: row of status}"""
        return {p["name"]: p for p in self.gw.json("status")["processes"]}

    def events(self, name):
        return [e for e in self.gw.json("event", "list", "--last", 1000) if e["event"] == name]

    def pid(self, name):
        return wait_until(lambda: self.gw.processes().get(name), what=f"a process {name}")

    def kill(self, name):
        """kill -9 of one process. Its process id then."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_recovered(self, name, old_pid, seconds=15):
        """The row of status once another process serves in its place."""
        def serves():
            done = self.gw.cli("status", "--json", check=False)
            if done.returncode:
                return None
            row = {p["name"]: p for p in json.loads(done.stdout)["processes"]}.get(name)
            return row if row and row["state"] == "serving" and row["pid"] != old_pid else None
        return wait_until(serves, seconds, f"recovery of {name}")


class Traffic:
    """pump-1 publishes to panel with QoS 1 until it is left; each message must arrive, once, in order."""

    def __init__(self, plant):
        self.sender, self.receiver = plant.connect("pump-1"), plant.connect("panel")
        self.receiver.subscribe("plant/#", qos=1)
        self.sent, self.got, self.error = 0, [], None
        self.stopping = False
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self.stopping:
                assert self.sender.publish("plant/pump-1/n", b"%d" % self.sent, qos=1) == 0
                self.sent += 1
                self.got.append(int(self.receiver.message().payload))
        except AssertionError as e:
            self.error = e

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.sent > 10 or self.error, what="the first messages")
        return self

    def flows(self):
        """The clients still talk: messages are sent and arrive from now on."""
        before = len(self.got)
        wait_until(lambda: len(self.got) > before + 10 or self.error, what="more messages")
        if self.error:
            raise self.error

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.sender.close()
        self.receiver.close()
        if self.error is None:
            assert self.got == list(range(self.sent))


@pytest.fixture(scope="module")
def plant():
    with Gateway() as gw:
        yield Plant(gw)


@pytest.fixture
def make_plant(make_gateway):
    return lambda **options: Plant(make_gateway(**options))


@pytest.fixture
def traffic(plant):
    return lambda: Traffic(plant)


@pytest.fixture
def stopped():
    """stopped(pid): SIGSTOP now, SIGCONT when the test ends."""
    pids = []

    def stop(pid):
        freeze(pid)
        pids.append(pid)

    yield stop
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
