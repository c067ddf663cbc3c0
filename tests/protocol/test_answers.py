# SPDX-License-Identifier: Apache-2.0
"""What an answer says beside its code: reason strings, response information, and when they are left out."""

import pytest

import mqtt
from conftest import name
from mqtt import DISCONNECT, PUBACK, PUBREC, SUBACK, V5, V311

states = pytest.mark.states

SETTINGS = ["broker.response-information=reply/${clientid}", "broker.max-payload=100"]
RULES = [("allow", "any", "all", "#"), ("deny", "any", "publish", "t/+/closed"),
         ("deny", "any", "subscribe", "t/+/closed")]


@states("v5 3.1.2-28")
def test_response_information(dial):
    who = name()
    assert dial(V5).connect(who, props={"request_response": 1}).props["response_information"] == f"reply/{who}"
    for props in ({}, {"request_response": 0}):
        assert "response_information" not in dial(V5).connect(who, props=props).props
    assert dial(V311).connect(who).props == {}


@pytest.mark.parametrize("who", ["a/b", "a+", "#"])
def test_no_response_information_for_what_is_no_level(dial, who):
    assert "response_information" not in dial(V5).connect(who, props={"request_response": 1}).props


def test_response_information_is_left_out_where_it_does_not_fit(dial):
    props = {"request_response": 1, "maximum_packet_size": 30}
    assert "response_information" not in dial(V5).connect("c" * 20, props=props).props


def refuse(c, topic, qos, props=()):
    c.send(mqtt.publish(topic, "x", qos, 1, V5))
    return c.expect(PUBACK if qos == 1 else PUBREC)


@pytest.mark.parametrize("qos", [1, 2])
def test_puback_and_pubrec(join, topic, qos):
    answer = refuse(join(V5), f"{topic}/closed", qos)
    assert (answer.reason, answer.props) == (0x87, {"reason_string": "denied by a rule"})
    c = join(V5)
    c.send(mqtt.publish(topic, "x" * 101, qos, 1, V5))
    answer = c.expect(PUBACK if qos == 1 else PUBREC)
    assert (answer.reason, answer.props) == (0x97, {"reason_string": "max-payload"})


@states("v5 3.1.2-29")
@pytest.mark.parametrize("qos", [1, 2])
def test_none_for_who_wants_no_problem_information(join, topic, qos):
    c = join(V5, props={"request_problem": 0})
    answer = refuse(c, f"{topic}/closed", qos)
    assert (answer.reason, answer.props) == (0x87, {})
    c.send(mqtt.subscribe(2, [(f"{topic}/closed", 0)], V5))
    answer = c.expect(SUBACK)
    assert (answer.codes, answer.props) == ([0x87], {})


@states("v5 3.4.2-2", "v5 3.5.2-2", "v5 3.1.2-24", "v5 3.1.2-25")
@pytest.mark.parametrize("qos", [1, 2])
def test_none_where_it_does_not_fit(join, topic, qos):
    text = len("denied by a rule")
    for most, fits in ((5 + 1 + 3 + text, True), (4 + 1 + 3 + text, False)):
        answer = refuse(join(V5, props={"maximum_packet_size": most}), f"{topic}/closed", qos)
        assert answer.reason == 0x87 and ("reason_string" in answer.props) == fits and answer.size <= most


@states("v5 3.9.2-1")
def test_suback(join, topic):
    for most, fits in ((1000, True), (20, False)):
        c = join(V5, props={"maximum_packet_size": most})
        c.send(mqtt.subscribe(1, [(topic, 1), (f"{topic}/closed", 1), (f"{topic}/#", 2)], V5))
        answer = c.expect(SUBACK)
        assert answer.codes == [1, 0x87, 2]
        assert answer.props == ({"reason_string": "denied by a rule"} if fits else {})


def test_old_clients_get_codes_alone(join, topic):
    c = join(V311)
    assert c.subscribe(f"{topic}/closed", check=False) == [0x80]
    c.send(mqtt.publish(f"{topic}/closed", "x", 1, 1, V311))
    assert c.expect(PUBACK).size == 4


@states("v5 3.14.2-3", "v5 3.14.2-2", "v5 3.14.2-1")
@pytest.mark.parametrize("most", [1000, 40, 10])
def test_disconnect(dial, join, most):
    who = name()
    c = dial(V5)
    c.connect(who, props={"maximum_packet_size": most} if most > 20 else ())
    join(V5, client_id=who)
    last = c.expect(DISCONNECT)
    assert last.reason == 0x8E and last.props in ({}, {"reason_string": "taken over"})
    assert last.size <= max(most, 30)


@states("v5 3.2.2-19", "v5 3.1.3-8", "v5 3.1.4-2")
def test_connack(dial, join):
    """A refusal says why, and fits."""
    c = dial(V5)
    answer = c.connect("x" * 1025, refused=0x85)
    assert answer.props["reason_string"] == "the client identifier is longer than 1024 bytes"
    c = dial(V5)
    answer = c.connect("x" * 1025, refused=0x85, props={"maximum_packet_size": 20})
    assert answer.props == {} and answer.size <= 20


@states("v5 3.2.2-19", "v5 3.2.2-20")
@pytest.mark.parametrize("most", [20, 30, 60])
def test_connack_fits(dial, most):
    c = dial(V5)
    assert c.connect(name(), keep_alive=0, props={"maximum_packet_size": most, "request_response": 1}).size <= most


@states("v5 4.3.3-9")
def test_an_identifier_that_was_refused_is_free(join, topic):
    c, p = join(V5), join(V5)
    c.subscribe(f"{topic}/open", qos=2)
    assert refuse(p, f"{topic}/closed", 2).reason == 0x87
    p.send(mqtt.publish(f"{topic}/open", "x", 2, 1, V5))
    assert p.expect(PUBREC).reason == 0
    assert c.message().payload == b"x"


@states("v3 3.2.2-6", "v3 4.8.0-2")
def test_no_connack_without_a_fitting_code(dial):
    """A will to a topic that is too long: MQTT 3.1.1 has no return code that says so."""
    c = dial(V311)
    c.send(mqtt.connect(name(), version=V311, will=("t" * 1025, "x", 0, False)))
    assert c.expect_closed() == []
