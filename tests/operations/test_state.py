# SPDX-License-Identifier: Apache-2.0
"""The state of a gateway as one document: exported, compared, applied, all of it or nothing."""

import json

import pytest

from api import Local
from gateway import CliError, Gateway, wait_until

USAGE, CONFLICT = 2, 6
NORMAL = ["broker.max-topic-levels", "broker.max-inflight"]


@pytest.fixture(scope="module")
def gw(gateway):
    gateway.cli("role", "add", "pumps", "--note", "all pumps")
    gateway.cli("acl", "allow", "role:pumps", "publish", "plant/${device}/#", "--priority", "-5", "--qos", "0,1",
                "--network", "10.0.0.0/8", "--retain", "no")
    gateway.cli("acl", "deny", "any", "all", "secret/#", "--literal")
    gateway.cli("device", "add", "pump-1", "--role", "pumps", "--group", "hall", "--group", "b", "--note", "näh")
    gateway.cli("device", "add", "pump-2", "--password", input="a good password\n")
    gateway.cli("config", "set", "broker.max-topic-levels", "20")
    return gateway


@pytest.fixture(scope="module")
def other():
    with Gateway() as made:
        yield made


def write(tmp_path, document):
    path = tmp_path / "state.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def export(gw):
    return json.loads(gw.cli("state", "export").stdout)


def apply(gw, tmp_path, document, *words):
    return gw.json("state", "apply", write(tmp_path, document), *words)


def what(answer):
    return [(i["kind"], i["object"], i["change"]) for i in answer["items"]]


def refused(gw, tmp_path, document, *words, says, code=USAGE):
    before = export(gw)
    for verb in ("diff", "apply"):
        with pytest.raises(CliError) as e:
            gw.cli("state", verb, write(tmp_path, document), *words)
        assert e.value.code == code and says in e.value.stderr, e.value
    assert export(gw) == before
    path = tmp_path / "dry.json"
    path.write_text(json.dumps({"version": 1, "devices": [{"name": "dry"}]}))
    assert gw.cli("state", "apply", path, "--dry-run").stdout.endswith("nothing was changed: this was a dry run\n")
    assert "nothing" not in gw.cli("state", "diff", path).stdout


def test_the_document_is_whole_stable_and_without_secrets(gw, tmp_path):
    first = gw.cli("state", "export").stdout
    state = json.loads(first)
    assert state["version"] == 1 and state["settings"]["broker.max-topic-levels"] == "20"
    assert "bind" in state["listeners"]["mqtts"] and "gateway.state-dir" not in state["settings"]
    assert state["roles"] == [{"name": "pumps", "note": "all pumps"}]
    assert [d["name"] for d in state["devices"]] == ["pump-1", "pump-2"]
    assert state["devices"][0] == {"name": "pump-1", "kind": "device", "enabled": True, "note": "näh",
                                   "groups": ["b", "hall"], "roles": ["pumps"]}
    rule = next(r for r in state["rules"] if r["subject"] == "role:pumps")
    assert rule == {"effect": "allow", "subject": "role:pumps", "action": "publish", "filter": "plant/${device}/#",
                    "priority": -5, "literal": False, "qos": "0,1", "retain": False, "networks": ["10.0.0.0/8"]}
    assert "password" not in json.dumps(state["devices"]) and "uuid" not in first
    file = tmp_path / "out.json"
    gw.cli("state", "export", file)
    assert file.read_text() == first == json.dumps(state, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    with pytest.raises(CliError, match="--force"):
        gw.cli("state", "export", file)
    gw.cli("state", "export", file, "--force")


def test_applying_what_is_there_changes_nothing(gw, tmp_path):
    last = gw.json("revision", "list")[0]["id"]
    for words in ((), ("--prune",)):
        answer = apply(gw, tmp_path, export(gw), *words)
        assert answer["items"] == [] and answer["id"] is None
    assert gw.json("revision", "list")[0]["id"] == last
    assert gw.cli("state", "apply", write(tmp_path, export(gw))).stdout == "nothing to change\n"


def test_another_box_becomes_the_same(gw, other, tmp_path):
    state = export(gw)
    for key in list(state["settings"]):
        if key not in NORMAL:
            del state["settings"][key]
    del state["listeners"]
    planned = other.json("state", "diff", write(tmp_path, state))
    assert planned["id"] is None and export(other)["devices"] == []
    done = apply(other, tmp_path, state)
    assert what(done) == what(planned) and ("device", "pump-1", "added") in what(done)
    assert ("setting", "broker.max-topic-levels", "changed") in what(done)
    copy = export(other)
    assert all(copy[part] == state[part] for part in ("roles", "rules", "devices"))
    assert copy["settings"]["broker.max-topic-levels"] == "20"
    assert apply(other, tmp_path, state)["items"] == []
    back = other.json("revision", "revert", done["id"])
    assert len(back["items"]) >= len(done["items"])
    assert export(other)["devices"] == export(other)["rules"] == export(other)["roles"] == []
    assert other.json("config", "show", "broker.max-topic-levels")["source"] == "default"


def test_what_differs_is_changed_and_what_is_not_named_stays(gw, tmp_path):
    answer = apply(gw, tmp_path, {"version": 1, "devices": [{"name": "pump-1", "note": "new"}, {"name": "pump-3"}]})
    assert what(answer) == [("device", "pump-1", "changed"), ("device", "pump-3", "added")]
    assert answer["items"][0]["fields"] == [{"field": "note", "before": "näh", "after": "new"}]
    device = gw.json("device", "show", "pump-1")
    assert device["groups"] == ["b", "hall"] and device["roles"] == ["pumps"]
    assert gw.json("device", "show", "pump-2")["password"] is True
    said = gw.cli("state", "diff", write(tmp_path, {"version": 1, "devices": [{"name": "pump-1", "note": "x"}]})).stdout
    assert said == 'device pump-1 changed\n  - note: "new"\n  + note: "x"\n'


def test_devices_that_come_back_without_credentials_are_named(gw, tmp_path):
    """The document has no secrets: what was removed comes back, but cannot connect."""
    gw.cli("device", "add", "gone", "--password", input="a good password\n")
    state = export(gw)
    gw.cli("device", "remove", "gone")
    path = write(tmp_path, state)
    said = gw.cli("state", "diff", path).stdout
    assert "1 device would have neither password nor certificate: gone\n" in said
    assert "gatehouse device set NAME --password" in said
    planned = gw.json("state", "diff", path)
    done = gw.json("state", "apply", path)
    for answer in (planned, done):
        assert answer["without_credentials"] == ["gone"] and answer["without_credentials_count"] == 1
        assert "device set NAME --password" in answer["hint"]
    assert gw.json("device", "show", "gone")["password"] is False
    again = gw.json("state", "diff", path)
    assert again["without_credentials"] == [] and "hint" not in again
    many = {"version": 1, "devices": [{"name": f"bare-{i:03}"} for i in range(101)]}
    planned = gw.json("state", "diff", write(tmp_path, many))
    assert len(planned["without_credentials"]) == 100 and planned["without_credentials_count"] == 101
    gw.cli("device", "remove", "gone")


def test_prune_removes_from_the_parts_that_are_named(gw, tmp_path):
    state = export(gw)
    keep = {"version": 1, "devices": [d for d in state["devices"] if d["name"] != "pump-3"],
            "rules": [r for r in state["rules"] if r["subject"] != "any"]}
    assert apply(gw, tmp_path, keep)["items"] == []
    answer = apply(gw, tmp_path, keep, "--prune")
    assert [(k, c) for k, _, c in what(answer)] == [("rule", "removed"), ("device", "removed")]
    after = export(gw)
    assert after["devices"] == keep["devices"] and after["rules"] == keep["rules"] and after["roles"] == state["roles"]
    assert apply(gw, tmp_path, {"version": 1, "settings": {}}, "--prune")["items"][0]["object"] == NORMAL[0]
    gw.cli("revision", "revert", gw.json("revision", "list")[0]["id"])
    assert export(gw)["settings"][NORMAL[0]] == "20"


def test_a_listener_comes_and_goes(gw, tmp_path):
    bind = f"127.0.0.1:{gw.mqtts + 9}"
    state = {"version": 1, "listeners": {"extra": {"auth": "certificate", "bind": bind, "max-connections": "10"}}}
    assert len(apply(gw, tmp_path, state)["items"]) == 3
    assert bind in [x["address"] for x in gw.json("status")["listeners"]]
    assert export(gw)["listeners"]["extra"] == state["listeners"]["extra"]
    assert apply(gw, tmp_path, state)["items"] == []
    apply(gw, tmp_path, {"version": 1, "listeners": {}}, "--prune")
    assert "extra" not in export(gw)["listeners"] and "mqtts" in export(gw)["listeners"]


def test_null_is_the_default(gw, tmp_path):
    """All of it at once, held, and without a word about the other listeners."""
    bind = f"127.0.0.1:{gw.mqtts + 9}"
    extra = {"auth": "certificate", "bind": bind, "max-connections": "10"}
    state = {"version": 1, "listeners": {"extra": extra, "other": {"bind": f"127.0.0.2:{gw.mqtts + 9}"}},
             "settings": {"broker.max-inflight": "45"}}
    apply(gw, tmp_path, state)
    back = {"version": 1, "listeners": {"extra": {"auth": "any", "max-connections": None}},
            "settings": {"broker.max-inflight": None}}
    answer = apply(gw, tmp_path, back, "--confirm-within", "1h")
    assert sorted(i["object"] for i in answer["items"]) == [
        "broker.max-inflight", "listener.extra.auth", "listener.extra.max-connections"]
    assert export(gw)["listeners"]["extra"] == {"auth": "any", "bind": bind}
    gw.cli("config", "confirm", answer["token"], "--undo")
    assert export(gw)["listeners"]["extra"] == extra and export(gw)["settings"]["broker.max-inflight"] == "45"
    apply(gw, tmp_path, back)
    assert apply(gw, tmp_path, {"version": 1, "settings": back["settings"]})["items"] == []
    gone = {"version": 1, "listeners": {"extra": dict.fromkeys(["auth", "bind"])}}
    apply(gw, tmp_path, gone)
    assert "extra" not in export(gw)["listeners"] and "other" in export(gw)["listeners"]
    apply(gw, tmp_path, {"version": 1, "listeners": {"other": {"bind": None}}})


@pytest.mark.parametrize("document, says", [
    ({}, "version: must be 1"),
    ({"version": 2}, "version: must be 1"),
    ({"version": 1, "device": []}, "device: there is no such part"),
    ({"version": 1, "devices": {}}, "devices: must be a list"),
    ({"version": 1, "devices": [1]}, "devices[0]: must be an object"),
    ({"version": 1, "devices": [{"note": "x"}]}, "devices[0].name: is missing"),
    ({"version": 1, "devices": [{"name": "a"}, {"name": "a"}]}, 'devices[1].name: "a" stands twice'),
    ({"version": 1, "devices": [{"name": "a", "password": "x"}]}, "devices[0].password: there is no such field"),
    ({"version": 1, "devices": [{"name": "a", "note": "x" * 257}]}, "note has 257 bytes; allowed are 256"),
    ({"version": 1, "devices": [{"name": "ok"}, {"name": "a b"}]}, "devices[1].name"),
    ({"version": 1, "devices": [{"name": "a", "enabled": "no"}]}, "devices[0].enabled"),
    ({"version": 1, "devices": [{"name": "a", "roles": ["none"]}]}, "devices[0].roles"),
    ({"version": 1, "rules": [{"effect": "allow", "subject": "any", "action": "fly", "filter": "a"}]},
     "rules[0].action"),
    ({"version": 1, "rules": [{"effect": "allow", "subject": "any", "action": "all", "filter": "a",
                               "priority": 1001}]}, "rules[0].priority: must be a whole number between -1000 and 1000"),
    ({"version": 1, "settings": {"broker.max-inflight": 5}}, "settings.broker.max-inflight: must be text"),
    ({"version": 1, "settings": {"broker.max-inflight": "many"}}, "settings.broker.max-inflight"),
    ({"version": 1, "listeners": {"x.y": {"bind": "127.0.0.1:1", "auth": "magic"}}},
     "listeners.x.y.auth"),
    ({"version": 1, "settings": {"x" + "é" * 30: 5}}, "settings.x" + "é" * 19 + ": must be text"),
    ({"version": 1, "x" + "é" * 50: 5}, "x" + "é" * 31 + ": there is no such part"),
    ({"version": 1, "devices": [{"name": "a", "note": 1.5}]}, "state holds a fraction"),
    ("[1]", "not a JSON object"),
    ("{", "state.json:1"),
])
def test_what_is_wrong_is_named_by_its_place(gw, tmp_path, document, says):
    refused(gw, tmp_path, document, says=says)


def test_a_long_name_is_cut_between_characters(gw, tmp_path):
    refused(gw, tmp_path, {"version": 1, "settings": {"x" + "é" * 50: "5"}}, code=5,
            says="settings.x" + "é" * 39 + ": x" + "é" * 39 + ": there is no such setting")


def test_nothing_is_done_when_one_part_is_wrong(gw, tmp_path):
    """Settings are taken first: they go back when the registry refuses."""
    state = {"version": 1, "settings": {"broker.max-inflight": "44"}, "roles": [{"name": "half"}],
             "devices": [{"name": "half-1"}, {"name": "half-2", "roles": ["no-such-role"]}]}
    refused(gw, tmp_path, state, says="devices[1].roles")
    assert gw.json("config", "show", "broker.max-inflight")["source"] == "default"
    assert gw.json("config", "list") and "max-inflight" not in (gw.dir / "state" / "settings.conf").read_text()


def test_settings_of_a_state_may_wait_to_be_confirmed(gw, tmp_path):
    state = {"version": 1, "settings": {"broker.max-inflight": "45"}, "devices": [{"name": "held-1"}]}
    answer = apply(gw, tmp_path, state, "--confirm-within", "1h")
    assert answer["confirm_within"] == 3600
    gw.cli("config", "confirm", answer["token"], "--undo")
    assert gw.json("config", "show", "broker.max-inflight")["source"] == "default"
    assert gw.json("device", "show", "held-1")["name"] == "held-1"


def test_many_settings_that_nobody_confirms_leave_a_revision(other, tmp_path):
    """More of them than one message between the processes has room for."""
    allowed = ", ".join(f"100.64.{i}.0/24" for i in range(60))
    listeners = {f"many-{i:02}": {"bind": f"127.1.2.{i + 1}:{other.mqtts}", "tls": "off", "auth": "password",
                                  "allow-from": allowed} for i in range(49)}
    answer = apply(other, tmp_path, {"version": 1, "listeners": listeners}, "--confirm-within", "1s")
    assert answer["token"] and len(answer["items"]) >= 196

    def undone():
        return [r for r in other.json("revision", "list") if r["operation"] == "config.undo"]
    revision = wait_until(undone, what="the end of the hold")[0]
    assert revision["objects"] == len(answer["items"])
    assert "many-00" not in export(other)["listeners"]


def test_a_dry_run_changes_nothing(gw, tmp_path):
    before = export(gw)
    answer = apply(gw, tmp_path, {"version": 1, "devices": [{"name": "dry"}], "settings": {NORMAL[1]: "9"}},
                   "--dry-run", "--prune")
    assert answer["id"] is None and ("device", "dry", "added") in what(answer)
    assert ("device", "pump-1", "removed") in what(answer)
    assert export(gw) == before


def test_a_large_document_fits_and_a_larger_one_is_refused(gw, tmp_path):
    """More than one message between the processes, and more than other requests may be."""
    state = {"version": 1, "devices": [{"name": f"many-{i:05}", "note": "x" * 200} for i in range(3000)]}
    answer = apply(gw, tmp_path, state)
    assert len(answer["items"]) == 1000 and answer["left_out"] == 2000
    assert apply(gw, tmp_path, state)["items"] == []
    who = Local(gw.socket)
    assert who.request("PUT", "/api/v1/state", headers={"Content-Length": str(17 << 20)}).status == 413
    assert who.request("POST", "/api/v1/devices", " " * (65 << 10)).status == 413


def test_a_document_that_grows_when_it_is_read_is_refused(gw):
    """Small numbers take more room between the processes than in JSON."""
    who = Local(gw.socket)
    answer = who.request("POST", "/api/v1/state/diff", '{"state":{"version":1,"devices":[' + "0," * 7_000_000 + "0]}}")
    assert answer.status == 400 and answer.json()["field"] == "state", answer.body
    assert "at most 16777216 are allowed" in answer.json()["detail"]
    gw.cli("status")


def test_more_settings_than_there_can_be_are_refused(gw, tmp_path):
    state = {"version": 1, "settings": {f"a{i}": "1" for i in range(2049)}}
    refused(gw, tmp_path, state, says="at most 2048 settings can be changed at once")
    gw.cli("status")


def test_learn_mode_is_not_part_of_it(gw, tmp_path):
    """Its rules end by themselves: they are not exported, not pruned, and do not come back as rules for ever."""
    gw.cli("device", "add", "learner")
    before = export(gw)["rules"]
    Local(gw.socket).call("POST", "/learn", {"device": "learner"})
    (rule, *_) = [r for r in gw.json("acl", "list") if r["subject"] == "device:learner"]
    assert rule["learn_until"] and export(gw)["rules"] == before
    assert apply(gw, tmp_path, {"version": 1, "rules": before}, "--prune")["items"] == []
    gw.cli("acl", "remove", rule["id"])
    removed = gw.json("revision", "list", "--kind", "rule")[0]["id"]
    with pytest.raises(CliError, match="learn mode does not come back"):
        gw.cli("revision", "revert", removed)
