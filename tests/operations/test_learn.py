# SPDX-License-Identifier: Apache-2.0
"""The learn mode: allowed for a time and noted, never beyond a deny rule or to $ topics; rules from it; what would
change; how it ends."""

import sqlite3
import time

import pytest

from gateway import Gateway, wait_until
from mqtt import V5, Client

PASSWORD = "a secret of devices"


@pytest.fixture
def gw():
    with Gateway(listeners=["tcp tls=off auth=password"], set=["broker.workers=2"]) as made:
        made.cli("role", "add", "meter")
        for name in ("pump-1", "pump-2"):
            made.cli("device", "add", name, "--password", "--role", "meter", input=PASSWORD + "\n")
        yield made


def client(gw, name):
    c = Client.tcp(gw.listeners["tcp"], V5)
    c.connect(name, username=name, password=PASSWORD)
    return c


def learnt(gw, *who):
    return {(i["device"], i["action"], i["topic"]): i["times"] for i in gw.json("learn", "show", *who)["items"]}


def may(c, topic):
    return c.publish(topic, qos=1) < 0x80


def test_it_allows_notes_proposes_and_ends(gw):
    gw.cli("acl", "deny", "any", "publish", "secret/#")
    c = client(gw, "pump-1")
    assert not may(c, "plant/pump-1/state")
    said = gw.cli("learn", "start", "device:pump-1", "--days", "3").stdout
    assert said.startswith("device:pump-1 learns until ") and "learn propose device:pump-1\n" in said
    (wide,) = [f for f in gw.json("security", "check")["findings"] if f["id"] == "acl.publish-all"]
    assert "device:pump-1 (learn mode; " in wide["objects"][0]
    assert may(c, "plant/pump-1/state") and may(c, "plant/pump-1/state")
    assert may(c, "line/1/x") and may(c, "line/2/x")
    for topic in ("secret/x", "$SYS/x", "$gw/x"):
        assert not may(c, topic)
    assert [code < 0x80 for code in c.subscribe("orders/#", "$SYS/#", check=False)] == [True, False]
    assert not may(client(gw, "pump-2"), "plant/pump-2/state")
    want = {("pump-1", "publish", "plant/pump-1/state"): 2, ("pump-1", "publish", "line/1/x"): 1,
            ("pump-1", "publish", "line/2/x"): 1, ("pump-1", "subscribe", "orders/#"): 1}
    wait_until(lambda: learnt(gw, "device:pump-1") == want, what="all that was done")
    lines = [i["line"] for i in gw.json("learn", "propose", "device:pump-1")["items"]]
    assert lines == ["allow device:pump-1 publish line/+/x", "allow device:pump-1 subscribe,receive orders/#",
                     "allow device:pump-1 publish plant/${device}/state"]
    assert [x["subject"] for x in gw.json("learn", "list")] == ["device:pump-1"]
    assert "learns until 20" in gw.cli("acl", "list").stdout
    assert "3 rules added" in gw.cli("learn", "apply", "device:pump-1").stdout
    assert gw.json("learn", "list") == []
    assert may(c, "plant/pump-1/state") and may(c, "line/77/x") and not may(c, "other")
    again = gw.json("learn", "propose", "device:pump-1")
    assert (again["items"], again["allowed"]) == ([], 4)
    names = [e["event"] for e in gw.json("event", "list", "--name", "learn")]
    assert names == ["learn.started", "learn.ended"]


def test_a_role_learns_for_all_its_devices(gw):
    gw.cli("learn", "start", "role:meter")
    for name in ("pump-1", "pump-2"):
        assert may(client(gw, name), f"m/{name}/value")
    wait_until(lambda: len(learnt(gw, "role:meter")) == 2, what="both")
    proposal = gw.cli("learn", "propose", "role:meter").stdout
    assert "allow role:meter publish m/${device}/value" in proposal
    assert "forgotten" in gw.cli("learn", "stop", "role:meter", "--forget").stdout
    assert learnt(gw, "role:meter") == {}


def test_it_ends_by_itself(gw):
    gw.cli("learn", "start", "device:pump-1", "--days", "1")
    assert may(client(gw, "pump-1"), "x")
    gw.stop()
    db = sqlite3.connect(next(gw.dir.rglob("registry.db")))
    db.execute("UPDATE rule SET learn_until = ?", (int(time.time()) - 1,))
    db.commit()
    db.close()
    gw.start()
    wait_until(lambda: gw.json("learn", "list") == [], what="its end")
    assert not may(client(gw, "pump-1"), "x")
    ended = gw.json("event", "list", "--name", "learn.ended")[-1]
    assert (ended["reason"], ended["device"]) == ("its time is over", "pump-1")


def test_the_table_of_a_device_is_bounded(gw):
    gw.cli("learn", "start", "device:pump-1")
    c = client(gw, "pump-1")
    for n in range(250):
        assert may(c, f"a/w{n}/x")
    for n in range(5):
        assert may(c, f"b/z{n}")
    wait_until(lambda: sum(learnt(gw, "device:pump-1").values()) == 255, what="all of them")
    found = learnt(gw, "device:pump-1")
    assert len(found) <= 200 and found[("pump-1", "publish", "a/+/x")] == 250
    assert gw.json("learn", "propose", "device:pump-1")["items"][0]["filter"] == "a/+/x"


def test_what_would_change(gw, tmp_path):
    gw.cli("acl", "allow", "role:meter", "publish", "a/#")
    rule = gw.json("acl", "list")[0]["id"]
    gw.cli("learn", "start", "device:pump-1")
    c = client(gw, "pump-1")
    assert may(c, "a/1")
    wait_until(lambda: learnt(gw, "device:pump-1"), what="it")
    gw.cli("learn", "stop", "device:pump-1")
    def denied():
        return len(gw.json("event", "list", "--name", "acl.denied", "--last", 1000))
    before = denied()
    assert not may(c, "b/1") and not may(c, "c/1")
    wait_until(lambda: denied() == before + 2, what="both denials in the log")
    draft = tmp_path / "draft"
    draft.write_text(f"remove {rule}\nallow device:pump-1 publish b/#\n")
    answer = gw.json("acl", "preview", draft)
    flips = {(i["topic"], i["before"], i["after"], i["rule_before"], i["rule_after"]) for i in answer["items"]}
    assert flips == {("a/1", "allowed", "denied", rule, None), ("b/1", "denied", "allowed", None, -2)}
    assert answer["checked"] == 3
    assert "pump-1 publish b/1: denied, would be allowed (1 time," in gw.cli("acl", "preview", draft).stdout
    assert gw.json("acl", "preview", draft, "--device", "pump-2")["items"] == []
    assert "1 rule added, 1 removed" in gw.cli("acl", "apply", draft).stdout
    assert may(c, "b/1") and not may(c, "a/1")


def test_apply_is_all_or_nothing(gw, tmp_path):
    draft = tmp_path / "draft"
    before = gw.json("acl", "list")
    draft.write_text("allow any publish x\nallow device:nobody publish y\n")
    assert 'line 2: there is no device "nobody"' in gw.cli("acl", "apply", draft, check=False).stderr
    draft.write_text("remove all\n")
    assert "name the rules" in gw.cli("acl", "apply", draft, check=False).stderr
    assert gw.json("acl", "list") == before
    draft.write_text("allow any publish x\n")
    assert "1 rule added" in gw.cli("acl", "apply", draft).stdout
    assert "0 rules added" in gw.cli("acl", "apply", draft).stdout


def test_who_is_meant_must_be_said(gw):
    for words, says in ((("learn", "show"), "missing argument SUBJECT"),
                        (("learn", "show", "pump-1"), 'who learns, "pump-1": write device:NAME or role:NAME'),
                        (("learn", "stop", "group:x"), 'who learns, "group:x": write'),
                        (("learn", "start", "device:nobody"), 'there is no device "nobody"'),
                        (("learn", "start", "role:nothing"), 'there is no role "nothing"'),
                        (("learn", "start", "device:pump-1", "--days", "0"), "allowed is 1 to 31")):
        assert says in gw.cli(*words, check=False).stderr
