# SPDX-License-Identifier: Apache-2.0
"""Backups that the gateway makes by itself, under a passphrase that it does not have."""

import subprocess

import pytest

from gateway import build
from test_ca import connect, refuses, restore

WORD = "a long enough passphrase\n"


@pytest.fixture
def gw(make_gateway):
    return make_gateway()


def set_word(gw, word=WORD):
    return gw.cli("backup", "set", input=word).stdout


def test_without_a_passphrase_there_is_none(gw):
    file = gw.dir / "b"
    shown = gw.json("backup", "show")
    assert "run gatehouse backup set as root on the gateway, once" in shown.pop("why")
    assert shown == {"ready": False, "last": None, "last_actor": None}
    refuses(gw, "backup", "add", file, code=3, says="run gatehouse backup set")
    assert not file.exists()
    refuses(gw, "backup", "remove", code=5, says="no passphrase for backups is set")
    refuses(gw, "backup", "set", code=2, says="12", input="too short\n")
    assert not gw.json("backup", "show")["ready"]


def test_it_becomes_another_gateway(gw, make_gateway):
    bundle = gw.bundle("pump-1")
    gw.cli("config", "set", "broker.max-packet", "70000")
    assert "Keep it away" in set_word(gw)
    key = gw.dir / "state/vault/backup.key"
    assert key.stat().st_mode & 0o777 == 0o600 and WORD.strip().encode() not in key.read_bytes()
    file = gw.dir / "gateway.backup"
    assert "ca restore reads it" in gw.cli("backup", "add", file).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" not in file.read_bytes() and b"pump-1" not in file.read_bytes()
    refuses(gw, "backup", "add", file, code=2, says="name a new file")
    shown = gw.json("backup", "show")
    assert shown["ready"] and shown["why"] is None and shown["last"] and "uid" in shown["last_actor"]
    assert not list((gw.dir / "state/store").glob("registry.backup*"))
    assert [e for e in gw.json("event", "list") if e["event"] == "backup.made"]
    gw.stop()
    other = make_gateway(start=False)
    restore(other, file, other.dir / "state", typed=WORD)
    other.start()
    assert other.cli("ca", "check").stdout.endswith("0 problems\n")
    assert other.json("config", "show", "broker.max-packet")["value"] == "70000"
    connect(other, bundle).close()
    again = other.dir / "again"
    other.cli("backup", "add", again)  # under the same passphrase, which came along
    restore(make_gateway(start=False), again, other.dir / "third", typed=WORD)


def test_what_is_held_is_not_in_it(gw, make_gateway):
    set_word(gw)
    gw.cli("config", "set", "broker.max-packet", "70000", "--confirm-within", "600s")
    file = gw.dir / "b"
    gw.cli("backup", "add", file)
    other = make_gateway(start=False)
    restore(other, file, other.dir / "state", typed=WORD)
    assert not (other.dir / "state/settings.conf").exists() or \
        "70000" not in (other.dir / "state/settings.conf").read_text()


def test_two_of_them_share_no_key(gw):
    """The same passphrase and nonces: the files must differ from the first record on."""
    set_word(gw)
    a, b = gw.dir / "a", gw.dir / "b"
    gw.cli("backup", "add", a)
    gw.cli("backup", "add", b)
    a, b = a.read_bytes(), b.read_bytes()
    assert a[:39] == b[:39] and a.startswith(b"gatehouse backup 2\n")  # magic, rounds, salt
    assert a[60:100] != b[60:100]
    xored = bytes(x ^ y for x, y in zip(a[60:2000], b[60:2000]))
    assert xored.count(0) < 50  # a shared key stream would leave zeros where the plain bytes agree


def test_a_new_passphrase_is_for_what_follows(gw, tmp_path):
    set_word(gw)
    old, new = gw.dir / "old", gw.dir / "new"
    gw.cli("backup", "add", old)
    set_word(gw, "another long passphrase\n")
    gw.cli("backup", "add", new)
    gw.cli("backup", "remove")
    assert not gw.json("backup", "show")["ready"]
    refuses(gw, "backup", "add", gw.dir / "none", code=3, says="run gatehouse backup set")
    restore(gw, old, tmp_path / "a", typed=WORD)
    done = subprocess.run([build() / "gatehouse", "ca", "restore", new, "--state-dir", tmp_path / "b"], input=WORD,
                          capture_output=True, text=True)
    assert done.returncode == 3 and "does not open" in done.stderr


def test_a_damaged_key_file_is_named(gw):
    set_word(gw)
    (gw.dir / "state/vault/backup.key").write_text("nothing of that kind\n")
    refuses(gw, "backup", "add", gw.dir / "b", code=1, says="run gatehouse backup set again")
    set_word(gw)
    gw.cli("backup", "add", gw.dir / "b")
