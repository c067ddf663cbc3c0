# SPDX-License-Identifier: Apache-2.0
"""A private gateway for a test, and its command line. See tests/throwaway.

    with Gateway(set=["log.level=debug"], listeners=["strict auth=certificate"]) as gw:
        bundle = gw.bundle("pump-1")
        gw.cli("acl", "allow", "device:pump-1", "publish", "plant/#")
        connect(gw.mqtts, bundle / "device.crt", ...)

Suites get them from the fixtures in tests/conftest.py. Tests reach the build only through here.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error: |internal error: ")


def build():
    """The folder of the programs under test."""
    named = os.environ.get("GATEHOUSE_BUILD")
    if named:
        return pathlib.Path(named)
    root = TESTS.parent
    places = [pathlib.Path.cwd(), root, root / "build-test" / "gcc", *root.glob("build*")]
    found = [p for p in places if (p / "gatehoused").exists()]
    if not found:
        raise RuntimeError("no build found: name it in GATEHOUSE_BUILD")
    return max(found, key=lambda p: (p / "gatehoused").stat().st_mtime)


def wait_until(condition, seconds=10, what="the condition"):
    """The first true value of condition(); an error after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.01)


class CliError(AssertionError):
    """The command failed; `code` is its exit code, `stderr` what it said."""

    def __init__(self, done):
        super().__init__(f"{done.args} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr


class Gateway:
    """Starts when made or entered. The fields are those of the throwaway's JSON line."""

    live = []

    def __init__(self, set=(), listeners=(), port_base=None, dir=None, start=True):
        self.options = [f"--set={s}" for s in set] + [f"--listener={x}" for x in listeners]
        if port_base is not None:
            self.options.append(f"--port-base={port_base}")
        self.own_dir = dir is None
        self.dir = pathlib.Path(dir or tempfile.mkdtemp(prefix="gatehouse-"))
        self.dir.chmod(0o755)  # the processes run under other users
        self.throwaway = None
        self.log = str(self.dir / "gateway.log")
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts again, with the same ports, state and devices, when it ran before."""
        if self.throwaway:
            raise RuntimeError("the gateway runs already")
        self.errors = open(self.dir / "throwaway.err", "w+")
        self.throwaway = subprocess.Popen(
            [sys.executable, str(TESTS / "throwaway"), str(self.dir), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, "GATEHOUSE_BUILD": str(build())})
        line = self.throwaway.stdout.readline()
        if not line:
            code = self.throwaway.wait()
            self.throwaway = None
            raise RuntimeError(f"throwaway ended with {code}:\n{self._said()}")
        self.__dict__.update(json.loads(line))
        self._keep_ports()
        Gateway.live.append(self)

    def _said(self):
        self.errors.seek(0)
        return self.errors.read()

    def _keep_ports(self):
        binds = [f"--set=listener.{n}.bind=127.0.0.1:{p}" for n, p in self.listeners.items()]
        binds += [f"--set={s}.bind=127.0.0.1:{getattr(self, s)}" for s in ("admin", "enrol")]
        if not any(o.startswith("--port-base") or ".bind=" in o or " bind=" in o for o in self.options):
            self.options += binds

    def stop(self):
        """Stops in order; anything else, and whatever a sanitizer or a CHECK said, is an error."""
        if not self.throwaway:
            return
        throwaway, self.throwaway = self.throwaway, None
        Gateway.live.remove(self)
        throwaway.terminate()
        code = throwaway.wait(60)
        throwaway.stdout.close()
        said = self._said()
        self.errors.close()
        assert code == 0, f"throwaway ended with {code}:\n{said}"
        report = SANITIZER.search(self.log_text())
        assert not report, self.log_text()[report.start():][:6000]

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        """kill -9 of the whole gateway, as a power cut would."""
        pids = [self.pid, *self.processes().values()]
        self.throwaway.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.throwaway.wait()
        self.throwaway.stdout.close()
        self.errors.close()
        self.throwaway = None
        Gateway.live.remove(self)
        wait_until(lambda: not any(running(p) for p in pids), what="the end of every process")

    def close(self):
        try:
            self.stop()
        finally:
            if self.own_dir:
                shutil.rmtree(self.dir, ignore_errors=True)

    def cli(self, *words, check=True, input=None, timeout=60):
        """`gatehouse WORD…` on this gateway. Gives the finished process; CliError when it failed."""
        done = subprocess.run([str(build() / "gatehouse"), "--socket", self.socket, *map(str, words)],
                              input=input, stdin=None if input is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise CliError(done)
        return done

    def json(self, *words):
        """What `gatehouse WORD… --json` prints: an object, or a list of them."""
        lines = [json.loads(x) for x in self.cli(*words, "--json").stdout.splitlines() if x.strip()]
        return lines[0] if len(lines) == 1 and "list" not in words else lines

    def bundle(self, name, *options):
        """Adds a device with a certificate; the folder of its bundle."""
        folder = self.dir / "bundles" / name
        folder.parent.mkdir(exist_ok=True)
        self.cli("device", "add", name, "--bundle", folder, *options)
        return folder

    def log_text(self):
        try:
            return pathlib.Path(self.log).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def processes(self):
        """{name: pid} of the gateway's child processes."""
        found = {}
        for pid in children(self.pid):
            name = re.search(r"\0--process\0(\w+)", command_line(pid))
            if name:
                found[name.group(1)] = pid
        return found


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(p) for p in task.read_text().split()]
    return found


def running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def freeze(pid):
    """Stops a process (SIGSTOP) and waits until all of its threads stand: one may be in the middle of a disk access,
    and until it has ended the others go on."""
    def states():
        return [pathlib.Path(f"/proc/{pid}/task/{t}/stat").read_text().rpartition(")")[2].split()[0]
                for t in os.listdir(f"/proc/{pid}/task")]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(s in "Tt" for s in states()), seconds=30, what="the stop of every thread")
