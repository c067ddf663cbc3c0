# SPDX-License-Identifier: Apache-2.0
"""gatehoused itself, started without tests/throwaway: for tests of what happens before it is ready, of
its signals, and of what it and a service manager tell each other.

    d = Daemon()
    d.config["broker"]["workers"] = 2
    d.run("--test-config")                # to its end: CompletedProcess
    d.start(); d.await_ready()            # until SIGTERM
    d.fds                                 # {name: descriptor} that it gave to the FD store
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from gateway import build, children, command_line, running

READY_WITHIN = 60
STOP_WITHIN = 30

# Becomes the program with these descriptors from 3 on, as a service manager would start it.
PASS_FDS = """
import os, sys
given = list(map(int, sys.argv[1].split()))
fds = [os.dup2(fd, 500 + i) for i, fd in enumerate(given)]
for fd in given:
    os.close(fd)
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Daemon:
    live = []

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-"))
        self.dir.chmod(0o755)  # the processes run under other users
        self.state, self.run_dir = self.dir / "state", self.dir / "run"
        self.mqtts, self.mqtt, self.admin, self.enrol = free_ports(4)
        self.socket = str(self.run_dir / "control.sock")
        self.path = self.dir / "gatehouse.conf"
        self.log = self.dir / "gateway.log"
        self.process = None
        self.notify = None
        self.fds, self.removed, self.states = {}, [], []
        self.config = {
            "gateway": {"name": "localhost", "state-dir": self.state, "run-dir": self.run_dir, "group": "root"},
            "log": {"level": "info"},
            "broker": {"workers": 1, "max-half-open-per-address": 512},
            "admin": {"bind": f"127.0.0.1:{self.admin}"},
            "enrol": {"bind": f"127.0.0.1:{self.enrol}"},
            "listener mqtts": {"bind": f"127.0.0.1:{self.mqtts}"},
            "listener mqtt": {"bind": f"127.0.0.1:{self.mqtt}", "tls": "off", "auth": "anonymous"},
        }

    # the configuration and the program

    def write(self):
        with open(self.path, "w") as f:
            for name, keys in self.config.items():
                print(f"[{name}]", *(f"{k} = {v}" for k, v in keys.items()), "", sep="\n", file=f)

    def own_certificate(self, name="own"):
        """A key and a certificate of people who bring a PKI, for the listener mqtts: their files."""
        key, crt = self.dir / f"{name}.key", self.dir / f"{name}.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", crt, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
                        "-days", "30"], check=True, capture_output=True)
        key.chmod(0o600)
        self.config["listener mqtts"].update({"key": key, "certificate": crt})
        return key, crt

    def shown_name(self):
        """The common name in the certificate that the listener mqtts shows."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.mqtts}", "-brief"], input="",
                              capture_output=True, text=True)
        found = re.search(r"Peer certificate: CN = (\S+)", done.stderr)
        return found.group(1) if found else None

    def command(self, *options):
        return [str(build() / "gatehoused"), "--config", str(self.path), *map(str, options)]

    def environment(self, extra):
        dropped = ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
        return {**{k: v for k, v in os.environ.items() if k not in dropped}, **extra}

    def run(self, *options, timeout=60, env=(), write=True, **more):
        """Runs it to its end."""
        if write:
            self.write()
        return subprocess.run(self.command(*options), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, env=self.environment(dict(env)), **more)

    def start(self, *options, env=(), wrapper=(), write=True, **more):
        """Starts it, with the descriptors that it gave to the FD store when it ran before."""
        if write:
            self.write()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("")
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        command = [*wrapper, *self.command(*options)]
        if self.fds:
            numbers = list(self.fds.values())
            command = [sys.executable, "-c", PASS_FDS, " ".join(map(str, numbers)), ":".join(self.fds), *command]
            more["pass_fds"] = numbers
        env = {"NOTIFY_SOCKET": "@" + self.notify.getsockname()[1:].decode(), **dict(env)}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment(env), **more)
        Daemon.live.append(self)
        return self.process

    # what it tells its service manager

    def hear(self, seconds=0.0):
        """Takes what it said; the lines of the last message, or [] when nothing came in time."""
        self.notify.settimeout(max(seconds, 0.001))
        try:
            data, fds, _, _ = socket.recv_fds(self.notify, 8192, 64)
        except (TimeoutError, socket.timeout):
            return []
        lines = data.decode().split("\n")
        fields = dict(x.partition("=")[::2] for x in lines)
        if "FDSTORE" in fields:
            assert len(fds) == 1, fields
            assert fields["FDNAME"] not in self.fds, fields
            self.fds[fields["FDNAME"]] = fds[0]
        elif "FDSTOREREMOVE" in fields:
            self.removed.append(fields["FDNAME"])
            os.close(self.fds.pop(fields["FDNAME"]))
        else:
            self.states += lines
        return lines

    def await_state(self, line, seconds=READY_WITHIN):
        """Waits until it said this line, since the last call for it; it must live until then."""
        until = time.monotonic() + seconds
        while line not in self.states:
            self.hear(0.1)
            if self.process.poll() is not None and line not in self.states:
                raise AssertionError(f"it ended with {self.process.returncode}:\n{self.log_text()}")
            assert time.monotonic() < until, f"no {line} within {seconds} s:\n{self.log_text()}"
        del self.states[:self.states.index(line) + 1]

    def await_ready(self):
        self.await_state("READY=1")

    # its end

    def stop(self, number=signal.SIGTERM):
        """The exit code after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.wait()
        return code

    def wait(self, seconds=STOP_WITHIN):
        code = self.process.wait(seconds)
        if self in Daemon.live:
            Daemon.live.remove(self)
        while self.hear():
            pass
        self.notify.close()
        return code

    def close(self):
        """Whatever state it is in: ends it and everything of it."""
        if self in Daemon.live:
            for pid in [self.process.pid, *children(self.process.pid)]:
                if running(pid):
                    os.kill(pid, signal.SIGKILL)
            self.wait()
        self.forget_fds()
        shutil.rmtree(self.dir, ignore_errors=True)

    def forget_fds(self):
        """As after `systemctl stop`: the next start finds an empty FD store."""
        for fd in self.fds.values():
            os.close(fd)
        self.fds = {}

    # looking at it

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_lines(self, pattern):
        return [x for x in self.log_text().splitlines() if re.search(pattern, x)]

    def processes(self):
        found = {}
        for pid in children(self.process.pid):
            name = re.search(r"\0--process\0(\w+)", command_line(pid))
            if name:
                found[name.group(1)] = pid
        return found

    def cli(self, *words, check=True, timeout=60, input=""):
        done = subprocess.run([str(build() / "gatehouse"), "--socket", self.socket, *map(str, words)],
                              input=input, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done
