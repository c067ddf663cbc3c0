# SPDX-License-Identifier: Apache-2.0
"""gatehouse trace: live lines of one client, device or topic; what they never hold; how they end."""

import json
import os
import queue
import signal
import subprocess
import threading

import pytest

import mqtt
from gateway import Gateway, build, wait_until
from mqtt import V311, V5, Client
from told import name

SECRET = "not for anyone's eyes"


@pytest.fixture(scope="module")
def gateway():
    with Gateway(listeners=["open tls=off auth=anonymous", "tcp tls=off auth=password"],
                 set=["broker.workers=2", "broker.publish-rate-per-device=0"]) as gw:
        gw.cli("device", "add", "pump-1", "--password", input=SECRET + "\n")
        gw.cli("acl", "allow", "any", "all", "t/#")
        yield gw


@pytest.fixture
def trace(gateway):
    """trace(WORD...): a running `gatehouse trace --json` that the gateway has begun."""
    running = []

    def start(*words):
        t = Trace(gateway, words)
        running.append(t)
        return t
    yield start
    for t in running:
        t.close()


class Trace:
    def __init__(self, gateway, words):
        self.process = subprocess.Popen([str(build() / "gatehouse"), "--socket", gateway.socket, "trace", "--json",
                                         *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        assert "tracing; Ctrl-C ends it" in first, first
        self.said, self.out = [], queue.Queue()
        self.readers = [threading.Thread(target=lambda: [self.out.put(x) for x in self.process.stdout]),
                        threading.Thread(target=lambda: self.said.extend(self.process.stderr))]
        for r in self.readers:
            r.start()

    def line(self):
        return self.out.get(timeout=30)

    def lines(self, n):
        """The next n of them."""
        got = []
        while len(got) < n:
            try:
                got.append(json.loads(self.line()))
            except queue.Empty:
                raise AssertionError(f"{len(got)} lines instead of {n}: {got}, {self.said}") from None
        return got

    def finish(self):
        """All that are left, and what it said at its end."""
        assert self.process.wait(60) == 0, self.said
        for r in self.readers:
            r.join()
        return self.lines(self.out.qsize()), "".join(self.said)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        for r in self.readers:
            r.join()
        self.process.stdout.close()
        self.process.stderr.close()


def brief(lines):
    return [(x["direction"], x.get("packet")) for x in lines]


def client(gateway, who, version=V5, **connect):
    c = Client.tcp(gateway.listeners["open"], version)
    c.connect(who, **connect)
    return c


@pytest.mark.parametrize("version", [V311, V5])
def test_a_client(gateway, trace, version):
    who, other = name(), name()
    t = trace(who)
    c, d = client(gateway, who, version), client(gateway, other)
    topic = f"t/{who}"
    c.subscribe(topic, qos=2)
    d.publish(topic, b"hello", qos=1)
    assert c.message().payload == b"hello"
    c.ping()
    c.disconnect()
    lines = t.lines(10)
    assert brief(lines) == [("in", "CONNECT"), ("out", "CONNACK"), ("in", "SUBSCRIBE"), ("out", "SUBACK"),
                            ("out", "PUBLISH"), ("in", "PUBACK"), ("in", "PINGREQ"), ("out", "PINGRESP"),
                            ("in", "DISCONNECT"), ("end", None)]
    by = {x.get("packet"): x for x in lines}
    assert who in by["CONNECT"]["about"] and ("MQTT 5.0" if version == V5 else "MQTT 3.1.1") in by["CONNECT"]["about"]
    assert by["SUBSCRIBE"]["about"] == f'"{topic}" QoS 2' and by["SUBACK"]["reason"] == "Granted QoS 2"
    assert (by["PUBLISH"]["topic"], by["PUBLISH"]["qos"], by["PUBLISH"]["payload_size"]) == (topic, 1, 5)
    assert by["PUBACK"]["packet_id"] == by["PUBLISH"]["packet_id"]
    assert "payload" not in by["PUBLISH"] and all(x["client_id"] == who for x in lines[1:])
    assert ("properties" in by["CONNACK"]) == (version == V5)


def test_in_the_order_of_what_happened(gateway, trace):
    who = name()
    t = trace(who, "--payload", "--count", 10)
    c = client(gateway, who)
    c.subscribe(f"t/{who}", qos=0)
    c.send(mqtt.publish(f"t/{who}", b"a", qos=2, packet_id=5, version=V5, retain=True,
                        props={"content_type": "text/plain", "user_property": [("k", "v")]}))
    assert c.message().payload == b"a"
    assert c.expect(mqtt.PUBREC).packet_id == 5
    c.send(mqtt.ack(mqtt.PUBREL, 5))
    c.expect(mqtt.PUBCOMP)
    c.disconnect()
    lines, said = t.finish()
    assert brief(lines[:5]) == [("in", "CONNECT"), ("out", "CONNACK"), ("in", "SUBSCRIBE"), ("out", "SUBACK"),
                                ("in", "PUBLISH")]
    assert sorted(brief(lines[5:7])) == [("out", "PUBLISH"), ("out", "PUBREC")]
    assert brief(lines[7:]) == [("in", "PUBREL"), ("out", "PUBCOMP"), ("in", "DISCONNECT")]
    got = next(x for x in lines if brief([x]) == [("in", "PUBLISH")])
    assert (got["packet_id"], got["qos"], got["flags"], got["payload"]) == (5, 2, "retain", '"a"')
    assert got["properties"] == 'Content Type "text/plain", User Property "k"="v"'
    assert got["size"] == len(mqtt.publish(f"t/{who}", b"a", qos=2, packet_id=5, version=V5, retain=True,
                                           props={"content_type": "text/plain", "user_property": [("k", "v")]}))
    assert "the number of lines is reached; 10 lines" in said
    assert [x["seq"] for x in lines] == list(range(1, 11))


def test_a_topic(gateway, trace):
    """Of all clients; an alias is as good as the topic; other topics are not shown."""
    a, b, room = name(), name(), name()
    t = trace("--topic", f"t/{room}/+", "--count", 5)
    reader = client(gateway, a)
    reader.subscribe(f"t/{room}/x")
    reader.subscribe("t/else")
    writer = client(gateway, b)
    writer.send(mqtt.publish(f"t/{room}/x", b"1", version=V5, props={"topic_alias": 3}))
    writer.send(mqtt.publish("", b"2", version=V5, props={"topic_alias": 3}))
    writer.send(mqtt.publish("t/else", b"3", version=V5))
    assert [m.payload for m in reader.messages(3)] == [b"1", b"2", b"3"]
    lines, _ = t.finish()
    assert len(lines) == 5
    # The clients may be on two workers: the lines of each are in order.
    of = {who: [x for x in lines if x["client_id"] == who] for who in (a, b)}
    assert brief(of[a]) == [("in", "SUBSCRIBE"), ("out", "PUBLISH"), ("out", "PUBLISH")]
    assert brief(of[b]) == [("in", "PUBLISH"), ("in", "PUBLISH")]
    assert all(x["topic"] == f"t/{room}/x" for x in of[a][1:] + of[b])


def test_a_device_and_no_secret(gateway, trace):
    """Neither passwords nor the data of an authentication, in whatever packet; their sizes are told."""
    who = name()
    t, of_client = trace("--device", "pump-1", "--payload"), trace(who, "--payload")
    c = Client.tcp(gateway.listeners["tcp"], V5)
    c.connect(who, username="pump-1", password=SECRET)
    c.ping()
    assert brief(t.lines(3)) == [("out", "CONNACK"), ("in", "PINGREQ"), ("out", "PINGRESP")]
    c.disconnect()
    s = Client.tcp(gateway.listeners["tcp"], V5)
    s.send(mqtt.connect(who, version=V5, props={"auth_method": "SCRAM-SHA-256",
                                                "auth_data": b"n,,n=pump-1,r=abcdefgh"}))
    challenge = s.expect(mqtt.AUTH)
    assert b"abcdefgh" in challenge.props["auth_data"]
    s.close()
    text = ""
    while '"reason":"the client closed the connection"' not in text:
        text += of_client.line()
    lines = [json.loads(x) for x in text.splitlines()]
    assert f"a password of {len(SECRET)} bytes" in lines[0]["about"] and 'user name "pump-1"' in lines[0]["about"]
    assert any("Authentication Data (22 bytes)" in x.get("properties", "") for x in lines)
    assert any(x.get("packet") == "AUTH" and "Authentication Data (" in x["properties"] for x in lines)
    assert SECRET not in text and "abcdefgh" not in text


def test_a_request_for_a_certificate_is_not_shown(gateway, trace):
    """It may hold an enrolment code."""
    t = trace("--topic", "$gw/pki/csr", "--payload", "--count", 1)
    c = client(gateway, name())
    c.publish("$gw/pki/csr", SECRET.encode())
    lines, _ = t.finish()
    assert lines[0]["payload_size"] == len(SECRET) and "payload" not in lines[0]


def test_who_is_refused_is_seen(gateway, trace):
    who = name()
    t = trace(who, "--count", 3)
    c = Client.tcp(gateway.listeners["tcp"], V311)
    c.send(mqtt.connect(who, username="pump-1", password="wrong", version=V311))
    c.expect_closed()
    lines, _ = t.finish()
    assert brief(lines) == [("in", "CONNECT"), ("out", "CONNACK"), ("end", None)]
    assert lines[1]["reason"] == "Bad User Name or Password" and "properties" not in lines[1]
    assert lines[2]["reason"] == "wrong user name or password"


def test_what_does_not_fit_is_counted(gateway, trace):
    """A flood: what is shown and what was left out is all of it, and the gateway keeps no more than it may."""
    who, n = name(), 100000
    t = trace("--topic", f"t/{who}", "--for", "1h")
    c = client(gateway, who)
    one = mqtt.publish(f"t/{who}", b"p" * 10, version=V5)
    for _ in range(n // 1000):
        c.send(one * 1000)
    c.ping()
    c.send(mqtt.publish(f"t/{who}", b"last", version=V5))
    c.ping()
    shown = 0

    def left_out():
        return sum(int(json.loads(x)["note"].split()[0]) for x in t.said if "left out" in x)

    def all_counted():
        nonlocal shown
        shown += len(t.lines(t.out.qsize()))
        return shown + left_out() == n + 1
    wait_until(all_counted, seconds=60, what="every line")
    assert shown > 100 and left_out() > 0


def test_several_and_no_more_than_half_of_all(gateway, trace):
    many = [trace(name(), "--for", "1h") for _ in range(4)]
    done = gateway.cli("trace", name(), check=False)
    assert done.returncode == 1 and "4 of the 4 traces that are on are yours" in done.stderr, done
    for t in many:
        t.process.send_signal(signal.SIGINT)
    assert all("stopped; 0 lines" in t.finish()[1] for t in many)
    for t in [trace(name(), "--for", "1h") for _ in range(4)]:
        t.process.kill()
        t.process.wait()

    def room():
        done = gateway.cli("trace", name(), "--count", "1", "--for", "1s", check=False)
        return done.returncode == 0 and "the time is over; 0 lines" in done.stderr
    wait_until(room, seconds=60, what="the end of the traces that nobody reads")


def test_it_survives_another_broker(gateway, trace):
    who = name()
    t = trace(who, "--for", "1h")
    client(gateway, who).disconnect()
    before = t.lines(4)
    os.kill(gateway.processes()["broker"], signal.SIGKILL)

    def again():
        try:
            client(gateway, who).disconnect()
            return True
        except (ConnectionError, AssertionError):
            return False
    wait_until(again, 30, "another broker")
    assert brief(t.lines(4)) == brief(before)


def test_it_is_audited(gateway, trace):
    who = name()
    trace(who, "--payload", "--count", 1)
    rows = [json.loads(x) for x in gateway.cli("audit", "list", "--json").stdout.splitlines()]
    mine = [r for r in rows if r["operation"] == "trace.start" and r["target"] == who]
    assert len(mine) == 1 and mine[0]["outcome"] == "ok" and mine[0]["why"] == "with payloads", mine


@pytest.mark.parametrize("words, why", [
    ([], "by one of CLIENT-ID, --device NAME and --topic FILTER"),
    (["c", "--topic", "t/#"], "by one of CLIENT-ID, --device NAME and --topic FILTER"),
    (["--topic", "t/#/x"], "is no topic filter"), (["--topic", "t/x#"], "is no topic filter"),
    (["--topic", "$share/g/t"], "is no topic filter"), (["--topic", ""], "topic"),
    (["c", "--for", "0s"], "for"), (["c", "--for", "2d"], "for"),
])
def test_what_is_wrong_is_named(gateway, words, why):
    done = gateway.cli("trace", *words, check=False)
    assert done.returncode == 2 and why in done.stderr, done


def test_a_device_that_is_not_there(gateway):
    done = gateway.cli("trace", "--device", "nobody", check=False)
    assert done.returncode == 5 and "nobody" in done.stderr


def test_for_people(gateway):
    """One line for each packet, and nothing that a terminal would obey."""
    who = name()
    t = subprocess.Popen([str(build() / "gatehouse"), "--socket", gateway.socket, "trace", who, "--count", "6"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.stderr.readline()
    c = client(gateway, who)
    c.subscribe("t/\x1b[31mred")
    c.ping()
    out, _ = t.communicate(timeout=30)
    assert "\x1b" not in out
    lines = out.splitlines()
    assert len(lines) == 6
    assert lines[2].split()[1:4] == ["in", who, "SUBSCRIBE"] and "t/?[31mred" in lines[2]
