# SPDX-License-Identifier: Apache-2.0
"""Server-Sent Events: what a page that stays open is told."""

import json
import os
import signal
import socket

import pytest

from api import Api
from conftest import PASSWORD
from gateway import wait_until


class Stream:
    """A request whose answer does not end; next() gives one event at a time."""

    def __init__(self, who, path="/api/v1/stream", headers=(), receive=0):
        """receive: bytes that may wait on this side, 0: as the system thinks."""
        raw = socket.socket()
        raw.settimeout(30)
        if receive:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if who.source:
            raw.bind((who.source, 0))
        raw.connect((who.host, who.port))
        self.wire = who.context.wrap_socket(raw, server_hostname=who.host)
        fields = {"Host": who.host, "Cookie": who.cookie, "Accept": "text/event-stream", **dict(headers)}
        if who.token:
            fields["Authorization"] = f"Bearer {who.token}"
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v) + "\r\n"
        self.wire.sendall(head.encode())
        self.file = self.wire.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()):
            name, value = line.decode().split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.rest = b""

    def _piece(self):
        size = int(self.file.readline() or b"0", 16)
        piece = self.file.read(size)
        self.file.readline()
        return piece

    def next(self, kind=None):
        """(event, data, id) of the next one, or of the next one of this kind; None at the end."""
        while True:
            while b"\n\n" not in self.rest:
                piece = self._piece()
                if not piece:
                    return None
                self.rest += piece
            one, self.rest = self.rest.split(b"\n\n", 1)
            fields = dict(line.split(": ", 1) for line in one.decode().split("\n") if ": " in line)
            if "event" in fields and kind in (None, fields["event"]):
                data = fields.get("data", "")
                return fields["event"], json.loads(data) if data else None, fields.get("id")

    def close(self):
        self.file.close()
        self.wire.close()


@pytest.fixture
def stream(login):
    opened = []

    def open_one(who=None, **options):
        opened.append(Stream(who or login("viewer"), **options))
        return opened[-1]

    yield open_one
    for s in opened:
        s.close()


def test_events_come_as_they_happen_and_the_status_follows(gw, stream):
    s = stream()
    assert s.status == 200 and s.headers["content-type"] == "text/event-stream"
    status = s.next("status")[1]
    assert status["processes"]
    gw.cli("device", "add", "seen-live")
    while True:
        kind, event, seq = s.next("event")
        if event["event"] == "device.added":
            break
    assert event["device"] == "seen-live" and int(seq) == event["seq"]


def test_who_comes_back_misses_nothing_and_gets_nothing_twice(gw, stream):
    s = stream()
    gw.cli("device", "add", "before")
    _, first, seq = s.next("event")
    while first["event"] != "device.added":
        _, first, seq = s.next("event")
    s.close()
    gw.cli("device", "add", "between")
    again = stream(headers={"Last-Event-ID": seq})
    gw.cli("device", "add", "after")
    seen = []
    while "after" not in seen:
        event = again.next("event")[1]
        assert event["seq"] > int(seq)
        if event["event"] == "device.added":
            seen.append(event["device"])
    assert seen == ["between", "after"]


def test_since_says_where_to_begin(gw, stream):
    """As a parameter, for who can set no header; what is no number counts as none."""
    gw.cli("device", "add", "long-ago")
    seq = gw.json("event", "list", "--name", "device.added")[-1]["seq"]
    s = stream(path=f"/api/v1/stream?since={seq - 1}")
    kind, event, _ = s.next("event")
    assert event["device"] == "long-ago"
    s = stream(path="/api/v1/stream?since=" + "9" * 300)
    gw.cli("device", "add", "just-now")
    while (event := s.next("event")[1])["event"] != "device.added":
        assert event["seq"] > seq
    assert event["device"] == "just-now"


def test_who_missed_more_than_a_stream_holds_is_told_so(make_gateway):
    """Whether another one reads along or not: the lists are loaded anew."""
    gw = make_gateway(set=["events.rate-per-source=100000"])
    gw.cli("admin", "add", "ann", "viewer", input=PASSWORD + "\n")
    who = Api(gw.admin, gw.root_ca)
    who.login("ann", PASSWORD)
    first = gw.json("event", "list", "--last", "1")[-1]["seq"]
    for _ in range(1100):
        assert who.call("GET", "/administrators")[0] == 403
    streams = [Stream(who, headers={"Last-Event-ID": str(first)})]
    assert streams[0].next()[0] == "reset"
    gw.cli("device", "add", "seen-live")
    while streams[0].next("event")[1]["device"] != "seen-live":
        pass
    streams.append(Stream(who, headers={"Last-Event-ID": str(first)}))
    assert streams[1].next()[0] == "reset"
    for s in streams:
        s.close()


def test_every_stream_gets_every_event_once(gw, stream):
    streams = [stream() for _ in range(5)]
    gw.cli("device", "add", "for-all")
    for s in streams:
        seen = []
        while not seen or seen[-1]["device"] != "for-all":
            seen.append(s.next("event")[1])
        numbers = [e["seq"] for e in seen]
        assert numbers == sorted(set(numbers))


def test_nobody_takes_all_streams(gw, login):
    """24 of one address, so that its other requests find a connection; 64 of 128 of one login."""
    who, other = login("viewer"), login("operator")
    streams = []

    def fill(caller):
        while (s := Stream(caller)).status == 200:
            streams.append(s)
        s.close()
        return s.status

    try:
        assert fill(who) == 429 and len(streams) == 24
        assert who.request("GET", "/api/v1/status").status == 200
        for i in (2, 3, 4, 5):
            who.source = f"127.0.0.{i}"
            assert fill(who) == 429
        assert len(streams) == 64
        other.source = "127.0.0.6"
        assert fill(other) == 429 and len(streams) == 64 + 24
    finally:
        for s in streams:
            s.close()
    who.source = other.source = None
    wait_until(lambda: (s := Stream(who)).status == 200 and not s.close(), what="a place after they have gone")


def test_strangers_and_narrow_tokens_get_no_stream(gw, stranger):
    assert Stream(stranger).status == 401
    stranger.token = gw.json("token", "add", "narrow", "viewer", "--operation", "status")["token"]
    assert Stream(stranger).status == 403


def test_a_token_for_events_alone_gets_them_without_the_status(gw, stranger, stream):
    refused = len(gw.json("event", "list", "--name", "operation.refused", "--last", "1000"))
    stranger.token = gw.json("token", "add", "events-alone", "viewer", "--operation", "event.list")["token"]
    s, other = stream(stranger), stream()
    for _ in range(3):
        assert other.next("status")
    gw.cli("device", "add", "told-to-a-token")
    while True:
        kind, event, _ = s.next()
        assert kind == "event"
        if event["device"] == "told-to-a-token":
            break
    assert len(gw.json("event", "list", "--name", "operation.refused", "--last", "1000")) <= refused + 1
    while s._piece() != b":\n\n":
        pass  # something is written all the same, or nobody would notice that the client has gone


def test_a_session_that_ends_takes_its_stream_with_it(gw, stream, login):
    """And no other one."""
    who, other = login("operator"), login("viewer")
    s, stays = stream(who), stream(other)
    assert s.next("status") and stays.next("status")
    assert who.request("DELETE", "/api/v1/sessions/0").status == 200
    assert s.next("ended")[0] == "ended"
    assert s.next() is None
    gw.cli("device", "add", "still-told")
    while stays.next("event")[1]["device"] != "still-told":
        pass


def test_streams_survive_the_store(make_gateway):
    """They end at a restart of the store at worst, and can be opened again."""
    gw = make_gateway()
    gw.cli("admin", "add", "ann", "viewer", input=PASSWORD + "\n")
    who = Api(gw.admin, gw.root_ca)
    who.login("ann", PASSWORD)
    s = Stream(who)
    assert s.next("status")
    before = s.next("status")[1]
    os.kill(gw.processes()["store"], signal.SIGKILL)

    def told():
        found = s.next("status")
        return found is None or any(p["name"] == "store" and p["restarts"] > 0 for p in found[1]["processes"])
    wait_until(told, seconds=30, what="news of the store's restart")
    assert before["processes"]
    s.close()
