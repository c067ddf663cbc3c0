# SPDX-License-Identifier: Apache-2.0
"""tests/throwaway and tests/lib/gateway.py themselves, with a stand-in for gatehoused that behaves
as each test needs it: what they do when a gateway does not start, dies or does not stop."""

import configparser
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest

import gateway
from gateway import TESTS, Gateway

STAND_IN = """#!/usr/bin/python3
import os, signal, socket, sys, time
print("stand-in starts", sys.argv[1:], file=sys.stderr, flush=True)
def ready():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\\0" + os.environ["NOTIFY_SOCKET"][1:])
    s.send(b"STATUS=starting")
    socket.send_fds(s, [b"FDSTORE=1\\nFDNAME=x"], [0])
    s.send(b"READY=1\\nSTATUS=ready")
def until_term():
    signal.sigwait([signal.SIGTERM])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """stand_in("code"): makes a build whose gatehoused runs that code."""
    def make(code):
        program = tmp_path / "build" / "gatehoused"
        program.parent.mkdir(exist_ok=True)
        program.write_text(STAND_IN + code)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("GATEHOUSE_BUILD", str(program.parent))
        monkeypatch.delenv("GATEHOUSE_SET", raising=False)
    return make


def throwaway(folder, *options):
    return subprocess.Popen([sys.executable, TESTS / "throwaway", folder, *options],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def settings(path):
    parser = configparser.ConfigParser()
    parser.read(path)
    return parser


GOOD = "ready()\nuntil_term()\n"


def test_tells_where_everything_is(stand_in, tmp_path):
    stand_in(GOOD)
    t = throwaway(tmp_path / "g")
    told = json.loads(t.stdout.readline())
    config = settings(told["config"])
    for name in ("mqtts", "mqtt", "wss"):
        assert config[f"listener {name}"]["bind"] == f"127.0.0.1:{told[name]}"
    for name in ("admin", "enrol"):
        assert config[name]["bind"] == f"127.0.0.1:{told[name]}"
    assert len({told[n] for n in ("mqtts", "mqtt", "wss", "admin", "enrol")}) == 5
    assert told["socket"] == f"{tmp_path}/g/run/control.sock"
    assert told["root_ca"] == f"{tmp_path}/g/state/pub/roots.pem"
    assert gateway.running(told["pid"])
    t.terminate()
    out, err = t.communicate(timeout=30)
    assert (t.returncode, out, err) == (0, "", "")
    assert not gateway.running(told["pid"])


def test_port_base_and_settings_and_listeners(stand_in, tmp_path, monkeypatch):
    stand_in(GOOD)
    monkeypatch.setenv("GATEHOUSE_SET", "gateway.seccomp-default=kill log.level=error")
    t = throwaway(tmp_path / "g", "--port-base=40100", "--set=log.level=debug",
                  "--set=listener.mqtts.client-id=device", "--set=broker.max-packet=2M",
                  "--listener=strict auth=certificate 'allow-from=127.0.0.1/32 ::1/128'",
                  "--listener=mqtt tls=off auth=anonymous bind=127.0.0.1:40199")
    told = json.loads(t.stdout.readline())
    config = settings(told["config"])
    assert [told[n] for n in ("mqtts", "mqtt", "wss", "admin", "enrol")] == [40100, 40199, 40102, 40103, 40104]
    assert told["listeners"]["strict"] == 40105
    assert dict(config["listener strict"]) == {
        "auth": "certificate", "allow-from": "127.0.0.1/32 ::1/128", "bind": "127.0.0.1:40105"}
    assert config["listener mqtt"]["auth"] == "anonymous"
    assert config["listener mqtts"]["client-id"] == "device"
    assert config["gateway"]["seccomp-default"] == "kill"
    assert config["log"]["level"] == "debug"
    assert config["broker"]["max-packet"] == "2M"
    t.terminate()
    assert t.wait(30) == 0


@pytest.mark.parametrize("code, why", [
    ("print('port 1883 is in use', file=sys.stderr)\nsys.exit(1)\n", "ended with exit code 1 before it was ready"),
    ("os.abort()\n", "was killed by signal 6 before it was ready"),
    ("sys.exit(0)\n", "ended with exit code 0 before it was ready"),
])
def test_a_gateway_that_does_not_start(stand_in, tmp_path, code, why):
    stand_in(code)
    out, err = throwaway(tmp_path / "g").communicate(timeout=30)
    assert out == ""
    assert why in err
    assert "stand-in starts ['--config'" in err


@pytest.mark.parametrize("code, why", [
    ("ready()\ntime.sleep(0.5)\nsys.exit(0)\n", "ended with exit code 0 by itself"),
    ("ready()\ntime.sleep(0.5)\nos.kill(os.getpid(), 9)\n", "was killed by signal 9 by itself"),
])
def test_a_gateway_that_dies(stand_in, tmp_path, code, why):
    stand_in(code)
    t = throwaway(tmp_path / "g")
    _, err = t.communicate(timeout=30)
    assert t.returncode == 1
    assert why in err and "stand-in starts" in err


def test_a_gateway_that_fails_to_stop(stand_in, tmp_path):
    stand_in("ready()\nuntil_term()\nprint('database is busy', file=sys.stderr)\nsys.exit(3)\n")
    t = throwaway(tmp_path / "g")
    t.stdout.readline()
    t.terminate()
    _, err = t.communicate(timeout=30)
    assert t.returncode == 1
    assert "did not stop in order: it ended with exit code 3" in err and "database is busy" in err


def test_killed_throwaway_takes_its_gateway_along(stand_in, tmp_path):
    stand_in(GOOD)
    t = throwaway(tmp_path / "g")
    pid = json.loads(t.stdout.readline())["pid"]
    t.kill()
    t.communicate()
    gateway.wait_until(lambda: not gateway.running(pid), what="the end of the gateway")


@pytest.mark.parametrize("options, why", [
    (["--set=nonsense"], "'nonsense' is not key=value"),
    (["--set=level=debug"], "'level=debug' is not section.key=value"),
    (["--listener=x auth"], "'auth' is not key=value"),
])
def test_wrong_calls(stand_in, tmp_path, options, why):
    stand_in(GOOD)
    t = throwaway(tmp_path / "g", *options)
    _, err = t.communicate(timeout=30)
    assert t.returncode == 2 and why in err


def test_a_path_too_long_for_a_socket(stand_in, tmp_path):
    stand_in(GOOD)
    t = throwaway(tmp_path / ("x" * 100))
    _, err = t.communicate(timeout=30)
    assert t.returncode == 2 and "choose a shorter DIR" in err


def test_no_build(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_BUILD", str(tmp_path))
    t = throwaway(tmp_path / "g")
    _, err = t.communicate(timeout=30)
    assert t.returncode == 2 and "no gatehoused in" in err


def test_restart_keeps_the_ports(stand_in):
    stand_in(GOOD)
    with Gateway(listeners=["strict auth=certificate"]) as gw:
        before = (gw.mqtts, gw.admin, gw.listeners["strict"], gw.pid)
        assert not stat.S_IMODE(os.stat(gw.dir).st_mode) & 0o022
        gw.restart()
        assert (gw.mqtts, gw.admin, gw.listeners["strict"]) == before[:3]
        assert gw.pid != before[3]
    assert not gw.dir.exists()


def test_kill_leaves_no_process(stand_in):
    stand_in("import subprocess\nready()\n"
             "subprocess.Popen(['/bin/sleep', '1000'])\nuntil_term()\n")
    gw = Gateway()
    pid = gw.pid
    assert gateway.children(pid)
    for child in gateway.children(pid):
        os.kill(child, signal.SIGKILL)
    gw.kill()
    assert not gateway.running(pid) and Gateway.live == []
    gw.start()
    gw.close()


@pytest.mark.parametrize("line", [
    "==12==ERROR: AddressSanitizer: heap-use-after-free",
    "WARNING: ThreadSanitizer: data race",
    "daemon/mqtt/decode.c:10:3: runtime error: shift exponent 64 is too large",
    "2026-01-01T00:00:00.000Z error   broker: internal error: daemon/base/map.c:1: value != NULL",
])
def test_a_report_in_the_log_is_an_error(stand_in, line):
    stand_in(f"ready()\nprint({line!r}, file=sys.stderr)\nuntil_term()\n")
    gw = Gateway()
    with pytest.raises(AssertionError, match=re.escape(line.split(": ")[-1])):
        gw.close()


def test_a_failing_start_shows_the_log(stand_in):
    stand_in("print('the state directory is not ours', file=sys.stderr)\nsys.exit(1)\n")
    with pytest.raises(RuntimeError, match="the state directory is not ours"):
        Gateway()


def test_processes_by_name(stand_in):
    stand_in("import subprocess\nready()\n"
             "p = subprocess.Popen(['/bin/sh', '-c', 'read x', '--process', 'vault'], stdin=subprocess.PIPE)\n"
             "until_term()\np.kill()\n")
    with Gateway() as gw:
        found = gateway.wait_until(gw.processes, what="a child")
        assert list(found) == ["vault"] and gateway.running(found["vault"])


def test_abstract_names_do_not_meet(stand_in, tmp_path):
    """Two gateways at the same time are told apart."""
    stand_in(GOOD)
    with Gateway() as a, Gateway() as b:
        ports = {a.mqtts, a.mqtt, a.wss, a.admin, a.enrol, b.mqtts, b.mqtt, b.wss, b.admin, b.enrol}
        assert len(ports) == 10 and a.pid != b.pid
    assert socket.socket().connect_ex(("127.0.0.1", a.mqtts)) != 0
