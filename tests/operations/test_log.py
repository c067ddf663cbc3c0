# SPDX-License-Identifier: Apache-2.0
"""The newest lines of the log of every process: read, narrowed, followed, and kept over the end of one."""

import json
import os
import signal
import subprocess

import pytest

from gateway import Gateway, build, wait_until


@pytest.fixture(scope="module")
def gw():
    with Gateway() as made:
        yield made


def lines(gw, *options):
    return [json.loads(line) for line in gw.cli("--json", "log", *options).stdout.splitlines()]


def test_every_process_is_heard(gw):
    items = lines(gw, "--last", "1000")
    assert {"vault", "store", "parent"} <= {i["process"] for i in items}
    assert [i["seq"] for i in items] == sorted(i["seq"] for i in items)
    serves = [i for i in items if i["process"] == "parent" and i["text"].startswith("gatehouse ")]
    assert serves and serves[0]["level"] == "notice" and serves[0]["text"].endswith(" serves")


def test_what_one_wants_to_see(gw):
    assert {i["process"] for i in lines(gw, "--process", "vault")} == {"vault"}
    assert all("CERTIFICATE" in i["text"].upper() for i in lines(gw, "--match", "CertiFicate"))
    assert len(lines(gw, "--last", "2")) == 2
    assert not any(i["level"] in ("notice", "info", "debug") for i in lines(gw, "--level", "warning"))
    said = gw.cli("log", "--process", "parent", "--match", "serves").stdout
    assert said.count("\n") == 1 and "  notice   parent  gatehouse " in said
    done = gw.cli("log", "--level", "loud", check=False)
    assert done.returncode == 2 and '"loud" is no level; allowed are error' in done.stderr
    done = gw.cli("log", "--process", "cluster", check=False)
    assert done.returncode == 2 and '"cluster" is no process' in done.stderr


def test_it_is_followed(gw):
    command = [build() / "gatehouse", "--socket", gw.socket, "log", "--follow", "--match", "device.added"]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        # It follows from when it asked first; what was said before that is not shown.
        os.set_blocking(follower.stdout.fileno(), False)
        added = 0

        def heard():
            nonlocal added
            gw.cli("device", "add", f"pump-{(added := added + 1)}")
            return follower.stdout.readline()

        line = wait_until(heard, what="a line")
        assert "  notice   store   device.added" in line
    finally:
        follower.kill()
        follower.wait()


def test_it_outlives_processes(gw):
    """What is said while the store is away waits for the next one; the last words of a process are kept."""
    before = gw.processes()
    os.kill(before["store"], signal.SIGKILL)
    wait_until(lambda: gw.processes().get("store") not in (None, before["store"]), what="a new store")
    wait_until(lambda: gw.cli("log", check=False).returncode == 0, what="an answer")
    said = wait_until(lambda: lines(gw, "--process", "parent", "--match", "store ended"), what="the line")
    assert "killed by signal 9" in said[0]["text"] and said[0]["level"] == "error"
    os.kill(before["broker"], signal.SIGKILL)
    wait_until(lambda: gw.processes().get("broker") not in (None, before["broker"]), what="a new broker")
    wait_until(lambda: lines(gw, "--process", "parent", "--match", "broker serves again"), what="the line")
    assert lines(gw, "--match", "broker ended (killed by signal 9")
