# SPDX-License-Identifier: Apache-2.0
"""What each process can not do: `gatehoused --probe` becomes that process (user, files, filter of system
calls) and tries. As root every process has a user of its own, and once all of them are root's; then a
gateway whose filter kills does its whole work."""

import os
import pathlib
import re
import stat

import pytest

from conftest import NAMES, Plant, Traffic
from daemon import Daemon
from gateway import TESTS

FILES = ["store", "vault"]  # those with a directory
PROBES = ["open-file", "open-key", "write-own", "write-outside", "exec", "fork", "inet-socket", "unix-socket",
          "connect", "bind", "ptrace", "signal", "signal-thread", "run-memory", "become-root", "limits"]
KILLED = {"exec", "ptrace", "become-root"}  # whatever the default is
PREFIXES = [None, ""] if os.geteuid() == 0 else [None]
PREFIX_IDS = ["users", "one-user"][:len(PREFIXES)]


@pytest.fixture(scope="module", params=PREFIXES, ids=PREFIX_IDS)
def prepared(request):
    """A configuration whose state directory has been in use, so that there are keys to reach."""
    d = Daemon()
    if request.param is not None:
        d.config["gateway"]["user-prefix"] = request.param
    d.start()
    d.await_ready()
    assert d.stop() == 0
    yield d
    d.close()


def probe(d, process, name, *options):
    done = d.run("--probe", f"{process}:{name}", *options, write=False)
    head, _, verdict = done.stdout.strip().partition(": ")
    assert head == f"{process} {name}", done
    return verdict, done.returncode


def test_every_probe_is_tried_here(prepared):
    done = prepared.run("--probe", "list", write=False)
    assert [line.split()[0] for line in done.stdout.splitlines()] == PROBES


@pytest.mark.parametrize("default", ["errno", "kill"])
@pytest.mark.parametrize("process", NAMES)
def test_what_a_process_can_not_do(prepared, process, default):
    for name in PROBES:
        verdict, code = probe(prepared, process, name, "-o", f"gateway.seccomp-default={default}")
        if name == "write-own":
            # A process without a directory has nothing to try.
            want = "allowed" if process in FILES else "denied (No such file or directory)"
        elif name in KILLED:
            want = "killed (Bad system call)"
        elif (process, name) == ("vault", "open-key"):
            want = "allowed"  # they are its own
        elif name in ("open-file", "open-key", "write-outside"):
            want = "denied (Permission denied)"
        else:
            want = "killed (Bad system call)" if default == "kill" else "denied (Function not implemented)"
        assert verdict == want, (process, name)
        assert code == (1 if verdict == "allowed" else 0)


@pytest.mark.parametrize("what, why", [
    ("nobody:exec", "there is no process nobody"), ("parent:exec", "there is no process parent"),
    ("broker:fly", "there is no probe fly"), ("broker", "there is no probe"),
])
def test_a_probe_that_is_none(prepared, what, why):
    done = prepared.run("--probe", what, write=False)
    assert done.returncode == 2 and why in done.stderr


def status_field(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    raise AssertionError(name)


def confinement(pid):
    return {n: status_field(pid, n) for n in ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp")}


NOTHING = {"CapInh": "0" * 16, "CapPrm": "0" * 16, "CapEff": "0" * 16, "CapAmb": "0" * 16,
           "NoNewPrivs": "1", "Seccomp": "2"}


@pytest.mark.parametrize("prefix", PREFIXES, ids=PREFIX_IDS)
def test_the_whole_work_under_a_filter_that_kills(make_gateway, prefix):
    """And as running processes show it: no capability, no new privileges, filter on, own descriptors."""
    settings = ["gateway.seccomp-default=kill"] + ([] if prefix is None else [f"gateway.user-prefix={prefix}"])
    plant = Plant(make_gateway(set=settings))
    gw = plant.gw
    with Traffic(plant) as t:
        t.flows()
        gw.cli("role", "add", "operators")
        gw.cli("device", "set", "meter", "--role", "operators", "--note", "in the hall")
        gw.cli("event", "list")
        gw.cli("config", "list")
        gw.cli("status")
        t.flows()
    c = plant.connect("panel")
    gw.cli("cert", "revoke", "--device", "panel")
    c.expect_closed()
    gw.cli("device", "remove", "panel")
    gw.cli("setup-code")
    assert all(p["restarts"] == 0 for p in plant.states().values())
    users = set()
    for name, pid in gw.processes().items():
        assert confinement(pid) == NOTHING, name
        users.add(status_field(pid, "Uid").split()[0])
        assert status_field(pid, "Groups") == "" or os.geteuid() != 0
        sockets = [os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        assert not any(s.startswith(gw.state) for s in sockets) or name in FILES
    if os.geteuid() == 0:
        assert len(users) == (len(NAMES) if prefix is None else 1)
        assert ("0" in users) == (prefix == "")


@pytest.mark.skipif(os.geteuid() != 0, reason="the parent of an ordinary user has nothing to give up")
def test_the_parent_keeps_what_it_needs(gateway):
    kept = int(status_field(gateway.pid, "CapEff"), 16)
    # chown, kill, setgid, setuid, net_bind_service
    assert kept == sum(1 << n for n in (0, 5, 6, 7, 10))


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd starts the service as root")
def test_the_units_capabilities_suffice(daemon):
    """Within the bounding set of the shipped unit everything starts, and nothing is complained of."""
    unit = (TESTS.parent / "packaging" / "systemd" / "gatehouse.service.in").read_text()
    names = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M).group(1).lower().replace("cap_", "+").split()
    daemon.start(wrapper=["setpriv", "--bounding-set=-all," + ",".join(names)])
    daemon.await_ready()
    assert sorted(daemon.processes()) == sorted(NAMES)
    assert daemon.stop() == 0
    assert daemon.log_lines(" warning | error ") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could read what belongs to others")
def test_a_key_of_somebody_else_is_not_read(daemon):
    """Neither at the start nor at a reload: the one must not promise what the other cannot do."""
    key, _ = daemon.own_certificate()
    os.chown(key, 65534, -1)
    done = daemon.run("--test-config")
    assert done.returncode == 2
    assert f"listener mqtts: key = {key}: Permission denied (it must belong to the user who starts" in done.stderr


def test_modes_of_what_is_kept(gateway):
    """Keys and databases are their process's alone; what is published is everybody's to read."""
    state = pathlib.Path(gateway.state)
    for folder in FILES:
        assert stat.S_IMODE((state / folder).stat().st_mode) == 0o700
        for path in (state / folder).rglob("*"):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
            assert path.stat().st_uid == (state / folder).stat().st_uid
    assert stat.S_IMODE((state / "pub").stat().st_mode) == 0o755
    assert stat.S_IMODE((state / "pub" / "roots.pem").stat().st_mode) == 0o644
    assert stat.S_IMODE((state / "ticket-secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(os.stat(gateway.socket).st_mode) == 0o660


def test_without_keys_nothing_is_tried():
    d = Daemon()
    d.write()
    verdict, code = probe(d, "broker", "open-key")
    assert verdict.startswith("not tried, there is no key in ") and code == 2
    d.close()
