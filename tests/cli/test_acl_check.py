# SPDX-License-Identifier: Apache-2.0
"""gatehouse acl check: the verdict of the data path, its rule, and what nearly matched."""

import pytest

from gateway import CliError


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


def test_wrong_questions(pump):
    for words, code in ((["--as", "ghost", "publish", "x"], 5), (["publish", "x"], 2),
                        (["--as", "pump-1", "publish", "x/#"], 2)):
        with pytest.raises(CliError) as e:
            pump.cli("acl", "check", *words)
        assert e.value.code == code
