# SPDX-License-Identifier: Apache-2.0
"""Access rules as clients meet them: variables, deny and allow, priorities, partial grants, what a
receiver may get, and that changes act on living sessions."""

import pytest

import mqtt
from gateway import wait_until
from mqtt import V311, V5, Client
from told import name

states = pytest.mark.states

LISTENERS = ["plain tls=off auth=password", "open tls=off auth=anonymous"]
RULES = []
PASSWORD = "correct horse battery staple"
DEVICES = {"pump-1": ["--group", "pumps"], "pump-2": ["--group", "pumps", "--group", "hall"],
           "panel": ["--role", "viewer"], "writer": []}


@pytest.fixture(scope="module", autouse=True)
def devices(gateway):
    gateway.cli("role", "add", "viewer")
    for who, options in DEVICES.items():
        gateway.cli("device", "add", who, "--password", *options, input=f"{PASSWORD}\n")
    gateway.cli("acl", "allow", "device:writer", "all", "#")


@pytest.fixture
def allow(gateway):
    """allow(subject, action, filter, effect, priority, *options): a rule until the end of the test."""
    made = []

    def rule(subject, action, topic_filter, effect="allow", priority=0, *options):
        before = {r["id"] for r in gateway.json("acl", "list")}
        gateway.cli("acl", effect, subject, action, topic_filter, "--priority", priority, *options)
        new = [r["id"] for r in gateway.json("acl", "list") if r["id"] not in before]
        made.extend(new)
        return new[0]

    yield rule
    left = {r["id"] for r in gateway.json("acl", "list")}
    for number in made:
        if number in left:
            gateway.cli("acl", "remove", number)


@pytest.fixture
def enter(dial):
    """enter(device, version, **options of mqtt.connect)"""
    def connect(device, version=V5, client_id=None, **options):
        c = dial(version, listener="plain")
        c.connect(name() if client_id is None else client_id, username=device, password=PASSWORD, **options)
        return c

    return connect


@pytest.fixture
def writer(enter):
    """May do everything."""
    return enter("writer")


def may_publish(c, topic):
    return c.publish(topic, "x", 1) in (0x00, 0x10)


def may_subscribe(c, topic_filter, qos=0):
    return c.subscribe(topic_filter, qos=qos, check=False)[0] < 0x80


# -- what nobody allows

@states("v3 3.3.5-2", "v3 3.8.4-5", "v5 3.8.4-7")
def test_default_is_deny(enter, writer, version, topic):
    c = enter("pump-1", version)
    writer.subscribe(f"{topic}/#")
    code = c.publish(f"{topic}/a", "x", 1)
    assert code == (0x87 if version == V5 else 0)  # 3.1.1 cannot say no
    assert c.publish(f"{topic}/a", "x", 2) == (0x87 if version == V5 else 0)
    c.publish(f"{topic}/a", "x", 0)
    assert c.subscribe(f"{topic}/a", "#", check=False) == [0x87, 0x87] if version == V5 else [0x80, 0x80]
    writer.publish(f"{topic}/end", "end")
    assert writer.message().payload == b"end"


def test_anonymous_has_the_rules_for_everyone_alone(join, allow, topic):
    c = join(V5)
    assert not may_publish(c, topic)
    allow("any", "publish", f"{topic}/#")
    assert may_publish(c, topic)
    allow("device:pump-1", "publish", f"{topic}x")
    assert not may_publish(c, f"{topic}x")


@pytest.mark.parametrize("action, publish, subscribe", [
    ("publish", True, False), ("subscribe", False, True), ("receive", False, False), ("all", True, True)])
def test_actions(enter, allow, topic, action, publish, subscribe):
    allow("device:pump-1", action, f"{topic}/#")
    c = enter("pump-1")
    assert may_publish(c, f"{topic}/a") == publish
    assert may_subscribe(c, f"{topic}/a") == subscribe


@pytest.mark.parametrize("subject, who", [
    ("any", {"pump-1", "pump-2", "panel"}), ("device:pump-1", {"pump-1"}), ("group:pumps", {"pump-1", "pump-2"}),
    ("group:hall", {"pump-2"}), ("role:viewer", {"panel"})])
def test_subjects(enter, allow, topic, subject, who):
    allow(subject, "publish", topic)
    assert {d for d in ("pump-1", "pump-2", "panel") if may_publish(enter(d), topic)} == who


# -- filters

@pytest.mark.parametrize("rule, asked, granted", [
    ("a/#", "a/#", True), ("a/#", "a/b/#", True), ("a/#", "a/+", True), ("a/#", "a", True), ("a/#", "#", False),
    ("a/#", "+/#", False), ("a/#", "+/b", False), ("a/+", "a/b", True), ("a/+", "a/+", True), ("a/+", "a/#", False),
    ("a/+/c", "a/b/c", True), ("a/+/c", "a/+/c", True), ("a/+/c", "a/+/+", False), ("a/b", "a/b", True),
    ("a/b", "a/+", False), ("a/b", "A/b", False), ("+", "a", False), ("#", "#", True)])
def test_a_filter_must_be_covered_as_a_whole(enter, allow, topic, rule, asked, granted):
    prefix = "" if rule == "#" else f"{topic}/"
    allow("device:pump-1", "subscribe", prefix + rule)
    if rule == "+":
        granted = True  # below the prefix of this test it covers one level
    assert may_subscribe(enter("pump-1"), prefix + asked) == granted


def test_several_rules_may_cover_a_filter_in_turn(enter, allow, topic):
    c = enter("pump-1")
    for part in ("a", "b"):
        allow("device:pump-1", "subscribe", f"{topic}/{part}/#")
    assert may_subscribe(c, f"{topic}/a/#") and may_subscribe(c, f"{topic}/b/x")
    assert not may_subscribe(c, f"{topic}/+/x")


def test_refused_and_granted_in_one_packet(enter, allow, writer, version, topic):
    allow("device:pump-1", "all", f"{topic}/own/#")
    c = enter("pump-1", version)
    no = 0x87 if version == V5 else 0x80
    codes = c.subscribe(f"{topic}/own/a", f"{topic}/other", f"{topic}/own/+", "#", qos=1, check=False)
    assert codes == [1, no, 1, no]
    writer.publish(f"{topic}/other", "hidden")
    writer.publish(f"{topic}/own/b", "seen")
    assert c.message().payload == b"seen"


@pytest.mark.parametrize("topic_filter", ["$SYS/#", "$gw/x", "$x"])
def test_topics_with_dollar_are_closed_to_wildcard_rules(enter, writer, allow, topic_filter):
    other = enter("writer")
    assert not may_subscribe(writer, topic_filter)  # although it may do "#"
    assert not may_publish(other, topic_filter.replace("#", "a"))
    allow("device:writer", "all", topic_filter)
    assert may_subscribe(writer, topic_filter)
    assert may_publish(other, topic_filter.replace("#", "a"))
    assert writer.message().topic == topic_filter.replace("#", "a")


# -- deny and priority

def test_deny_wins_a_tie(enter, allow, topic):
    c = enter("pump-1")
    allow("device:pump-1", "publish", f"{topic}/#")
    allow("any", "publish", f"{topic}/secret/#", "deny")
    assert may_publish(c, f"{topic}/a")
    assert not may_publish(c, f"{topic}/secret/a")
    assert not may_publish(c, f"{topic}/secret")


def test_higher_priority_decides(enter, allow, topic):
    c = enter("pump-1")
    allow("any", "publish", f"{topic}/#", "deny")
    allow("device:pump-1", "publish", f"{topic}/a", priority=1)
    assert may_publish(c, f"{topic}/a")
    assert not may_publish(c, f"{topic}/b")
    allow("any", "publish", f"{topic}/a", "deny", priority=2)
    assert not may_publish(c, f"{topic}/a")


def test_partial_grant(enter, allow, writer, version, topic):
    """A deny rule inside the filter: granted, but its topics do not come."""
    allow("device:panel", "all", f"{topic}/#")
    allow("device:panel", "subscribe", f"{topic}/secret/#", "deny")
    c = enter("panel", version)
    assert may_subscribe(c, f"{topic}/#", 1)
    assert not may_subscribe(c, f"{topic}/secret/#")
    assert not may_subscribe(c, f"{topic}/secret/a")
    for part in ("secret", "secret/a", "open"):
        writer.publish(f"{topic}/{part}", part, 1)
    assert c.message().payload == b"open"


def test_receive_is_judged_by_message(enter, allow, writer, version, topic):
    allow("device:panel", "subscribe", f"{topic}/#")
    allow("device:panel", "receive", f"{topic}/+/state")
    c = enter("panel", version)
    assert may_subscribe(c, f"{topic}/#", 1)
    for part in ("a/command", "a", "a/state"):
        writer.publish(f"{topic}/{part}", part, 1)
    assert c.message().payload == b"a/state"


def test_receive_denied(enter, allow, writer, topic):
    allow("device:panel", "all", f"{topic}/#")
    allow("any", "receive", f"{topic}/x", "deny")
    c = enter("panel")
    assert may_subscribe(c, f"{topic}/#")
    writer.publish(f"{topic}/x", "hidden")
    writer.publish(f"{topic}/y", "seen")
    assert c.message().payload == b"seen"


# -- variables

def test_device_variable(enter, allow, topic):
    allow("any", "all", f"{topic}/${{device}}/#")
    for who, other in (("pump-1", "pump-2"), ("pump-2", "pump-1")):
        c = enter(who)
        assert may_publish(c, f"{topic}/{who}/state") and may_subscribe(c, f"{topic}/{who}/#")
        assert not may_publish(c, f"{topic}/{other}/state")
        assert not may_subscribe(c, f"{topic}/+/state") and not may_subscribe(c, f"{topic}/{other}/#")


def test_client_identifier_variable(enter, allow, topic):
    allow("any", "all", f"{topic}/${{clientid}}")
    c = enter("pump-1", client_id="some-id")
    assert may_publish(c, f"{topic}/some-id")
    assert not may_publish(c, f"{topic}/pump-1") and not may_publish(c, f"{topic}/some-id/x")


@pytest.mark.parametrize("client_id", ["+", "#", "a/b", "x+", "#y", "/", "pump-1/#"])
def test_value_that_could_be_a_pattern_matches_nothing(enter, allow, writer, topic, client_id):
    allow("any", "all", f"{topic}/${{clientid}}/x")
    c = enter("pump-1", client_id=client_id)
    assert not may_subscribe(c, f"{topic}/+/x") and not may_subscribe(c, f"{topic}/#")
    for word in ("a", "a/b", "pump-1"):
        assert not may_publish(c, f"{topic}/{word}/x")


def test_empty_value_matches_nothing(join, allow, topic):
    allow("any", "all", f"{topic}/${{device}}/x")
    allow("any", "all", f"{topic}/${{cn}}/x")
    c = join(V5)  # nobody has neither name nor certificate
    assert not may_publish(c, f"{topic}//x") and not may_subscribe(c, f"{topic}//x")


def test_common_name_variable(gateway, enter, allow, topic):
    bundle = gateway.bundle(who := name())
    allow("any", "publish", f"{topic}/${{cn}}")
    with Client.tls(gateway.mqtts, V5, bundle=bundle) as c:
        c.connect(name())
        assert may_publish(c, f"{topic}/{who}") and not may_publish(c, f"{topic}/pump-1")
    assert not may_publish(enter("pump-1"), f"{topic}/pump-1")  # no certificate, no common name


def test_alternative_name_variable(gateway, enter, allow, topic):
    bundle = gateway.bundle(who := name())
    uuid = gateway.json("device", "show", who)["uuid"]
    allow("any", "publish", f"{topic}/${{san}}")
    with Client.tls(gateway.mqtts, V5, bundle=bundle) as c:
        c.connect(name())
        assert may_publish(c, f"{topic}/urn:uuid:{uuid}") and not may_publish(c, f"{topic}/{who}")
    assert not may_publish(enter("pump-1"), f"{topic}/")


def test_names_are_read_when_a_rule_first_asks_for_them(gateway, allow, topic):
    bundle = gateway.bundle(who := name())
    with Client.tls(gateway.mqtts, V5, bundle=bundle) as c:
        c.connect(name())
        assert not may_publish(c, f"{topic}/{who}")
        allow(f"device:{who}", "all", f"{topic}/${{cn}}")
        assert may_publish(c, f"{topic}/{who}")


def test_group_variable(enter, allow, topic):
    allow("any", "publish", f"{topic}/${{group}}/x")
    c = enter("pump-2")
    assert may_publish(c, f"{topic}/pumps/x") and may_publish(c, f"{topic}/hall/x")
    assert not may_publish(enter("pump-1"), f"{topic}/hall/x")
    assert not may_publish(enter("panel"), f"{topic}//x")


# -- conditions and literal rules

def test_qos_condition(enter, allow, writer, topic):
    allow("device:pump-1", "all", topic, "allow", 0, "--qos", "0,1")
    c = enter("pump-1")
    assert may_publish(c, topic) and c.publish(topic, "x", 2) == 0x87
    assert may_subscribe(c, topic, 1) and not may_subscribe(c, topic, 2)


def test_qos_condition_for_receiving(enter, allow, writer, topic):
    allow("device:panel", "subscribe", f"{topic}/#")
    allow("device:panel", "receive", f"{topic}/#", "allow", 0, "--qos", "1")
    c = enter("panel")
    assert may_subscribe(c, f"{topic}/#", 1)
    writer.publish(f"{topic}/a", "hidden", 0)
    writer.publish(f"{topic}/a", "seen", 1)
    assert c.message().payload == b"seen"


def test_retain_condition(enter, allow, topic):
    allow("device:pump-1", "publish", topic, "allow", 0, "--retain", "no")
    allow("device:pump-2", "publish", topic, "allow", 0, "--retain", "yes")
    plain, keeper = enter("pump-1"), enter("pump-2")
    assert plain.publish(topic, "x", 1) in (0, 0x10) and plain.publish(topic, "x", 1, retain=True) == 0x87
    assert keeper.publish(topic, "x", 1) == 0x87 and keeper.publish(topic, "x", 1, retain=True) in (0, 0x10)


def test_network_condition(enter, allow, topic):
    allow("device:pump-1", "all", f"{topic}/near", "allow", 0, "--network", "127.0.0.0/8")
    allow("device:pump-1", "all", f"{topic}/far", "allow", 0, "--network", "10.0.0.0/8", "--network", "192.0.2.7")
    c = enter("pump-1")
    assert may_publish(c, f"{topic}/near") and may_subscribe(c, f"{topic}/near")
    assert not may_publish(c, f"{topic}/far") and not may_subscribe(c, f"{topic}/far")
    allow("device:pump-1", "publish", f"{topic}/near", "deny", 1, "--network", "127.0.0.1")
    assert not may_publish(c, f"{topic}/near")  # while it is connected


def test_check_asks_from_where_the_device_is_connected(gateway, enter, allow, topic):
    allow("device:pump-1", "publish", f"{topic}/near", "allow", 0, "--network", "127.0.0.0/8")
    question = ("acl", "check", "--as", "pump-1", "publish", f"{topic}/near")
    assert gateway.json(*question)["verdict"] == "denied"  # from nowhere
    enter("pump-1", client_id="pump-1")
    answer = wait_until(lambda: (a := gateway.json(*question))["verdict"] == "allowed" and a, what="the address")
    assert answer["variables"]["address"] == "127.0.0.1"
    assert gateway.json(*question, "--address", "10.0.0.1")["verdict"] == "denied"


def test_literal_rule(enter, allow, topic):
    allow("device:pump-1", "subscribe", f"{topic}/#", "allow", 0, "--literal")
    allow("device:pump-1", "publish", f"{topic}/${{device}}", "allow", 0, "--literal")
    c = enter("pump-1")
    assert may_subscribe(c, f"{topic}/#") and not may_subscribe(c, f"{topic}/a")
    assert may_publish(c, f"{topic}/${{device}}") and not may_publish(c, f"{topic}/pump-1")


# -- living sessions

def test_allowing_acts_at_once(enter, allow, topic):
    c = enter("pump-1")
    assert not may_publish(c, topic)
    allow("device:pump-1", "publish", topic)
    assert may_publish(c, topic)


def test_removing_a_rule_acts_at_once(gateway, enter, allow, topic):
    number = allow("device:pump-1", "publish", topic)
    c = enter("pump-1")
    assert may_publish(c, topic)
    gateway.cli("acl", "remove", number)
    assert not may_publish(c, topic)


def test_a_subscription_that_is_no_longer_allowed_brings_nothing(gateway, enter, allow, writer, version, topic):
    number = allow("device:panel", "all", f"{topic}/#")
    c = enter("panel", version)
    assert may_subscribe(c, f"{topic}/#", 1)
    writer.publish(f"{topic}/a", "before", 1)
    assert c.message().payload == b"before"
    gateway.cli("acl", "remove", number)
    writer.publish(f"{topic}/a", "hidden", 1)
    c.ping()
    allow("device:panel", "all", f"{topic}/#")
    writer.publish(f"{topic}/a", "again", 1)
    assert c.message().payload == b"again"


def test_deny_cuts_a_running_subscription(enter, allow, writer, topic):
    allow("device:panel", "all", f"{topic}/#")
    c = enter("panel")
    assert may_subscribe(c, f"{topic}/#")
    allow("device:panel", "all", f"{topic}/secret/#", "deny")
    writer.publish(f"{topic}/secret/x", "hidden")
    writer.publish(f"{topic}/a", "seen")
    assert c.message().payload == b"seen"


def test_what_waits_for_a_client_that_is_away_is_judged_again(gateway, enter, allow, writer, topic):
    """Messages that it may no longer receive are not delivered when it returns."""
    number = allow("device:panel", "all", f"{topic}/#")
    who = name()
    options = {"client_id": who, "clean": False, "props": {"session_expiry": 300}}
    c = enter("panel", **options)
    assert may_subscribe(c, f"{topic}/#", 1)
    c.disconnect()
    writer.publish(f"{topic}/a", "waits", 1)
    gateway.cli("acl", "remove", number)
    c = enter("panel", **options)
    assert c.connack.session_present
    c.ping()


def test_group_changes_act_at_once(gateway, enter, allow, topic):
    allow("group:night", "publish", topic)
    c = enter("panel")
    assert not may_publish(c, topic)
    gateway.cli("device", "set", "panel", "--group", "night")
    wait_until(lambda: may_publish(c, topic), what="the change of groups")
    gateway.cli("device", "set", "panel", "--group", "day")
    wait_until(lambda: not may_publish(c, topic), what="the change of groups")


def test_role_changes_act_at_once(gateway, enter, allow, topic):
    gateway.cli("role", "add", "night-shift")
    gateway.cli("role", "add", "day-shift")
    allow("role:night-shift", "publish", topic)
    c = enter("pump-1")
    assert not may_publish(c, topic)
    gateway.cli("device", "set", "pump-1", "--role", "night-shift")
    wait_until(lambda: may_publish(c, topic), what="the change of roles")
    gateway.cli("device", "set", "pump-1", "--role", "day-shift")
    wait_until(lambda: not may_publish(c, topic), what="the change of roles")


def test_will_is_judged_when_it_is_published(gateway, enter, allow, writer, topic):
    number = allow("device:pump-1", "publish", topic)
    writer.subscribe(f"{topic}/#")
    for expected in (b"allowed", b"end"):
        c = enter("pump-1", will=(topic, "allowed", 1, False))
        c.reset()
        if expected == b"end":
            writer.publish(f"{topic}/end", "end")
        assert writer.message().payload == expected
        if expected == b"allowed":
            gateway.cli("acl", "remove", number)


def test_revoking_does_not_end_the_connection(gateway, enter, allow, topic):
    """Rules decide about messages; only the state of device and certificate decides about connections."""
    number = allow("device:pump-1", "all", f"{topic}/#")
    c = enter("pump-1", V311)
    gateway.cli("acl", "remove", number)
    c.ping()
