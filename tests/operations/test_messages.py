# SPDX-License-Identifier: Apache-2.0
"""The test client: messages of an administrator, watches, retained messages; what bounds them."""

import concurrent.futures
import json
import os
import signal
import subprocess

import pytest

import mqtt
from api import Api, Local
from conftest import name
from gateway import Gateway, build, wait_until
from mqtt import V5, Client

PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def gateway():
    with Gateway(listeners=["open tls=off auth=anonymous", "tcp tls=off auth=password"],
                 set=["broker.workers=2", "broker.max-payload=20000", "broker.sys-interval=1s"]) as gw:
        for device in ("pump-1", "pump-2"):
            gw.cli("device", "add", device, "--password", input=PASSWORD + "\n")
        gw.cli("acl", "allow", "any", "all", "t/#")
        gw.cli("acl", "allow", "device:pump-1", "all", "own/${device}/#")
        gw.cli("acl", "deny", "device:pump-1", "publish", "t/closed")
        yield gw


@pytest.fixture
def api(gateway):
    return Local(gateway.socket)


def client(gateway, who, **connect):
    c = Client.tcp(gateway.listeners["open"], V5)
    c.connect(who, **connect)
    return c


class Watch:
    """A watch that is read to its next messages."""

    def __init__(self, api, **wish):
        self.api, self.seq, self.dropped = api, 0, 0
        status, answer = api.call("POST", "/watches", wish)
        assert status == 201, answer
        self.id = answer["id"]

    def look(self, wait=20000):
        status, answer = self.api.call("GET", f"/watches/{self.id}?after={self.seq}&wait={wait}")
        assert status == 200, answer
        self.dropped = answer["dropped"]
        if answer["items"]:
            self.seq = answer["items"][-1]["seq"]
        return answer["items"]

    def messages(self, n):
        got = []
        while len(got) < n:
            more = self.look()
            assert more, f"{len(got)} messages instead of {n}: {got}"
            got += more
        return got

    def stop(self):
        assert self.api.call("DELETE", f"/watches/{self.id}")[0] == 200


@pytest.fixture
def watch(api):
    started = []

    def start(filter, **wish):
        started.append(Watch(api, filter=filter, **wish))
        return started[-1]
    yield start
    for w in started:
        w.stop()


# -- publishing


def test_it_goes_to_subscribers_once(gateway, api):
    room = name()
    readers = [client(gateway, name()) for _ in range(3)]
    for r in readers:
        r.subscribe(f"t/{room}/+", qos=2)
    for qos in (0, 1, 2):
        status, said = api.call("POST", "/messages", {"topic": f"t/{room}/x", "payload": f"hello {qos}", "qos": qos})
        assert status == 200 and said == {"topic": f"t/{room}/x", "size": 7, "receivers": 3}
    for r in readers:
        assert [(m.payload, m.qos, m.retain) for m in r.messages(3)] == [
            (b"hello 0", 0, False), (b"hello 1", 1, False), (b"hello 2", 2, False)]
        r.quiet()
        r.close()


def test_a_durable_session_gets_it_later(gateway, api):
    who = name()
    c = client(gateway, who, props={"session_expiry": 600})
    c.subscribe(f"t/{who}", qos=1)
    c.disconnect()
    assert api.call("POST", "/messages", {"topic": f"t/{who}", "payload": "later", "qos": 1})[0] == 200
    c = client(gateway, who, clean=False, props={"session_expiry": 0})
    assert c.message().payload == b"later"
    c.close()


def test_any_bytes(gateway, api):
    who = name()
    c = client(gateway, who)
    c.subscribe(f"t/{who}")
    assert api.call("POST", "/messages", {"topic": f"t/{who}", "data": "/wAB"})[0] == 200
    assert c.message().payload == b"\xff\x00\x01"
    c.close()
    for more, says in (({"payload": "x", "data": "eA=="}, "not both"), ({"data": "e"}, "base64")):
        status, said = api.call("POST", "/messages", {"topic": "t/x", **more})
        assert status == 400 and says in said["detail"], said


@pytest.mark.parametrize("wish, status, field, says", [
    ({"topic": "$SYS/x"}, 422, "topic", "only the gateway publishes to $SYS/x"),
    ({"topic": "$gw/pki/renew"}, 422, "topic", "only the gateway"),
    ({"topic": "t/+"}, 400, "topic", "no topic"),
    ({"topic": ""}, 400, "topic", "no topic"),
    ({"topic": "/".join("x" * 40)}, 400, "topic", "max-topic-levels"),
    ({"topic": "t/x", "payload": "x" * 20001}, 422, "payload", "max-payload"),
    ({"topic": "t/closed", "as": "pump-1"}, 422, "as", "pump-1 may not publish to t/closed: rule 3 denies it"),
    ({"topic": "else", "as": "pump-1"}, 422, "as", "pump-1 may not publish to else: no rule allows it"),
    ({"topic": "t/x", "as": "nobody"}, 404, "as", "no device"),
])
def test_what_is_refused(gateway, api, wish, status, field, says):
    got, said = api.call("POST", "/messages", wish)
    assert (got, said["field"]) == (status, field) and says in said["detail"], said
    row = gateway.json("audit", "list", "--operation", "message.publish")[0]
    assert row["outcome"] != "ok" and row["target"] == wish["topic"][:128]


def test_as_a_device(gateway, api):
    """Its variables stand for it; a device that is disabled may nothing."""
    assert api.call("POST", "/messages", {"topic": "own/pump-1/x", "as": "pump-1"})[0] == 200
    assert api.call("POST", "/messages", {"topic": "own/pump-1/x", "as": "pump-2"})[0] == 422
    gateway.cli("device", "set", "pump-2", "--disabled")
    status, said = api.call("POST", "/messages", {"topic": "t/x", "as": "pump-2"})
    assert status == 422 and "disabled" in said["detail"]
    gateway.cli("device", "set", "pump-2", "--enabled")


def test_it_is_audited(gateway, api):
    api.call("POST", "/messages", {"topic": "t/audited", "payload": "123"})
    row = gateway.json("audit", "list", "--target", "t/audited")[0]
    assert (row["operation"], row["outcome"], row["why"]) == ("message.publish", "ok", "3 bytes")


# -- retained messages


def retained(api, **wish):
    """Every page of the list."""
    items, after = [], None
    while True:
        args = "&".join(f"{k}={v}" for k, v in {**wish, **({"after": after} if after else {})}.items())
        status, answer = api.call("GET", f"/retained?{args}")
        assert status == 200, answer
        items += answer["items"]
        after = answer["next"]
        if after is None:
            return items


def test_they_are_listed_and_removed(gateway, api):
    room = name()
    for i in range(7):
        assert api.call("POST", "/messages", {"topic": f"t/{room}/{i}", "payload": f"{i}", "retain": True})[0] == 200
    for limit in (1, 3, 100):
        assert sorted(m["text"] for m in retained(api, filter=f"t/{room}/%2B", limit=limit)) == list("0123456")
    assert retained(api, filter=f"t/{room}/4") == [
        {"topic": f"t/{room}/4", "qos": 0, "retain": True, "size": 1, "text": "4", "hex": None, "cut": False,
         "hidden": False}]
    reader = client(gateway, name())
    reader.subscribe(f"t/{room}/4")
    assert reader.message().retain
    assert api.call("DELETE", f"/retained?topic=t/{room}/4")[0] == 200
    assert reader.message().payload == b""
    reader.close()
    assert len(retained(api, filter=f"t/{room}/%23")) == 6
    status, said = api.call("DELETE", f"/retained?topic=t/{room}/4")
    assert status == 404 and "no retained message" in said["detail"]
    assert api.call("DELETE", "/retained?topic=$gw/pki/revoked/x")[0] == 422


def test_as_a_device_only_what_it_may_get(gateway, api):
    for topic in ("own/pump-1/state", "secret/state", "t/open"):
        api.call("POST", "/messages", {"topic": topic, "payload": "x", "retain": True})
    seen = {m["topic"] for m in retained(api, **{"as": "pump-1"})}
    assert {"own/pump-1/state", "t/open"} <= seen and "secret/state" not in seen
    assert "own/pump-1/state" not in {m["topic"] for m in retained(api, **{"as": "pump-2"})}
    assert "secret/state" in {m["topic"] for m in retained(api)}


def test_large_ones_are_cut(gateway, api):
    topic = f"t/{name()}"
    text = "ü" * 4000  # the cut falls between the two bytes of one
    c = client(gateway, name())
    c.publish(topic, ("a" + text).encode(), qos=1, retain=True)
    c.publish(topic + "/bytes", b"\xff" * 5000, qos=1, retain=True)
    c.close()
    (shown,) = retained(api, filter=topic)
    assert shown["size"] == 8001 and shown["cut"] and shown["text"] == "a" + text[:2047] and shown["hex"] is None
    (shown,) = retained(api, filter=topic + "/bytes")
    assert shown["size"] == 5000 and shown["cut"] and shown["text"] is None and shown["hex"] == "ff" * 4096


def test_many_large_ones_take_several_pages(gateway, api):
    room = name()
    c = client(gateway, name())
    for i in range(40):
        c.publish(f"t/{room}/{i}", b"x" * 5000, qos=1, retain=True)
    c.close()
    shown = retained(api, filter=f"t/{room}/%2B", limit=1000)
    assert len(shown) == len({m["topic"] for m in shown}) == 40


# -- watching


def test_every_message_once_whoever_gets_it(gateway, api, watch):
    room = name()
    w = watch(f"t/{room}/#")
    readers = [client(gateway, name()) for _ in range(4)]
    for r in readers:
        r.subscribe(f"t/{room}/#", qos=1)
    pump = Client.tcp(gateway.listeners["tcp"], V5)
    pump.connect("pump", username="pump-1", password=PASSWORD)
    pump.publish(f"t/{room}/a", b"1", qos=1)
    pump.publish(f"t/{room}/b", b"\xff\x01", qos=2, retain=True)
    pump.publish("t/else", b"not this", qos=1)
    pump.close()
    api.call("POST", "/messages", {"topic": f"t/{room}/c", "payload": "3"})
    # Those of one publisher are in order.
    got = sorted(w.messages(3), key=lambda m: m["topic"])
    assert [(m["topic"], m["qos"], m["retain"], m["size"], m["text"], m["hex"], m["device"], m["client_id"])
            for m in got] == [
        (f"t/{room}/a", 1, False, 1, "1", None, "pump-1", "pump"),
        (f"t/{room}/b", 2, True, 2, None, "ff01", "pump-1", "pump"),
        (f"t/{room}/c", 0, False, 1, "3", None, None, None)]
    assert w.look(wait=300) == []
    for r in readers:
        r.close()


def test_a_will_is_a_message(gateway, watch):
    who = name()
    w = watch(f"t/{who}")
    c = client(gateway, who, will=(f"t/{who}", b"gone", 0, False))
    c.reset()
    assert [(m["text"], m["client_id"]) for m in w.messages(1)] == [("gone", who)]


def test_of_one_device_that_is_not_there_yet(gateway, watch):
    late = name()
    w = watch("#", device=late)
    gateway.cli("device", "add", late, "--password", input=PASSWORD + "\n")
    other = client(gateway, name())
    other.publish("t/x", b"other", qos=1)
    c = Client.tcp(gateway.listeners["tcp"], V5)
    c.connect(late, username=late, password=PASSWORD)
    c.publish("t/x", b"mine", qos=1)
    assert [m["text"] for m in w.messages(1)] == ["mine"]
    c.close()
    other.close()


def test_as_a_device_also_after_a_change_of_the_rules(gateway, api, watch):
    room = name()
    w = watch("#", **{"as": "pump-1"})

    def say(topic, text):
        assert api.call("POST", "/messages", {"topic": topic, "payload": text})[0] == 200
    say(f"closed/{room}", "1")
    say(f"t/{room}", "2")
    assert [m["text"] for m in w.messages(1)] == ["2"]
    rule = gateway.json("acl", "allow", "device:pump-1", "receive", f"closed/{room}")["id"]
    say(f"closed/{room}", "3")  # it may receive it, but not subscribe
    also = gateway.json("acl", "allow", "device:pump-1", "subscribe", f"closed/{room}")["id"]
    say(f"closed/{room}", "4")
    assert [m["text"] for m in w.messages(1)] == ["4"]
    for n in (rule, also):
        gateway.cli("acl", "remove", str(n))
    say(f"closed/{room}", "5")
    say(f"t/{room}", "6")
    assert [m["text"] for m in w.messages(1)] == ["6"]


def test_the_figures_come_while_somebody_watches(watch):
    w = watch("$SYS/broker/uptime")
    (m,) = w.messages(1)
    assert m["text"].endswith(" seconds") and m["retain"] and m["device"] is None


def test_it_goes_on_after_an_end_of_the_broker(gateway, api, watch):
    topic = f"t/{name()}"
    w = watch(topic)
    os.kill(gateway.processes()["broker"], signal.SIGKILL)

    def arrives():
        api.call("POST", "/messages", {"topic": topic, "payload": "back"})
        return w.look(wait=500)
    assert wait_until(arrives, what="a message after the restart")[0]["text"] == "back"


def test_a_watch_is_its_owners_and_no_trace(gateway, api, watch):
    w = watch("t/#")
    assert api.call("GET", f"/traces/{w.id}")[0] == 404
    status, trace = api.call("POST", "/traces", {"topic": "t/#"})
    assert status == 201 and api.call("GET", f"/watches/{trace['id']}")[0] == 404
    assert api.call("DELETE", f"/traces/{trace['id']}")[0] == 200


@pytest.fixture
def program(gateway):
    """program(name, level): a caller with an API token of its own."""
    made = []

    def add(who, level="operator"):
        caller = Api(gateway.admin, gateway.root_ca)
        caller.token = gateway.json("token", "add", who, level)["token"]
        made.append(who)
        return caller

    yield add
    for who in made:
        gateway.cli("token", "remove", who)


def test_nobody_takes_the_last_watch_from_others(api, watch, program):
    """Of 8 one gets 4, the next one 2, then one each."""
    def fill(caller):
        begun = []
        while (answer := caller.call("POST", "/watches", {"filter": "t/#"}))[0] == 201:
            begun.append(answer[1]["id"])
        assert answer[0] == 429
        return begun, answer[1]["detail"]

    for _ in range(4):
        watch("t/none")
    status, said = api.call("POST", "/watches", {"filter": "t/#"})
    assert status == 429 and "4 of the 4 watches that are on are yours, and 4 of 8 places are left" in said["detail"]
    others = [program(f"watcher-{i}") for i in range(4)]
    begun = [fill(other) for other in others]
    assert [len(ids) for ids, _ in begun] == [2, 1, 1, 0]
    assert "8 watches are on already" in begun[3][1]
    for other, (ids, _) in zip(others, begun):
        for number in ids:
            assert other.call("DELETE", f"/watches/{number}")[0] == 200


def test_how_often_watches_are_begun_is_counted_for_each(program, watch):
    hasty = program("hasty")
    for _ in range(130):
        status, answer = hasty.call("POST", "/watches", {"filter": "t/#"})
        if status != 201:
            break
        assert hasty.call("DELETE", f"/watches/{answer['id']}")[0] == 200
    assert status == 429 and "you begin watches too often" in answer["detail"]
    watch("t/#")


def test_lines_that_do_not_fit_are_counted(gateway, watch):
    topic = f"t/{name()}"
    w = watch(topic)
    c = client(gateway, name())
    for _ in range(60):
        c.send(mqtt.publish(topic, b"x" * 4000, version=V5))
    c.publish(topic, b"last", qos=1)
    got = []
    while len(got) + w.dropped < 61:
        got += w.look()
    assert w.dropped > 0 and len(got) >= 10
    c.close()


# -- the command line


def test_the_commands(gateway, tmp_path):
    topic = f"t/{name()}"
    words = [str(build() / "gatehouse"), "--socket", gateway.socket, "watch", topic, "-n", "4"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as w:
        assert w.stderr.readline() == "gatehouse: watching; Ctrl-C ends it\n"
        assert gateway.cli("publish", topic, "hello").stdout == "published 5 bytes; 0 subscriptions matched\n"
        gateway.cli("publish", topic, "--qos", "1", "--retain", input="from standard input")
        (tmp_path / "bytes").write_bytes(b"\xff\x00\x1b")
        gateway.cli("publish", topic, "--file", tmp_path / "bytes")
        assert json.loads(gateway.cli("--json", "publish", topic, "--empty", "--as", "pump-1").stdout)["size"] == 0
        out, said = w.communicate(timeout=60)
    lines = [line.split("  ") for line in out.splitlines()]
    assert [[x.strip() for x in line if x.strip()][1:] for line in lines] == [
        [topic, "qos=0", "5 bytes", "from the gateway", "hello"],
        [topic, "qos=1 retain", "19 bytes", "from the gateway", "from standard input"],
        [topic, "qos=0", "3 bytes", "from the gateway", "0xff001b"],
        [topic, "qos=0", "0 bytes", "from the gateway"]]
    assert said == "gatehouse: stopped; 4 messages\n"
    (row,) = gateway.json("retained", "list", topic)
    assert row["text"] == "from standard input"
    assert "from standard input" in gateway.cli("retained", "list", topic).stdout
    assert gateway.cli("retained", "remove", topic).stdout == f"{topic}: the retained message is removed\n"
    assert gateway.cli("retained", "remove", topic, check=False).returncode == 5
    large = gateway.cli("publish", topic, check=False, input="x" * 24577)
    assert large.returncode == 2 and "longer than 24576 bytes" in large.stderr
    both = gateway.cli("publish", topic, "x", "--empty", check=False)
    assert both.returncode == 2 and "one of MESSAGE" in both.stderr
    wrong = gateway.cli("watch", topic, "-n", "0", check=False)
    assert wrong.returncode == 2 and "1 or more" in wrong.stderr


def test_no_flood(api, program):
    """Of one; another one publishes on. The last one: afterwards there is no room for a moment."""
    def say(_):
        return api.call("POST", "/messages", {"topic": "t/none"})
    with concurrent.futures.ThreadPoolExecutor(4) as four:
        for _ in range(50):
            refused = [said for status, said in four.map(say, range(40)) if status != 200]
            if refused:
                break
    assert refused[0]["status"] == 429 and "20 messages per second" in refused[0]["detail"]
    assert program("calm").call("POST", "/messages", {"topic": "t/none"})[0] == 200
