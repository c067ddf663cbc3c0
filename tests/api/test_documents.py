# SPDX-License-Identifier: Apache-2.0
"""Bodies larger than those of other requests: only whoever may ask for a document has one read."""

import os
import pathlib

import pytest

from api import Api
from gateway import build, wait_until

MB = 1 << 20
LARGE = "{" + " " * (1 << 20)


@pytest.mark.parametrize("method, path", [("POST", "/state/diff"), ("PUT", "/state")])
def test_a_large_body_is_not_read_for_everybody(gw, stranger, login, method, path):
    """It is no JSON: whoever reads it says so."""
    assert stranger.call(method, path, LARGE)[0] == 401
    stranger.token = "gh_" + "0" * 64
    assert stranger.call(method, path, LARGE)[0] == 401
    assert login("viewer").call(method, path, LARGE)[0] == 403
    status, answer = login("admin").call(method, path, LARGE)
    assert status == 400 and "not JSON" in answer["detail"]


def test_a_token_has_its_document_read(gw, login):
    status, made = login("admin").call("POST", "/tokens", {"name": "documents", "level": "operator",
                                                           "operations": ["state."]})
    assert status == 201
    robot = Api(gw.admin, gw.root_ca)
    robot.token = made["token"]
    body = '{"state":{"version":1,"devices":[]}}' + " " * (1 << 20)
    assert robot.call("POST", "/state/diff", body)[0] == 200
    assert robot.call("PUT", "/state", body)[0] == 403


def test_a_document_that_grows_when_it_is_read_is_refused(login):
    body = '{"state":{"version":1,"devices":[' + "0," * 7_000_000 + "0]}}"
    status, answer = login("operator").call("POST", "/state/diff", body)
    assert status == 400 and answer["field"] == "state" and "at most 16777216" in answer["detail"]
    assert login("operator").call("GET", "/status")[0] == 200


def resident(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def has_own_allocator():
    """A sanitizer's allocator keeps memory as it likes."""
    program = (build() / "gatehoused").read_bytes()
    return any(word in program for word in (b"__asan_init", b"__tsan_init"))


def test_the_memory_of_a_document_is_given_back(gw, login):
    """It takes some 100 MB while it is read, in pieces of a few bytes."""
    who = login("operator")
    devices = "".join(f',{{"name":"device-{i}","groups":["group-{i % 100}"]}}' for i in range(100_000))
    body = f'{{"state":{{"version":1,"devices":[{{}}{devices}]}}}}'
    status, answer = who.call("POST", "/state/diff", body)
    assert status == 400 and answer["field"].startswith("devices"), answer
    admin = gw.processes()["admin"]
    if not has_own_allocator():
        wait_until(lambda: resident(admin) < 40 * MB, what="less than 40 MiB of memory")
