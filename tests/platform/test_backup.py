# SPDX-License-Identifier: Apache-2.0
"""The nightly backup: what its service runs, its units, and that another machine comes back from one."""

import os
import re
import shutil
import subprocess

import pytest

from daemon import Daemon
from gateway import TESTS, build

SCRIPT = TESTS.parent / "packaging" / "systemd" / "backup"
UNITS = build() / "packaging" / "systemd"
PASSPHRASE = "a passphrase for the night"


@pytest.fixture(scope="module")
def gw(gateway):
    gateway.cli("device", "add", "pump", "--code")
    gateway.cli("backup", "set", input=PASSPHRASE + "\n")
    return gateway


@pytest.fixture
def places(tmp_path):
    return {"BACKUP_DIR": tmp_path / "backups"}


def backup(gw, places, **more):
    env = {**os.environ, "PATH": f"{build()}:{os.environ['PATH']}", "GATEHOUSE_SOCKET": str(gw.socket),
           **{k: str(v) for k, v in {**places, **more}.items()}}
    # Without a capability, as the unit runs it.
    return subprocess.run(["setpriv", "--bounding-set=-all", "--no-new-privs", SCRIPT], env=env,
                          capture_output=True, text=True, timeout=60)


def kept(places):
    return sorted(os.listdir(places["BACKUP_DIR"])) if places["BACKUP_DIR"].exists() else []


def test_another_machine_becomes_the_same_gateway(gw, places):
    done = backup(gw, places)
    assert done.returncode == 0, done
    (name,) = kept(places)
    assert re.fullmatch(r"gatehouse-\d{8}T\d{6}Z\.backup", name)
    file = places["BACKUP_DIR"] / name
    assert file.stat().st_mode & 0o777 == 0o600 and b"pump" not in file.read_bytes()
    d = Daemon()
    try:
        restored = subprocess.run([build() / "gatehouse", "ca", "restore", file, "--state-dir", d.state],
                                  input=PASSPHRASE + "\n", capture_output=True, text=True)
        assert restored.returncode == 0, restored
        d.start()
        d.await_ready()
        assert "pump" in d.cli("device", "list").stdout
        assert (d.state / "pub" / "roots.pem").read_text() == open(gw.root_ca).read()
    finally:
        d.close()


def test_the_newest_stay(gw, places):
    places["BACKUP_DIR"].mkdir()
    old = [f"gatehouse-2020010{i}T000000Z.backup" for i in range(1, 6)]
    for name in [*old, "gatehouse-20200101T000000Z.backup.new", "mine.backup"]:
        (places["BACKUP_DIR"] / name).write_text("old")
    assert backup(gw, places, BACKUP_KEEP=3).returncode == 0
    names = kept(places)
    assert names[-1] == "mine.backup" and names[:2] == old[-2:] and len(names) == 4


def test_one_that_fails_removes_none(gw, places, tmp_path):
    places["BACKUP_DIR"].mkdir()
    for i in range(3):
        (places["BACKUP_DIR"] / f"gatehouse-2020010{i}T000000Z.backup").write_text("old")
    before = kept(places)
    done = backup(gw, places, BACKUP_KEEP=1, GATEHOUSE_SOCKET=tmp_path / "none")
    assert done.returncode != 0 and kept(places) == before


def test_without_a_passphrase_nothing_is_written(make_gateway, places):
    done = backup(make_gateway(), places)
    assert done.returncode == 3 and "run gatehouse backup set" in done.stderr
    assert kept(places) == []


@pytest.mark.parametrize("keep", ["0", "x", "-1", "1.5", "10000"])
def test_how_many_is_a_number(gw, places, keep):
    done = backup(gw, places, BACKUP_KEEP=keep)
    assert done.returncode == 1 and f"BACKUP_KEEP={keep}: a whole number from 1" in done.stderr and kept(places) == []


def test_the_units_are_sound(tmp_path):
    service = (UNITS / "gatehouse-backup.service").read_text()
    (tmp_path / "gatehouse-backup.service").write_text(re.sub(r"(?<=ExecStart=)\S+/backup", str(SCRIPT), service))
    shutil.copy(TESTS.parent / "packaging" / "systemd" / "gatehouse-backup.timer", tmp_path)
    (tmp_path / "gatehouse.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "gatehouse-backup.service",
                           tmp_path / "gatehouse-backup.timer"], capture_output=True, text=True)
    assert done.returncode == 0 and "gatehouse-backup" not in done.stderr, done
