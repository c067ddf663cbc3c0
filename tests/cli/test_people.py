# SPDX-License-Identifier: Apache-2.0
"""Administrators, API tokens and the audit log from the command line."""

import os
import pty
import subprocess

import pytest

from gateway import build

OK, FAILED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND, CONFLICT = range(7)
PASSWORD = "a long enough secret\n"


@pytest.fixture(scope="module")
def gw(gateway):
    gateway.cli("setup", "--admin", "ann", input=PASSWORD)
    return gateway


def fails(gw, *words, code, says, **options):
    done = gw.cli(*words, check=False, **options)
    assert done.returncode == code and done.stdout == "", done
    assert done.stderr.startswith("gatehouse: ") and says in done.stderr, done.stderr


def admins(gw):
    return {a["name"]: a for a in gw.json("admin", "list")}


def test_setup_makes_an_administrator_with_the_highest_level(gw):
    assert admins(gw)["ann"]["level"] == "admin"
    fails(gw, "setup", code=USAGE, says="--admin NAME")
    fails(gw, "setup", "--admin", "ann", input=PASSWORD, code=CONFLICT, says='"ann" already')


def test_a_password_comes_from_a_file(gw, tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD + "another line\n")
    gw.cli("admin", "add", "bert", "viewer", "--password-file", file)
    assert admins(gw)["bert"]["level"] == "viewer"
    file.write_text("short\n")
    fails(gw, "admin", "reset", "bert", "--password-file", file, code=USAGE, says="10 to 511")
    fails(gw, "admin", "reset", "bert", "--password-file", tmp_path / "none", code=USAGE, says="No such file")


def test_a_terminal_asks_twice_without_echo(gw):
    """And nothing is changed when the two differ."""
    words = [str(build() / "gatehouse"), "--socket", gw.socket, "admin", "add", "carl", "operator"]
    for second, code in (("something else", USAGE), ("typed on a terminal", OK)):
        ours, theirs = pty.openpty()
        p = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
        os.close(theirs)
        seen = read_until(ours, b"Password: ")
        os.write(ours, b"typed on a terminal\n")
        seen += read_until(ours, b"The same again: ")
        os.write(ours, second.encode() + b"\n")
        assert p.wait(30) == code
        os.close(ours)
        assert b"typed" not in seen
        assert ("carl" in admins(gw)) == (code == OK)


def read_until(fd, wanted):
    seen = b""
    while wanted not in seen:
        seen += os.read(fd, 1024)
    return seen


def test_levels_and_the_last_administrator(gw):
    gw.cli("admin", "add", "dora", "operator", input=PASSWORD)
    gw.cli("admin", "set", "dora", "--level", "viewer", "--disabled")
    assert admins(gw)["dora"]["level"] == "viewer" and admins(gw)["dora"]["enabled"] is False
    fails(gw, "admin", "set", "dora", code=USAGE, says="--level")
    fails(gw, "admin", "set", "dora", "--level", "chief", code=USAGE, says="viewer, operator, admin")
    fails(gw, "admin", "remove", "ann", code=CONFLICT, says="last administrator")
    gw.cli("admin", "remove", "dora")
    fails(gw, "admin", "remove", "dora", code=NOT_FOUND, says='"dora"')


def test_tokens_are_shown_once(gw):
    made = gw.json("token", "add", "grafana", "viewer", "--operation", "status", "--ttl", "30d")
    assert made["token"].startswith("gh_") and len(made["token"]) == 67
    listed = {t["name"]: t for t in gw.json("token", "list")}["grafana"]
    assert "token" not in listed and listed["operations"] == ["status"] and not listed["expired"]
    fails(gw, "token", "add", "grafana", "viewer", code=CONFLICT, says="already")
    fails(gw, "token", "add", "other", "viewer", "--operation", "everything", code=USAGE,
          says='"everything" is no operation')
    text = gw.cli("token", "add", "prometheus", "viewer").stdout
    assert "shown only now" in text and "Authorization: Bearer" in text
    gw.cli("token", "remove", "grafana")
    fails(gw, "token", "remove", "grafana", code=NOT_FOUND, says="grafana")


def test_the_audit_log_holds_what_was_tried(gw):
    gw.cli("device", "add", "pump-9")
    gw.cli("device", "remove", "ghost", check=False)
    rows = gw.json("audit", "list", "--operation", "device.")
    assert [(r["operation"], r["target"], r["outcome"]) for r in rows[:2]] == [
        ("device.remove", "ghost", "not-found"), ("device.add", "pump-9", "ok")]
    assert rows[1]["actor"].startswith("uid ") and rows[1]["changes"] == [{"kind": "device", "object": "pump-9"}]
    assert [r["target"] for r in gw.json("audit", "list", "--outcome", "not-found", "--target", "ghost")] == ["ghost"]
    assert not any("secret" in str(r) for r in gw.json("audit", "list"))
