# SPDX-License-Identifier: Apache-2.0
"""gatehouse acl check: the verdict of the data path, its rule, and what nearly matched."""

import pytest

from gateway import CliError, wait_until
from mqtt import V5, Client


@pytest.fixture(scope="module")
def pump(gateway):
    gateway.cli("role", "add", "sensor")
    gateway.cli("device", "add", "pump-1", "--role", "sensor", "--group", "hall")
    gateway.cli("acl", "allow", "role:sensor", "publish", "plant/${device}/#")
    for n in range(8):
        gateway.cli("acl", "allow", "any", "publish", f"line/{n}")
    gateway.cli("acl", "deny", "group:hall", "subscribe", "plant/+/secret")
    gateway.cli("acl", "allow", "any", "subscribe", "plant/#")
    return gateway


def test_allowed_names_rule_and_role(pump):
    said = pump.cli("acl", "check", "--as", "pump-1", "publish", "plant/pump-1/state").stdout
    assert said.startswith("pump-1 publish plant/pump-1/state: allowed by rule ")
    assert "from role:sensor" in said and "decides: matches and allows" in said
    assert "${group} hall" in said


def test_denied_shows_the_nearest_miss_first(pump):
    said = pump.cli("acl", "check", "--as", "pump-1", "publish", "plant/pump-2/state").stdout
    assert said.startswith("pump-1 publish plant/pump-2/state: denied, no rule allows it")
    first = said[said.index("does not match:"):].splitlines()[2]
    assert first.strip() == "differs at level 2: ${device} is pump-1, topic has pump-2"
    assert "and 4 more; --all shows them" in said
    assert "line/7" in pump.cli("acl", "check", "--as", "pump-1", "publish", "x", "--all").stdout


def test_a_subscription_may_be_allowed_in_part(pump):
    answer = pump.json("acl", "check", "--as", "pump-1", "subscribe", "plant/#")
    assert answer["verdict"] == "allowed in part"
    assert [r["part"] for r in answer["reasons"]].count("decides") == 1


def test_conditions(pump):
    said = pump.cli("acl", "allow", "any", "publish", "when", "--qos", "1,2", "--retain", "no", "--network",
                    "10.0.0.0/8", "--network", "2001:db8::/32").stdout
    assert said.strip().endswith("allow any publish when qos 1,2 retain no network 10.0.0.0/8,2001:db8::/32")
    rule = next(r for r in pump.json("acl", "list") if r["filter"] == "when")
    assert (rule["qos"], rule["retain"], rule["networks"]) == ("1,2", False, ["10.0.0.0/8", "2001:db8::/32"])
    assert "qos 1,2 retain no network 10.0.0.0/8,2001:db8::/32" in pump.cli("acl", "list").stdout

    def check(*options):
        return pump.cli("acl", "check", "--as", "pump-1", "publish", "when", *options).stdout

    yes = check("--qos", "2", "--address", "10.1.1.1")
    assert "allowed by rule" in yes and "address 10.1.1.1" in yes
    for options, why in ((("--address", "10.1.1.1"), "not QoS 0"), (("--qos", "1"), "address is not known"),
                         (("--qos", "1", "--address", "11.1.1.1"), "the address 11.1.1.1 is not in its networks"),
                         (("--qos", "1", "--address", "10.1.1.1", "--retain"), "only with retain no")):
        said = check(*options)
        assert "denied" in said
        first = said[said.index("does not match:"):].splitlines()[2]
        assert why in first


@pytest.mark.parametrize("options, why", [
    (["--qos", "3"], "allowed are 0, 1 and 2"), (["--retain", "maybe"], "allowed are yes and no"),
    (["--network", "10.0.0.1/8"], "bits set behind the prefix"), (["--network", "hall"], "no address and no network")])
def test_wrong_conditions(pump, options, why):
    with pytest.raises(CliError) as e:
        pump.cli("acl", "allow", "any", "publish", "wrong", *options)
    assert e.value.code == 2 and why in e.value.stderr


def test_literal(pump):
    said = pump.cli("acl", "deny", "any", "subscribe", "cellar/#", "--literal").stdout
    assert said.strip().endswith("cellar/# literal")
    pump.cli("acl", "allow", "any", "subscribe", "cellar/#", "--priority", "-1")
    assert pump.json("acl", "check", "--as", "pump-1", "subscribe", "cellar/#")["verdict"] == "denied"
    assert pump.json("acl", "check", "--as", "pump-1", "subscribe", "cellar/+")["verdict"] == "allowed"


def test_a_group_that_nobody_is_in(pump):
    assert 'no device is in group "hull" yet' in pump.cli("acl", "allow", "group:hull", "publish", "x").stdout
    assert "note" not in pump.cli("acl", "allow", "group:hall", "publish", "x").stdout


def test_certificate_names(gateway):
    gateway.bundle("pump-9")
    gateway.cli("acl", "allow", "any", "publish", "by/${san}")
    uuid = "urn:uuid:" + gateway.json("device", "show", "pump-9")["uuid"]
    answer = gateway.json("acl", "check", "--as", "pump-9", "publish", f"by/{uuid}")
    assert answer["verdict"] == "allowed" and answer["variables"]["san"] == [uuid]
    assert uuid in gateway.cli("acl", "check", "--as", "pump-9", "publish", "x").stdout


def test_wrong_questions(pump):
    for words, code in ((["--as", "ghost", "publish", "x"], 5), (["publish", "x"], 2),
                        (["--as", "pump-1", "publish", "x/#"], 2)):
        with pytest.raises(CliError) as e:
            pump.cli("acl", "check", *words)
        assert e.value.code == code


def test_rules_that_nobody_has_saved(pump, tmp_path):
    draft = tmp_path / "draft"
    saved = pump.json("acl", "list")
    own = next(r["id"] for r in saved if r["filter"] == "plant/${device}/#")
    draft.write_text(f"# what if\n\nremove {own}\nallow role:other publish plant/#\n")

    def check(*options):
        return pump.cli("acl", "check", "--as", "pump-1", "publish", "plant/pump-1/state", *options).stdout

    assert "denied, no rule allows it" in check("--with", str(draft))
    said = check("--with", str(draft), "--role", "other")
    assert "allowed by line 4, which is not saved" in said and "from role:other (not saved, line 4)" in said
    assert "allowed by rule" in check()
    assert "denied" in check("--role", "other")
    assert "${group} cellar" in check("--group", "cellar")
    draft.write_text("remove all\nallow any publish \"plant/pump-1/state\" qos 1\n")
    assert "denied" in check("--with", str(draft))
    assert "allowed by line 2" in check("--with", str(draft), "--qos", "1")
    assert pump.json("acl", "list") == saved


def test_a_wrong_line_is_named(pump, tmp_path):
    draft = tmp_path / "draft"
    for text, says in (("\nallow any read x\n", 'line 2: action: "read" is none'),
                       ("remove 4711\n", "line 1: there is no rule 4711"),
                       ("remove x\n", "give the number of a rule, or all"),
                       ("#\n" * 300, "more than 256 lines")):
        draft.write_text(text)
        with pytest.raises(CliError) as e:
            pump.cli("acl", "check", "--as", "pump-1", "publish", "x", "--with", str(draft))
        assert says in str(e.value)


def test_a_device_that_cannot_connect_at_all(make_gateway, tmp_path):
    gw = make_gateway()
    gw.cli("acl", "allow", "any", "all", "#")

    def said():
        text = gw.cli("acl", "check", "--as", "d-1", "publish", "a").stdout
        barred = gw.json("acl", "check", "--as", "d-1", "publish", "a")["barred"]
        shown, listed = gw.json("device", "show", "d-1"), gw.json("device", "list")[0]
        assert barred == shown["barred"] == listed["barred"]
        assert ("cannot connect now" in text) == (barred is not None)
        assert barred is None or f"d-1 cannot connect now: {barred}\n" in text
        return barred

    gw.cli("device", "add", "d-1")
    assert said() == "it has no certificate and no password"
    gw.cli("cert", "add", "d-1", "--bundle", tmp_path / "a")
    assert said() is None
    number = gw.json("cert", "list", "--device", "d-1")[0]["fingerprint"]
    gw.cli("cert", "hold", number)
    assert said() == "its certificate is on hold"
    gw.cli("cert", "release", number)
    assert said() is None
    gw.cli("cert", "revoke", number)
    assert said() == "its certificate was revoked"
    gw.cli("device", "set", "d-1", "--password", input="a long password\n")
    assert said() is None
    gw.cli("device", "set", "d-1", "--disabled")
    assert said() == "it is disabled"


def test_a_denial_tells_that_only_the_network_is_wrong(pump):
    """The log and, of MQTT 5, the device: no new rule is needed, but another place."""
    pump.bundle("roamer")
    pump.cli("acl", "allow", "device:roamer", "publish", "roam/#", "--network", "10.0.0.0/8")
    pump.cli("acl", "allow", "device:roamer", "subscribe", "roam/#", "--network", "10.0.0.0/8")
    with Client.tls(pump.mqtts, V5, bundle=pump.dir / "bundles" / "roamer") as roamer:
        roamer.connect("roamer")
        assert roamer.publish("roam/a", b"x", qos=1) == 0x87
        assert roamer.publish("elsewhere", b"x", qos=1) == 0x87
        assert list(roamer.subscribe("roam/b", check=False)) == [0x87]

    def reasons():
        events = pump.json("event", "list", "--name", "acl.denied", "--device", "roamer")
        return [(e["detail"]["topic"], e["reason"]) for e in events]

    wait_until(lambda: len(reasons()) == 3, what="the events")
    away, unknown = "no rule allows it from this network", "no rule allows it"
    assert sorted(reasons()) == [("elsewhere", unknown), ("roam/a", away), ("roam/b", away)]
