# SPDX-License-Identifier: Apache-2.0
"""Messages of a watch as Server-Sent Events."""

import pytest

from conftest import PASSWORD
from gateway import wait_until
from mqtt import V5, Client
from test_stream import Stream


@pytest.fixture
def begin(gw, login):
    """begin(who): (who, path of the stream of a watch of theirs)."""
    opened = []

    def start(who=None, **more):
        who = who or login("operator")
        status, answer = who.call("POST", "/watches", {"filter": "w/#"})
        assert status == 201, answer
        stream = Stream(who, f"/api/v1/watches/{answer['id']}/stream", **more)
        opened.append((who, answer["id"], stream))
        return who, answer["id"], stream

    yield start
    for who, number, stream in opened:
        stream.close()
        who.call("DELETE", f"/watches/{number}")


def say(gw, text):
    gw.cli("publish", "w/x", text)


def test_messages_come_as_they_are_published(gw, begin):
    who, number, stream = begin()
    assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
    for text in ("one", "two"):
        say(gw, text)
        kind, message, seq = stream.next()
        assert (kind, message["topic"], message["text"], int(seq)) == ("message", "w/x", text, message["seq"])


def test_it_ends_with_the_watch(gw, begin):
    who, number, stream = begin()
    assert who.call("DELETE", f"/watches/{number}")[0] == 200
    assert stream.next("ended")[1] and stream.next() is None


def test_a_watch_that_nobody_reads_ends(gw, begin):
    who, number, stream = begin()
    stream.close()
    # Asking with DELETE would keep it alive: the end of a watch is the beginning of room for another.
    more = []
    for _ in range(3):
        more.append(who.call("POST", "/watches", {"filter": "w/#"})[1]["id"])
    assert who.call("POST", "/watches", {"filter": "w/#"})[0] == 429
    wait_until(lambda: who.call("POST", "/watches", {"filter": "w/#"})[0] == 201, what="the end of a watch")


def test_whose_it_is_not(gw, begin, login, stranger):
    _, number, _ = begin()
    path = f"/api/v1/watches/{number}/stream"
    assert login("admin").request("GET", path).status == 404
    assert stranger.request("GET", path).status == 401
    assert login("viewer").request("POST", path, {}).status == 405
    assert login("viewer").request("GET", "/api/v1/watches/none/stream").status == 404


def test_it_ends_with_the_session(gw, begin):
    who, _, stream = begin()
    say(gw, "before")
    assert stream.next("message")
    assert who.call("DELETE", "/sessions/0")[0] == 200
    assert stream.next("ended") and stream.next() is None


def test_a_page_must_ask_for_it(gw, login):
    """A watch begins with the word that only a page of ours can read."""
    who = login("viewer")
    who.page = ""
    assert who.call("POST", "/watches", {"filter": "#"})[0] == 403


@pytest.mark.parametrize("level, shown", [("viewer", False), ("operator", True), ("admin", True)])
def test_what_messages_say_is_for_operators(gw, begin, login, level, shown):
    """A viewer sees topic, size and QoS: of a watch and of retained messages."""
    who, number, stream = begin(login(level))
    gw.cli("publish", "w/said", "secret", "--qos", "1", "--retain")
    message = stream.next("message")[1]
    status, kept = who.call("GET", "/retained?filter=w/said")
    assert status == 200
    for m in (message, *kept["items"]):
        assert (m["topic"], m["size"], m["qos"]) == ("w/said", 6, 1)
        assert (m["text"], m["hex"], m["cut"], m["hidden"]) == ("secret" if shown else None, None, False, not shown)
    gw.cli("publish", "w/said", "", "--empty", "--retain", check=False)


def test_it_ends_with_the_level(gw, begin, login):
    """Who becomes a viewer sees no payloads of a watch that began before."""
    gw.cli("admin", "add", "falling", "operator", input=PASSWORD + "\n")
    who, number, stream = begin(login("falling"))
    say(gw, "before")
    assert stream.next("message")[1]["text"] == "before"
    gw.cli("admin", "set", "falling", "--level", "viewer")
    say(gw, "after")
    seen = []
    while (event := stream.next()):
        seen.append(event)
    assert "after" not in str(seen)
    status, said = who.call("GET", f"/watches/{number}")
    assert status in (401, 403), said


def test_a_trace_with_payloads_is_for_operators(login):
    assert login("viewer").call("POST", "/traces", {"topic": "w/#", "payload": True})[0] == 403


def test_a_viewer_watches_and_does_not_publish(login):
    who = login("viewer")
    assert who.call("POST", "/messages", {"topic": "w/x"})[0] == 403
    assert who.call("DELETE", "/retained?topic=w/x")[0] == 403
    assert who.call("GET", "/retained")[0] == 200


def test_who_reads_slowly_is_told_how_much_is_missing(gw, begin):
    """More is published than all buffers on the way hold; the stream goes on."""
    bundle = gw.bundle("talker")
    gw.cli("acl", "allow", "device:talker", "publish", "w/#")
    who, _, stream = begin(receive=4096)
    other, seq, sent = who.call("POST", "/watches", {"filter": "w/#"})[1]["id"], 0, 0
    with Client.tls(gw.mqtts, V5, ca=bundle / "ca.crt", cert=bundle / "device.crt", key=bundle / "device.key") as c:
        c.connect("talker")
        for _ in range(120):  # no faster than the gateway can tell them
            for _ in range(4):
                c.publish("w/x", b"\xff" * 4000, qos=1)
            sent += 4
            left_out = 0
            while seq + left_out < sent:
                answer = who.call("GET", f"/watches/{other}?after={seq}&wait=20000")[1]
                seq, left_out = seq + len(answer["items"]), answer["dropped"]
        got = dropped = 0
        while got + dropped < sent:
            kind, data, _ = stream.next()
            got, dropped = (got + 1, dropped) if kind == "message" else (got, data)
        assert got > 50 and dropped > 0
        c.publish("w/x", b"after", qos=1)
    while stream.next("message")[1]["text"] != "after":
        pass
