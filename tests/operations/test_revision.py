# SPDX-License-Identifier: Apache-2.0
"""Revisions: what a change was, the way back, and what stands in its way."""

import json
import os
import signal

import pytest

from gateway import CliError, wait_until

CONFLICT, NOT_FOUND, REFUSED = 6, 5, 3


@pytest.fixture(scope="module")
def gw(gateway):
    return gateway


def newest(gw, **which):
    words = [w for k, v in which.items() for w in (f"--{k}", v)]
    return gw.json("revision", "list", *words)[0]


def show(gw, revision):
    return gw.json("revision", "show", revision["id"])


def fields(gw, revision):
    """{(kind, object): {field: (before, after)}}"""
    return {(i["kind"], i["object"]): {f["field"]: (f["before"], f["after"]) for f in i["fields"]}
            for i in show(gw, revision)["items"]}


def refused(gw, *words, code, says):
    with pytest.raises(CliError) as e:
        gw.cli(*words)
    assert e.value.code == code and says in e.value.stderr, e.value


def test_a_change_says_before_and_after(gw):
    gw.cli("device", "add", "r-1", "--note", "old", "--group", "hall")
    gw.cli("device", "set", "r-1", "--note", "new")
    last = newest(gw, object="r-1")
    assert last["operation"] == "device.set" and last["actor"].startswith("uid ") and last["objects"] == 1
    assert fields(gw, last) == {("device", "r-1"): {"note": ("old", "new")}}
    said = gw.cli("revision", "show", last["id"]).stdout
    assert '- note: "old"\n' in said and '+ note: "new"\n' in said and "device r-1 changed" in said
    assert said.splitlines()[0].endswith(f" by {last['actor']}")  # it names the control socket already


def test_a_change_goes_back_and_that_is_a_revision(gw):
    gw.cli("device", "add", "r-2", "--note", "one")
    gw.cli("device", "set", "r-2", "--note", "two", "--disabled")
    change = newest(gw, object="r-2")
    back = gw.json("revision", "revert", change["id"])
    device = gw.json("device", "show", "r-2")
    assert device["note"] == "one" and device["enabled"] is True
    assert back["reverted"] == change["id"] and newest(gw, object="r-2")["id"] == back["id"]
    gw.cli("revision", "revert", back["id"])  # and forth again
    assert gw.json("device", "show", "r-2")["note"] == "two"


def test_what_others_changed_since_stays(gw):
    gw.cli("device", "add", "r-3", "--note", "a", "--kind", "x")
    gw.cli("device", "set", "r-3", "--note", "b")
    change = newest(gw, object="r-3")
    gw.cli("device", "set", "r-3", "--kind", "y")
    gw.cli("revision", "revert", change["id"])
    device = gw.json("device", "show", "r-3")
    assert device["note"] == "a" and device["kind"] == "y"


def test_the_same_field_changed_since_is_a_conflict(gw):
    gw.cli("device", "add", "r-4", "--note", "a")
    gw.cli("device", "set", "r-4", "--note", "b")
    change = newest(gw, object="r-4")
    gw.cli("device", "set", "r-4", "--note", "c")
    since = newest(gw, object="r-4")["id"]
    refused(gw, "revision", "revert", change["id"], code=CONFLICT,
            says=f'note of device "r-4" was changed since, by revision {since}')
    assert gw.json("device", "show", "r-4")["note"] == "c"
    assert newest(gw, object="r-4")["id"] == since


def test_an_added_device_goes_and_a_removed_one_comes_back(gw):
    gw.cli("device", "add", "r-5", "--group", "hall")
    added = newest(gw, object="r-5")
    gw.cli("acl", "allow", "device:r-5", "publish", "r5/#", "--priority", "7", "--qos", "1")
    gw.cli("device", "remove", "r-5")
    refused(gw, "revision", "revert", added["id"], code=CONFLICT, says="was removed since")
    gone = newest(gw, object="r-5")
    back = gw.json("revision", "revert", gone["id"])
    assert "neither password nor certificate" in back["hint"]
    device = gw.json("device", "show", "r-5")
    assert device["groups"] == ["hall"]
    (rule,) = [r for r in device["rules"] if r["subject"] == "device:r-5"]
    assert (rule["filter"], rule["priority"], rule["qos"], rule["actions"]) == ("r5/#", 7, "1", ["publish"])
    gw.cli("revision", "revert", back["id"])
    refused(gw, "device", "show", "r-5", code=NOT_FOUND, says="no device")


def test_what_is_again_as_it_was_can_go_back(gw):
    gw.cli("device", "add", "r-7")
    added = newest(gw, object="r-7")
    gw.cli("device", "set", "r-7", "--note", "x")
    refused(gw, "revision", "revert", added["id"], code=CONFLICT, says='note of device "r-7" was changed since')
    gw.cli("revision", "revert", newest(gw, object="r-7")["id"])
    gw.cli("revision", "revert", added["id"])
    refused(gw, "device", "show", "r-7", code=NOT_FOUND, says="no device")


def test_a_renamed_role_gets_its_name_back(gw):
    gw.cli("role", "add", "r-old", "--note", "x")
    gw.cli("role", "set", "r-old", "--new-name", "r-new")
    gw.cli("revision", "revert", newest(gw, object="r-new")["id"])
    assert gw.json("role", "show", "r-old")["note"] == "x"


def test_a_removed_role_comes_back_with_its_rules(gw):
    gw.cli("role", "add", "r-role")
    gw.cli("acl", "deny", "role:r-role", "all", "secret/#")
    gw.cli("role", "remove", "r-role")
    gw.cli("revision", "revert", newest(gw, object="r-role")["id"])
    (rule,) = gw.json("role", "show", "r-role")["rules"]
    assert rule["effect"] == "deny" and len(rule["actions"]) == 3


def test_a_rule_goes_back(gw):
    gw.cli("acl", "allow", "any", "publish", "back/#")
    gw.cli("revision", "revert", newest(gw, kind="rule")["id"])
    assert "back/#" not in [r["filter"] for r in gw.json("acl", "list")]


def test_a_password_does_not_come_back(gw):
    gw.cli("device", "add", "r-6", "--password", input="a good password\n")
    gw.cli("device", "set", "r-6", "--no-password")
    refused(gw, "revision", "revert", newest(gw, object="r-6")["id"], code=REFUSED, says="do not come back")
    assert "a good password" not in json.dumps(show(gw, newest(gw, object="r-6")))


def test_an_administrators_level_goes_back(gw):
    gw.cli("admin", "add", "r-anna", "admin", input="a long enough secret\n")
    gw.cli("admin", "add", "r-bert", "viewer", input="a long enough secret\n")
    gw.cli("admin", "set", "r-bert", "--level", "operator")
    assert fields(gw, newest(gw, kind="administrator")) == {
        ("administrator", "r-bert"): {"level": ("viewer", "operator")}}
    gw.cli("revision", "revert", newest(gw, kind="administrator")["id"])
    assert {a["name"]: a["level"] for a in gw.json("admin", "list")}["r-bert"] == "viewer"
    gw.cli("admin", "remove", "r-bert")
    refused(gw, "revision", "revert", newest(gw, kind="administrator")["id"], code=REFUSED, says="cannot come back")


def test_settings_are_revisions_too(gw):
    gw.cli("config", "set", "broker.max-topic-levels", "20")
    change = newest(gw, kind="setting")
    assert fields(gw, change)["setting", "broker.max-topic-levels"]["value"] == ("32", "20")
    gw.cli("revision", "revert", change["id"])
    assert gw.json("config", "show", "broker.max-topic-levels")["source"] == "default"
    gw.cli("config", "set", "broker.max-topic-levels", "21")
    refused(gw, "revision", "revert", change["id"], code=CONFLICT, says="was changed since")
    gw.cli("config", "set", "broker.max-topic-levels", "")


def test_no_such_revision(gw):
    refused(gw, "revision", "show", "999999", code=NOT_FOUND, says="no revision 999999")
    refused(gw, "revision", "revert", "999999", code=NOT_FOUND, says="no revision 999999")


# -- settings that go back by themselves


def level(gw):
    return gw.json("config", "show", "log.level")


def settings_file(gw):
    return (gw.dir / "state" / "settings.conf").read_text() if (gw.dir / "state" / "settings.conf").exists() else ""


def held(gw, *words):
    return gw.json("config", "set", *words)


def test_a_change_that_nobody_confirms_goes_back(gw):
    before = gw.json("config", "show", "broker.max-inflight")["value"]
    answer = held(gw, "broker.max-inflight", "33", "--confirm-within", "1s")
    assert answer["value"] == "33" and answer["confirm_within"] == 1 and len(answer["token"]) == 32
    wait_until(lambda: gw.json("config", "show", "broker.max-inflight")["value"] == before, what="the way back")
    wait_until(lambda: newest(gw, kind="setting")["operation"] == "config.undo", what="its revision")
    last = newest(gw, kind="setting")
    assert last["actor"] == "gateway" and fields(gw, last)["setting", "broker.max-inflight"]["value"] == ("33", before)
    assert "config.undone" in [e["event"] for e in gw.json("event", "list", "--name", "config")]


def test_a_confirmed_change_stays_and_nothing_waits(gw):
    token = held(gw, "broker.max-inflight", "34", "--confirm-within", "1h")["token"]
    assert "max-inflight" not in settings_file(gw), "it must not outlive a restart yet"
    refused(gw, "config", "confirm", "0" * 32, code=NOT_FOUND, says="no change with this token waits")
    gw.cli("config", "confirm", token)
    assert gw.json("config", "show", "broker.max-inflight")["value"] == "34"
    assert "max-inflight = 34" in settings_file(gw)
    refused(gw, "config", "confirm", code=NOT_FOUND, says="nothing waits to be confirmed")
    gw.cli("config", "set", "broker.max-inflight", "")


def test_other_settings_can_change_meanwhile(gw):
    held(gw, "broker.max-inflight", "35", "--confirm-within", "1h")
    gw.cli("config", "set", "broker.max-topic-levels", "22")
    assert "max-topic-levels = 22" in settings_file(gw) and "max-inflight" not in settings_file(gw)
    refused(gw, "config", "set", "broker.max-inflight", "36", code=CONFLICT, says="waits to be confirmed")
    refused(gw, "config", "set", "broker.max-topic-levels", "23", "--confirm-within", "1h", code=CONFLICT,
            says="waits to be confirmed")
    assert gw.cli("config", "confirm", "--undo").stdout == "undone\n"
    assert gw.json("config", "show", "broker.max-inflight")["value"] == "256"
    assert gw.json("config", "show", "broker.max-topic-levels")["value"] == "22"
    gw.cli("config", "set", "broker.max-topic-levels", "")


def test_a_listener_that_is_not_confirmed_is_closed_again(gw):
    port = gw.mqtts + 7
    held(gw, "listener.held.bind", f"127.0.0.1:{port}", "--confirm-within", "1h")
    assert "held" in [x["name"] for x in gw.json("status")["listeners"]]
    gw.cli("config", "confirm", "--undo")
    assert "held" not in [x["name"] for x in gw.json("status")["listeners"]]


def test_reading_the_configuration_again_undoes_what_waits(gw):
    held(gw, "broker.max-inflight", "38", "--confirm-within", "1h")
    os.kill(gw.pid, signal.SIGHUP)
    wait_until(lambda: gw.json("config", "show", "broker.max-inflight")["value"] == "256", what="the reload")
    refused(gw, "config", "confirm", code=NOT_FOUND, says="nothing waits to be confirmed")


def test_a_store_that_dies_leaves_nothing_half_done(gw):
    """What is held is the parent's: it goes on to wait while the store is away."""
    token = held(gw, "broker.max-inflight", "39", "--confirm-within", "1h")["token"]
    store = gw.processes()["store"]
    os.kill(store, signal.SIGKILL)
    wait_until(lambda: gw.processes().get("store", store) != store, what="another store")
    wait_until(lambda: gw.cli("config", "show", "broker.max-inflight", check=False).returncode == 0, what="its answers")
    assert gw.json("config", "show", "broker.max-inflight")["value"] == "39"
    assert gw.cli("config", "confirm", token, "--undo").stdout == "undone\n"


def test_a_restart_undoes_what_waits(gw):
    held(gw, "broker.max-inflight", "37", "--confirm-within", "1h")
    gw.restart()
    assert gw.json("config", "show", "broker.max-inflight")["value"] == "256"
