# SPDX-License-Identifier: Apache-2.0
"""A gateway in a network of its own: three namespaces, of which the first is the gateway's machine.

    machine.inside     a host in 10.77.1.0/24 and fd00:77:1::/64
    machine.outside    a host in 10.77.2.0/24 and fd00:77:2::/64
"""

import itertools
import os
import re
import subprocess
import sys

import pytest

from daemon import Daemon
from gateway import build, wait_until

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
    print("open")
except TimeoutError:
    print("dropped")
except ConnectionRefusedError:
    print("closed")
"""
LISTEN = """
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
while True:
    s.accept()[0].close()
"""
numbers = itertools.count()


def run(*words, **more):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, **more)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Host:
    """A network namespace."""

    def __init__(self):
        self.name = f"gh{os.getpid()}-{next(numbers)}"
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")
        self.started = []

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(self, *words, **more):
        return run(*self.command(*words), **more)

    def address(self, device, *addresses):
        """Without duplicate address detection, which would leave an IPv6 address unusable for a while."""
        for a in addresses:
            self.run("ip", "address", "add", a, "dev", device, *(["nodad"] if ":" in a else []))
        self.run("ip", "link", "set", device, "up")

    def reach(self, address, port, seconds=20.0):
        """"open", "closed" or "dropped"."""
        return self.run(sys.executable, "-c", CONNECT, address, port, seconds).strip()

    def listen(self, port, address=""):
        p = subprocess.Popen(self.command(sys.executable, "-c", LISTEN, address, port), stdout=subprocess.PIPE,
                             text=True)
        self.started.append(p)
        assert p.stdout.readline() == "listens\n"

    def close(self):
        for p in self.started:
            p.kill()
            p.wait()
            p.stdout.close()
        run("ip", "netns", "del", self.name)


class Machine(Host):
    def __init__(self):
        super().__init__()
        self.inside, self.outside = Host(), Host()
        for i, host in enumerate((self.inside, self.outside), 1):
            run("ip", "link", "add", "eth0", "netns", host.name, "type", "veth", "peer", f"eth{i}", "netns", self.name)
            host.address("eth0", f"10.77.{i}.2/24", f"fd00:77:{i}::2/64")
            self.address(f"eth{i}", f"10.77.{i}.1/24", f"fd00:77:{i}::1/64")
        self.daemon = Daemon()

    def start(self):
        """The gateway, on all addresses unless the test has said otherwise."""
        d = self.daemon
        d.start(wrapper=self.command())
        wait_until(lambda: d.cli("status", check=False).returncode == 0, seconds=60, what="the start of the gateway")

    def gatehouse(self, *words, check=True):
        done = subprocess.run(self.command(build() / "gatehouse", "--socket", self.daemon.socket, *words),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done

    def tables(self):
        return self.run("nft", "list", "ruleset")

    def table(self):
        return self.run("nft", "list", "table", "inet", "gatehouse")

    def dropped(self, port):
        """Packets to this port that the table has dropped."""
        return sum(map(int, re.findall(rf"dport {port} (?:.* )?counter packets (\d+) .*drop", self.table())))

    def close(self):
        self.daemon.close()
        for host in (self.inside, self.outside):
            host.close()
        super().close()


@pytest.fixture(scope="module")
def machine():
    m = Machine()
    yield m
    m.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.failed:
        for d in Daemon.live:
            report.sections.append((f"log of the gateway in {d.dir}", "\n".join(d.log_text().splitlines()[-60:])))
