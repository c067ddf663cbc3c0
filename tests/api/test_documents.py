# SPDX-License-Identifier: Apache-2.0
"""Bodies larger than those of other requests: only whoever may ask for a document has one read."""

import os
import pathlib
import socket

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


class Sender:
    """A large document whose body comes piece by piece."""

    def __init__(self, who, path="/api/v1/state/diff", length=8 * MB, more=""):
        raw = socket.create_connection((who.host, who.port), timeout=30,
                                       source_address=(who.source, 0) if who.source else None)
        self.wire = who.context.wrap_socket(raw, server_hostname=who.host)
        size = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
        self.wire.sendall(f"POST {path} HTTP/1.1\r\nHost: {who.host}\r\nCookie: {who.cookie}\r\n"
                          f"X-Gatehouse-Page: {who.page}\r\n{size}\r\n{more}\r\n".encode())

    def status(self):
        return int(self.wire.makefile("rb").readline().split()[1])

    def close(self):
        self.wire.close()


@pytest.fixture
def sender():
    opened = []

    def begin(who, **options):
        opened.append(Sender(who, **options))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


EXPECT = "Expect: 100-continue\r\n"


def test_the_places_are_not_for_strangers(gw, sender, stranger, login):
    """They are asked before their body is read: it takes no place, however many they are."""
    for _ in range(6):
        sender(stranger)  # and says no more
    assert [sender(stranger, more=EXPECT).status(), sender(stranger, length=0, more=EXPECT).status()] == [401, 401]
    assert sender(login("viewer"), more=EXPECT).status() == 403
    assert login("operator").call("POST", "/state/diff", LARGE)[0] == 400


def test_one_address_leaves_a_place_for_others(gw, sender, login):
    who, other = login("operator"), login("admin")
    other.source = "127.0.0.77"
    held = [sender(who, more=EXPECT) for _ in range(2)]
    assert [one.status() for one in held] == [100, 100]
    answer = who.request("POST", "/api/v1/state/diff", LARGE)
    assert answer.status == 503 and answer.headers["Retry-After"] == "5" and "try again" in answer.json()["detail"]
    assert other.call("POST", "/state/diff", LARGE)[0] == 400
    for one in held:
        one.close()
    wait_until(lambda: who.call("POST", "/state/diff", LARGE)[0] == 400, what="a place that was given back")


def test_who_sends_too_slowly_loses_the_place(gw, sender, login):
    """After ten seconds a large body is to have come at 64 KiB per second."""
    who = login("operator")
    slow = sender(who, more=EXPECT)
    assert slow.status() == 100
    slow.wire.sendall(b"{")
    assert slow.wire.recv(1) == b""  # long before the 60 s of silence or the 120 s of a request


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
