# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a real machine: one clear line each, nothing lost, and the gateway starts, or goes
on, or says why not."""

import json
import os
import pathlib
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time

import pytest

import mqtt
from gateway import wait_until

ROOT = os.geteuid() == 0


def errors_of(done):
    return [x for x in done.stderr.splitlines() if " error " in x]


def refuses(done, *parts, code=1):
    """It ended at once, with one line that says all of this."""
    assert done.returncode == code, done
    lines = errors_of(done)
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert str(part) in lines[0], lines[0]


# -- at the start

def test_a_port_in_use(daemon):
    with socket.create_server(("127.0.0.1", daemon.mqtt)):
        refuses(daemon.run(), 'listener "mqtt"', f"127.0.0.1:{daemon.mqtt}", "in use", "choose another port")
    assert not os.path.exists(daemon.socket)


def test_several_ports_in_use_are_all_named(daemon):
    with socket.create_server(("127.0.0.1", daemon.mqtt)), socket.create_server(("127.0.0.1", daemon.admin)):
        done = daemon.run()
    assert done.returncode == 1
    assert len(errors_of(done)) == 2


def test_own_files_serve(daemon):
    daemon.own_certificate()
    daemon.start()
    daemon.await_ready()
    assert daemon.shown_name() == "own"
    assert daemon.stop() == 0


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o640])
def test_a_key_that_others_may_read(daemon, mode):
    key, _ = daemon.own_certificate()
    key.chmod(mode)
    refuses(daemon.run(), "listener mqtts", f"key = {key}", "others may read", f"mode 0{mode:o}", f"chmod 0600 {key}")
    done = daemon.run("--test-config")
    assert done.returncode == 2 and "others may read" in done.stderr


@pytest.mark.parametrize("what", ["key", "certificate"])
def test_a_file_that_is_not_there(daemon, what):
    daemon.own_certificate()
    path = daemon.config["listener mqtts"][what]
    path.unlink()
    refuses(daemon.run(), "listener mqtts", f"{what} = {path}", "No such file")


def test_a_pipe_in_place_of_a_key(daemon):
    key, _ = daemon.own_certificate()
    key.unlink()
    os.mkfifo(key, 0o600)
    refuses(daemon.run(timeout=20), f"key = {key}", "not a file")


def test_a_key_that_does_not_fit(daemon):
    key, _ = daemon.own_certificate()
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key],
                   check=True)
    done = daemon.run()
    assert done.returncode == 1
    assert any("listener mqtts" in x and "do not belong together" in x for x in errors_of(done)), done.stderr


@pytest.mark.parametrize("text", [
    "", "no key at all\n", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none(daemon, text):
    key, _ = daemon.own_certificate()
    key.write_text(text)
    done = daemon.run()
    assert done.returncode == 1
    assert any("mqtts" in x and str(key) in x for x in errors_of(done)), done.stderr


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_state_directory_that_others_may_write(daemon, mode):
    daemon.state.mkdir()
    daemon.state.chmod(mode)
    refuses(daemon.run(), f"the state directory {daemon.state}", "nobody else may write", f"mode 0{mode:o}")


def used(d):
    """The gateway has run once, and has one device."""
    d.start()
    d.await_ready()
    d.cli("device", "add", "pump-1", "--bundle", d.dir / "pump-1")
    d.cli("acl", "allow", "device:pump-1", "all", "plant/#")
    assert d.stop() == 0
    d.forget_fds()


def serves_pump(d):
    c = mqtt.Client.tls(d.mqtts, mqtt.V5, bundle=d.dir / "pump-1")
    c.connect("pump-1")
    assert c.publish("plant/x", b"x", qos=1) in (0, 0x10)
    c.disconnect()


@pytest.mark.parametrize("name", ["vault", "store"])
def test_a_private_directory_that_others_may_read(daemon, name):
    used(daemon)
    (daemon.state / name).chmod(0o750)
    refuses(daemon.run(), daemon.state / name, "may be read by others", f"chmod 0700 {daemon.state / name}")


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_a_directory_of_another_user(daemon):
    used(daemon)
    shutil.chown(daemon.state / "store", 12345)
    refuses(daemon.run(), daemon.state / "store", "belongs to user 12345", "chown -R")


def test_a_file_in_place_of_a_directory(daemon):
    daemon.state.write_text("")
    refuses(daemon.run(), daemon.state, "Not a directory", code=2)


def test_another_instance(daemon):
    daemon.start()
    daemon.await_ready()
    other = daemon.another()
    other.config["gateway"]["state-dir"] = daemon.state
    refuses(other.run(), "another gateway runs", daemon.state, f"process {daemon.process.pid}")
    assert daemon.stop() == 0


@pytest.mark.skipif(not ROOT, reason="an ordinary user's gateway looks for no users")
def test_users_that_do_not_exist(daemon):
    daemon.config["gateway"]["user-prefix"] = "nobody-"
    refuses(daemon.run(), "there is no user nobody-", "gateway.user-prefix")


def test_a_run_directory_too_long_for_a_socket(daemon):
    daemon.config["gateway"]["run-dir"] = daemon.dir / ("x" * 100)
    refuses(daemon.run(), "control socket", "gateway.run-dir")


# -- databases

def trouble(d):
    """The errors in the log but those that are events, which are listed there too."""
    return [x for x in d.log_lines(" error ") if not re.search(r"store: [a-z.-]+ (device|actor)=", x)]


def damage_header(path):
    with open(path, "r+b") as f:
        f.write(os.urandom(4096))


def damage_all(path):
    path.write_bytes(os.urandom(20000))


def damage_middle(path):
    """Every page but the first: what is found only by reading the tables."""
    with open(path, "r+b") as f:
        size = f.seek(0, 2)
        f.seek(4096)
        f.write(b"\xa5" * (size - 4096))


def cut(path):
    os.truncate(path, 5000)


@pytest.mark.parametrize("damage", [damage_header, damage_all, damage_middle, cut])
def test_a_corrupt_registry_is_set_aside(daemon, damage):
    used(daemon)
    path = daemon.state / "store" / "registry.db"
    damage(path)
    before = path.read_bytes()
    daemon.start()
    daemon.await_ready()
    lines = trouble(daemon)
    assert len(lines) == 1 and "registry.db was damaged" in lines[0], lines
    aside = list(path.parent.glob("registry.db.corrupt-*"))
    assert [p.read_bytes() for p in aside] == [before]
    assert str(aside[0].name) in lines[0]
    # It works: empty, with the same authority, and what was issued stays known to the vault.
    assert daemon.cli("device", "list", "--json").stdout == ""
    daemon.cli("device", "add", "pump-1", "--bundle", daemon.dir / "again")
    assert (daemon.dir / "again" / "ca.crt").read_text() == (daemon.dir / "pump-1" / "ca.crt").read_text()
    assert "was set aside" in daemon.cli("event", "list").stdout or "damaged" in daemon.cli("event", "list").stdout
    assert daemon.stop() == 0


@pytest.mark.parametrize("damage", [damage_header, damage_all, damage_middle, cut])
def test_corrupt_events_cost_only_the_events(daemon, damage):
    used(daemon)
    path = daemon.state / "store" / "events.db"
    damage(path)
    before = path.read_bytes()
    daemon.start()
    daemon.await_ready()
    lines = trouble(daemon)
    assert len(lines) == 1 and "events.db was damaged" in lines[0], lines
    assert [p.read_bytes() for p in path.parent.glob("events.db.corrupt-*")] == [before]
    serves_pump(daemon)
    assert "client.connected" in daemon.cli("event", "list").stdout
    assert daemon.stop() == 0


def test_a_database_of_a_newer_version(daemon):
    """Going back to an older program does not destroy what a newer one wrote."""
    used(daemon)
    path = daemon.state / "store" / "registry.db"
    with sqlite3.connect(path) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.close()
    done = daemon.run()
    assert done.returncode == 1
    assert any("registry.db" in x and "newer" in x for x in errors_of(done)), done.stderr
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    daemon.start()
    daemon.await_ready()
    serves_pump(daemon)
    assert daemon.stop() == 0


def test_a_lost_vault_key(daemon):
    """Nothing is made anew in silence where devices trust the old root."""
    used(daemon)
    for path in (daemon.state / "vault").glob("root*"):
        path.unlink()
    done = daemon.run()
    assert done.returncode == 1
    assert any("root.crt is missing" in x and "restore" in x for x in errors_of(done)), done.stderr
    assert not (daemon.state / "vault" / "root.crt").exists()


# -- full disk

SMALL = ["sh", "-c", "mount -t tmpfs -o size=$0,mode=0755 none $1 && shift 1 && exec \"$@\""]


def on_small_disk(d, size="6m"):
    """The state directory on a file system of its own that nobody else sees. Its path from outside."""
    d.state.mkdir()
    if not ROOT:
        d.config["gateway"]["user-prefix"] = ""
    d.start(wrapper=["unshare", "-m" if ROOT else "-rm", "--propagation", "private", *SMALL, size, str(d.state)])
    d.await_ready()
    return pathlib.Path(f"/proc/{d.process.pid}/root{d.state}")


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_disk(daemon):
    """Changes are refused and say why; those that were made stay; clients go on; it heals by itself."""
    state = on_small_disk(daemon)
    daemon.cli("device", "add", "pump-1", "--bundle", daemon.dir / "pump-1")
    daemon.cli("acl", "allow", "device:pump-1", "all", "plant/#")
    c = mqtt.Client.tls(daemon.mqtts, mqtt.V5, bundle=daemon.dir / "pump-1")
    c.connect("live")
    fill(state)
    failed, done = [], 0
    while not failed and done < 500:
        result = daemon.cli("device", "add", f"extra-{done}", "--note", "n" * 250, check=False)
        failed = [result] if result.returncode else []
        done += not failed
    assert failed, "the disk did not get full"
    assert failed[0].returncode == 1
    assert "disk" in failed[0].stderr or "full" in failed[0].stderr, failed[0].stderr
    assert c.publish("plant/x", b"x", qos=1) in (0, 0x10)
    serves_pump(daemon)
    names = {json.loads(x)["name"] for x in daemon.cli("device", "list", "--json").stdout.splitlines()}
    assert names == {"pump-1", *(f"extra-{i}" for i in range(done))}
    assert daemon.log_lines("full")
    # A certificate is not issued either: the vault writes before it answers.
    refused = daemon.cli("device", "add", "more", "--bundle", daemon.dir / "more", check=False)
    assert refused.returncode == 1
    (state / "filler").unlink()
    daemon.cli("device", "add", "after", "--bundle", daemon.dir / "after")
    assert c.publish("plant/x", b"x", qos=1) in (0, 0x10)
    c.disconnect()
    assert all(p["restarts"] == 0 for p in json.loads(daemon.cli("status", "--json").stdout)["processes"])
    assert daemon.stop() == 0


def test_a_process_that_starts_on_a_full_disk(daemon):
    """The store comes back although nothing can be written, and knows everything."""
    state = on_small_disk(daemon)
    daemon.cli("device", "add", "pump-1", "--bundle", daemon.dir / "pump-1")
    daemon.cli("acl", "allow", "device:pump-1", "all", "plant/#")
    fill(state)
    old = daemon.processes()["store"]
    os.kill(old, 9)
    wait_until(lambda: daemon.processes().get("store", old) != old, what="another store")
    serves_pump(daemon)
    (state / "filler").unlink()
    wait_until(lambda: daemon.cli("device", "list", check=False).returncode == 0, 30, "the store")
    assert '"pump-1"' in daemon.cli("device", "list", "--json").stdout
    daemon.cli("device", "add", "after")
    assert daemon.stop() == 0


# -- clock

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
	static long long shift;
	if (!shift) {
		struct timespec now;
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
		shift = atoll(getenv("CLOCK_START")) - now.tv_sec;
	}
	const int rc = (int)syscall(SYS_clock_gettime, id, t);
	if (id == CLOCK_REALTIME)
		t->tv_sec += shift;
	return rc;
}
int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}
time_t time(time_t *to)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (to)
		*to = now.tv_sec;
	return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def clock():
    """clock(seconds since 1970): the environment of a program that begins at that time."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # the processes run under other users
        (folder / "clock.c").write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", folder / "clock.so", folder / "clock.c"], check=True)
        yield lambda seconds: {"LD_PRELOAD": str(folder / "clock.so"), "CLOCK_START": str(int(seconds))}


LONG_AGO = 946684800  # 2000-01-01


def test_a_clock_before_the_build_date(daemon, clock):
    """A machine without a battery: known devices work, nothing is issued, nothing expires."""
    used(daemon)
    daemon.start(env=clock(LONG_AGO))
    daemon.await_ready()
    lines = daemon.log_lines("parent: the clock says 2000-01-01")
    assert len(lines) == 1 and "before this program was built" in lines[0]
    serves_pump(daemon)
    done = daemon.cli("device", "add", "new", "--bundle", daemon.dir / "new", check=False)
    assert done.returncode == 3, done
    assert "clock" in done.stderr
    assert json.loads(daemon.cli("status", "--json").stdout)["clock"]["ok"] is False
    certs = [json.loads(x) for x in daemon.cli("cert", "list", "--json").stdout.splitlines()]
    assert not [c for c in certs if c["status"] == "expired"]
    assert daemon.stop() == 0
    daemon.forget_fds()
    daemon.start()
    daemon.await_ready()
    serves_pump(daemon)
    daemon.cli("device", "add", "new", "--bundle", daemon.dir / "new-2")
    assert daemon.stop() == 0


def test_the_first_start_with_a_wrong_clock(daemon, clock):
    """No authority is made with a beginning that devices would not believe; the next start makes it."""
    done = daemon.run(env=clock(LONG_AGO))
    assert done.returncode == 1
    assert any("vault: the clock shows 2000-01-01" in x and "set the clock" in x for x in errors_of(done)), done
    used(daemon)
    daemon.start()
    daemon.await_ready()
    serves_pump(daemon)
    assert daemon.stop() == 0


def test_a_clock_that_falls_back(daemon, clock):
    """Time as it was last known is the floor: a certificate that expired stays expired."""
    daemon.start(env=clock(time.time() + 400 * 86400))
    daemon.await_ready()
    daemon.cli("device", "add", "pump-1", "--bundle", daemon.dir / "pump-1")
    assert daemon.stop() == 0
    daemon.forget_fds()
    daemon.start()
    daemon.await_ready()
    done = daemon.cli("device", "add", "new", "--bundle", daemon.dir / "new", check=False)
    assert done.returncode == 3 and "clock" in done.stderr
    assert daemon.stop() == 0


# -- descriptors

def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_descriptor_limit(daemon):
    """Accepting is paced, not spinning; who is connected goes on; when there is room others get in."""
    limit = 128

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    daemon.start(preexec_fn=lower)
    daemon.await_ready()
    assert daemon.log_lines("only 128 descriptors per process")
    c = mqtt.Client.tcp(daemon.mqtt, mqtt.V5)
    c.connect("first")
    crowd = [socket.create_connection(("127.0.0.1", daemon.mqtt)) for _ in range(2 * limit)]
    broker = daemon.processes()["broker"]
    wait_until(lambda: len(os.listdir(f"/proc/{broker}/fd")) > limit - 40, what="a broker that is full")
    began, spent = time.monotonic(), cpu_seconds(broker)
    while time.monotonic() < began + 2:
        c.ping()
        time.sleep(0.1)
    assert cpu_seconds(broker) - spent < 0.5  # of 2 s: spinning would take nearly all of it
    # The gateway can still be asked, and can still be told something new.
    daemon.cli("status")
    daemon.cli("device", "add", "pump-1", "--bundle", daemon.dir / "pump-1")
    for s in crowd:
        s.close()
    wait_until(lambda: answers(daemon), 20, "room for others")
    serves_pump_without_rule(daemon)
    assert all(p["restarts"] == 0 for p in json.loads(daemon.cli("status", "--json").stdout)["processes"])
    assert daemon.stop() == 0


def answers(d):
    s = socket.create_connection(("127.0.0.1", d.mqtt))
    s.settimeout(1)
    s.sendall(mqtt.connect("later", version=mqtt.V5))
    try:
        return s.recv(1) == b"\x20"
    except OSError:
        return False
    finally:
        s.close()


def serves_pump_without_rule(d):
    c = mqtt.Client.tls(d.mqtts, mqtt.V5, bundle=d.dir / "pump-1")
    c.connect("pump-1")
    c.disconnect()
