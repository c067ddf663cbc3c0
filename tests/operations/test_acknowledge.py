# SPDX-License-Identifier: Apache-2.0
"""Events that somebody has looked at: one, all of a kind, with a note, and back."""

import pytest

from gateway import Gateway
from mqtt import V5, Client

PASSWORD = "a secret of devices"


@pytest.fixture(scope="module")
def gw():
    with Gateway(listeners=["tcp tls=off auth=password"]) as made:
        for name in ("pump-1", "pump-2"):
            made.cli("device", "add", name, "--password", input=PASSWORD + "\n")
            c = Client.tcp(made.listeners["tcp"], V5)
            c.connect(name, username=name, password=PASSWORD)
            for n in range(3):
                assert c.publish(f"x/{n}", qos=1) >= 0x80
            c.disconnect()
        yield made


def denied(gw, state):
    return [(e["seq"], e["device"]) for e in gw.json("event", "list", "--name", "acl.denied", "--state", state)]


def test_one_event(gw):
    seq, device = denied(gw, "open")[0]
    assert gw.cli("event", "acknowledge", seq, "--note", "a wrong topic").stdout == "1 event is acknowledged\n"
    assert denied(gw, "acknowledged") == [(seq, device)] and len(denied(gw, "open")) == 5
    event = next(e for e in gw.json("event", "list", "--name", "acl.denied") if e["seq"] == seq)
    assert event["acknowledged"]["note"] == "a wrong topic" and "control socket" in event["acknowledged"]["actor"]
    assert f"there is no event {seq} that is open" in gw.cli("event", "acknowledge", seq, check=False).stderr
    said = gw.cli("event", "list", "--name", "acl.denied").stdout.splitlines()
    assert "note=a wrong topic" in said[0] and said[1].endswith(f"  seq={denied(gw, 'open')[0][0]}")
    gw.cli("event", "acknowledge", seq, "--undo")
    assert len(denied(gw, "open")) == 6
    audit = next(a for a in gw.json("audit", "list") if a["operation"] == "event.acknowledge")
    assert audit["target"] == f"event {seq}"
    told = gw.json("event", "list", "--name", "event.acknowledged")
    assert [e["detail"].get("undo", False) for e in told] == [False, True]


def test_all_of_a_kind(gw):
    events = denied(gw, "open")
    second = [seq for seq, device in events if device == "pump-2"]
    said = gw.cli("event", "acknowledge", "--name", "acl.denied", "--who", "pump-2", "--through", second[1]).stdout
    assert said == "2 events are acknowledged\n"
    assert denied(gw, "acknowledged") == [(s, "pump-2") for s in second[:2]]
    assert gw.json("event", "acknowledge", "--name", "acl.denied", "--reason", "another")["events"] == 0
    assert gw.json("event", "acknowledge", "--name", "acl.denied", "--reason", "no rule allows it")["events"] == 4
    assert denied(gw, "open") == []
    assert gw.json("event", "acknowledge", "--name", "acl.denied", "--undo")["events"] == 6


def test_what_is_asked_must_be_plain(gw):
    for words, says in (((), "say which: the NUMBER of one event"),
                        (("x",), "x is no number of an event"),
                        ((1, "--name", "acl.denied"), "say which: the NUMBER of one event"),
                        ((4711,), "there is no event 4711")):
        assert says in gw.cli("event", "acknowledge", *words, check=False).stderr
    assert "allowed are open, acknowledged" in gw.cli("event", "list", "--state", "x", check=False).stderr
