# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged survives kill -9: of the broker, of the store, of all processes at once, while
clients publish and receive with QoS 1 and 2. Every message that was acknowledged arrives; with QoS 2
each arrives exactly once; in order; what is sent again says so with DUP and keeps its packet
identifier."""

import os
import signal
import threading
import time

import pytest

import mqtt
from gateway import wait_until
from mqtt import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from told import OPEN, name
from transport import Late

ONE = "broker.workers=1"
TWO = "broker.workers=2"


def kill(gw, *names):
    """kill -9 of these processes; waits until the gateway serves again."""
    old = gw.processes()
    for n in names or old:
        os.kill(old[n], signal.SIGKILL)

    def serves():
        done, now = gw.cli("status", "--json", check=False), gw.processes()
        return done.returncode == 0 and all(now.get(n, old[n]) != old[n] for n in names or old)
    wait_until(serves, 60, "the end of the crash")


class Peer(threading.Thread):
    """A client that comes back to its session, on the same port, whatever happens."""

    def __init__(self, gw, qos, version=mqtt.V311):
        super().__init__()
        self.port, self.qos, self.version = gw.listeners["open"], qos, version
        self.client_id = name()
        self.stopping, self.error, self.times = False, None, 0

    def connect(self):
        """None: not yet."""
        try:
            c = mqtt.Client.tcp(self.port, self.version)
            props = {"session_expiry": 3600} if self.version == mqtt.V5 else ()
            c.send(mqtt.connect(self.client_id, self.version, clean=False, props=props))
            answer = c.receive(30)
        except (OSError, mqtt.Wrong):
            return None
        if answer.reason:
            c.close()
            return None
        c.largest, c.connack = 1 << 32, answer
        self.times += 1
        assert answer.session_present or self.times == 1, f"no session on connection {self.times}"
        return c

    def run(self):
        try:
            while not self.over():
                c = self.connect()
                if not c:
                    if not self.stopping:
                        threading.Event().wait(0.02)  # the port is closed; nothing tells when it opens
                    continue
                try:
                    self.talk(c)
                except (OSError, mqtt.Wrong) as e:
                    if not lost(e):
                        raise
                c.close()
        except BaseException as e:  # noqa: B902 - shown by finish()
            self.error = e

    def finish(self):
        self.stopping = True
        self.join(90)
        assert not self.is_alive(), f"{type(self).__name__} does not end: {self.__dict__}"
        if self.error:
            raise self.error


def lost(e):
    return isinstance(e, OSError) or "closed" in str(e) or "ended within" in str(e) or "0x8b" in str(e)


class Publisher(Peer):
    """Numbers, a window of them at a time. acked: those whose exchange is complete."""

    def __init__(self, gw, qos, topic, version=mqtt.V311, window=20):
        super().__init__(gw, qos, version)
        self.topic, self.window = topic, window
        self.n, self.acked, self.under_way = 0, [], {}

    def over(self):
        return self.stopping and not self.under_way

    def put(self, c, packet_id, dup):
        number, released = self.under_way[packet_id]
        if released:
            c.send(mqtt.ack(PUBREL, packet_id))
        else:
            c.send(mqtt.publish(self.topic, b"%d" % number, self.qos, packet_id, self.version, dup=dup))

    def talk(self, c):
        for packet_id in list(self.under_way):
            self.put(c, packet_id, True)
        while not self.over():
            while not self.stopping and len(self.under_way) < self.window:
                packet_id = next(i for i in range(1, 99) if i not in self.under_way)
                self.under_way[packet_id] = [self.n, False]
                self.n += 1
                self.put(c, packet_id, False)
            p = c.receive()
            if p.kind == PUBREC:
                self.under_way[p.packet_id][1] = True
                c.send(mqtt.ack(PUBREL, p.packet_id))
            elif p.kind in (PUBACK, PUBCOMP):
                self.acked.append(self.under_way.pop(p.packet_id)[0])


class Receiver(Peer):
    def __init__(self, gw, qos, topic, version=mqtt.V311):
        super().__init__(gw, qos, version)
        self.topic = topic
        self.got, self.again, self.held, self.ids = [], [], {}, {}
        self.wanted = None  # the last number: then it is over
        self.ready = threading.Event()

    def over(self):
        return self.stopping and self.wanted is not None and set(range(self.wanted)) <= set(self.got)

    def talk(self, c):
        if not self.ready.is_set():
            c.subscribe(self.topic, qos=self.qos)
            self.ready.set()
        while not self.over():
            try:
                p = c.receive(1)
            except Late:
                continue
            if p.kind == PUBLISH and p.qos == 1:
                self.take(p)
                c.send(mqtt.ack(PUBACK, p.packet_id))
            elif p.kind == PUBLISH:
                # Exactly once is the work of both: an identifier is known until PUBREL.
                if p.packet_id not in self.held:
                    self.take(p)
                    self.held[p.packet_id] = p.payload
                else:
                    assert p.dup and self.held[p.packet_id] == p.payload, (p, self.held[p.packet_id])
                c.send(mqtt.ack(PUBREC, p.packet_id))
            elif p.kind == PUBREL:
                self.held.pop(p.packet_id, None)
                c.send(mqtt.ack(PUBCOMP, p.packet_id))

    def take(self, p):
        number = int(p.payload)
        if self.qos == 1 and number in self.ids:
            self.again.append(p)
        self.ids[number] = p.packet_id
        self.got.append(number)


def first_times(numbers):
    return list(dict.fromkeys(numbers))


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("victims", [("broker",), ("store",), ()], ids=["broker", "store", "all"])
@pytest.mark.parametrize("workers", [ONE, TWO], ids=["one worker", "two workers"])
def test_a_crash_under_load(make_gateway, qos, victims, workers):
    gw = make_gateway(set=[workers], listeners=[OPEN])
    gw.cli("acl", "allow", "any", "all", "#")
    receivers = [Receiver(gw, qos, "load/#") for _ in range(3)]
    for r in receivers:
        r.start()
        assert r.ready.wait(20)
    publishers = [Publisher(gw, qos, f"load/{i}") for i in range(1)]
    for p in publishers:
        p.start()
    for _ in range(3):
        before = publishers[0].n
        wait_until(lambda: publishers[0].n > before + 60 or publishers[0].error, 30, "messages")
        kill(gw, *victims)
    before = publishers[0].n
    wait_until(lambda: publishers[0].n > before + 60 or publishers[0].error, 30, "messages after the crash")
    for p in publishers:
        p.finish()
    for r in receivers:
        r.wanted = publishers[0].n
        r.finish()
        numbers = first_times(r.got)
        assert numbers == list(range(publishers[0].n)), "order"
        if qos == 2:
            assert r.got == numbers, "exactly once"


# -- one thing at a time

ALL = ("acl", "allow", "any", "all", "#")


@pytest.fixture
def gw(make_gateway):
    made = make_gateway(set=[TWO], listeners=[OPEN, "loose tls=off auth=anonymous durability=relaxed",
                                              "light tls=off auth=anonymous durability=none"])
    made.cli(*ALL)
    return made


def join(gw, client_id, clean=False, listener="open", expiry=3600, **options):
    c = mqtt.Client.tcp(gw.listeners[listener], mqtt.V5)
    c.connect(client_id, clean=clean, props={"session_expiry": expiry}, **options)
    return c


def away(gw, topic, qos=1, listener="open", **options):
    """The identifier of a client that subscribes and goes."""
    client_id = name()
    c = join(gw, client_id, listener=listener, **options)
    c.subscribe(topic, qos=qos)
    c.disconnect()
    return client_id


def cut(gw):
    """A power cut, and the start after it."""
    gw.kill()
    gw.start()


def put(gw, topic, *payloads, qos=1, listener="open", **options):
    c = join(gw, name(), True, listener, 0)
    for p in payloads:
        assert c.publish(topic, p, qos=qos, **options) in (0, 0x10)
    c.disconnect()


def payloads(c, n):
    return [m.payload for m in c.messages(n)]


def answer(c, n):
    """Answers n messages to their ends; their payloads."""
    got = []
    while n:
        p = c.receive()
        if p.kind == PUBLISH:
            got.append(p.payload)
            c.send(mqtt.ack(PUBACK if p.qos == 1 else PUBREC, p.packet_id))
            n -= p.qos == 1
        else:
            c.send(mqtt.ack(PUBCOMP, p.packet_id))
            n -= 1
    return got


def nothing_waits(c):
    c.ping()
    assert c.quiet()


def test_without_durability_all_is_in_memory(gw):
    kept, light = away(gw, "d/#"), away(gw, "d/#", listener="light")
    put(gw, "d/1", b"one")
    put(gw, "d/kept", b"retained", retain=True)
    put(gw, "d/light", b"retained", retain=True, listener="light")
    assert gw.json("client", "show", light)["durability"] == "none"
    assert gw.json("client", "show", kept)["durability"] == "full"
    cut(gw)
    with join(gw, light, listener="light") as c:
        assert not c.connack.session_present
        c.subscribe("d/#", qos=1)
        assert [m.topic for m in c.messages(1)] == ["d/kept"]
        nothing_waits(c)
    with join(gw, kept) as c:
        assert c.connack.session_present
        assert payloads(c, 3) == [b"one", b"retained", b"retained"]


def test_what_is_replaced_without_durability_does_not_come_back(gw):
    def kept():
        return gw.json("status")["spool"]["kept"]["retained"]
    before = kept()
    put(gw, "r/1", b"old", retain=True)
    wait_until(lambda: kept() == before + 1, what="the old one on disk")
    put(gw, "r/1", b"new", retain=True, listener="light")
    # Nobody is told when the old one is gone: durability = none waits for nothing.
    wait_until(lambda: kept() == before, what="the old one to go")
    cut(gw)
    with join(gw, name(), True) as c:
        c.subscribe("r/#", qos=1)
        nothing_waits(c)


def test_a_session_becomes_durable_where_it_connects(gw):
    client_id = away(gw, "m/#", listener="light")
    join(gw, client_id, listener="open").disconnect()
    put(gw, "m/1", b"one")
    cut(gw)
    with join(gw, client_id) as c:
        assert c.connack.session_present
        assert payloads(c, 1) == [b"one"]
    join(gw, client_id, listener="light").disconnect()
    gw.restart()
    with join(gw, client_id) as c:
        assert not c.connack.session_present


def test_a_clean_start_ends_the_stored_session(gw):
    client_id = away(gw, "c/#")
    put(gw, "c/1", b"one")
    join(gw, client_id, clean=True, expiry=0)  # stays; CONNACK said that there is none
    cut(gw)
    with join(gw, client_id) as c:
        assert not c.connack.session_present
        nothing_waits(c)


def test_relaxed_is_stored_when_it_stops_in_order(gw):
    client_id = away(gw, "x/#", listener="loose")
    put(gw, "x/1", *[b"%d" % i for i in range(50)])
    gw.restart()
    with join(gw, client_id, listener="loose") as c:
        assert c.connack.session_present
        assert payloads(c, 50) == [b"%d" % i for i in range(50)]


def test_relaxed_does_not_wait_for_the_store(gw, stopped):
    client_id = name()
    loose = join(gw, client_id, listener="loose")
    loose.subscribe("x/#", qos=1)
    stopped(gw.processes()["store"])
    loose.send(mqtt.publish("x/1", b"one", 1, 7, mqtt.V5))
    assert {loose.receive().kind, loose.receive().kind} == {PUBLISH, PUBACK}
    loose.subscribe("y/#", qos=1)
    loose.unsubscribe("x/#")


def test_full_waits_for_the_store(gw, stopped):
    """Nothing is acknowledged that is not stored; those who need no store notice nothing."""
    client_id = away(gw, "w/#")
    subscriber = join(gw, name())
    publisher, plain = (join(gw, name(), True, "open", 0) for _ in range(2))
    store = gw.processes()["store"]
    stopped(store)
    publisher.send(mqtt.publish("w/1", b"first", 1, 11, mqtt.V5))
    publisher.send(mqtt.publish("w/2", b"second", 2, 12, mqtt.V5))
    publisher.send(mqtt.publish("other", b"", 1, 13, mqtt.V5))  # owes nothing, but stands behind
    subscriber.send(mqtt.subscribe(5, [("y", 1)], mqtt.V5))
    plain.subscribe("p/#", qos=1)
    assert plain.publish("q/1", b"", qos=1) == 0x10
    late = mqtt.Client.tcp(gw.listeners["open"], mqtt.V5)
    late.send(mqtt.connect(name(), mqtt.V5, clean=False, props={"session_expiry": 60}))
    assert late.receive(30).reason == 0x88
    publisher.ping()
    subscriber.ping()
    os.kill(store, signal.SIGCONT)
    assert subscriber.expect(mqtt.SUBACK).codes == [1]
    answers = [(p.kind, p.packet_id) for p in (publisher.receive() for _ in range(3))]
    assert answers == [(PUBACK, 11), (PUBREC, 12), (PUBACK, 13)]
    cut(gw)
    with join(gw, client_id) as c:
        assert payloads(c, 2) == [b"first", b"second"]


def test_a_publisher_that_is_owed_much_is_not_read(make_gateway, stopped):
    gw = make_gateway(set=[ONE, "broker.max-inflight=8"], listeners=[OPEN])
    gw.cli(*ALL)
    away(gw, "w/#")
    c, other = join(gw, name(), True, "open", 0), join(gw, name(), True, "open", 0)
    store = gw.processes()["store"]
    stopped(store)
    for i in range(1, 9):
        c.send(mqtt.publish("w/1", b"x", 1, i, mqtt.V5))
    other.ping()
    other.ping()  # the worker has had its turn with each of them
    c.send(mqtt.pingreq())
    other.ping()
    other.ping()
    assert c.quiet()
    os.kill(store, signal.SIGCONT)
    answers = [c.receive() for _ in range(9)]
    assert [p.packet_id for p in answers if p.kind == PUBACK] == list(range(1, 9))
    assert answers[0].kind == PUBACK and mqtt.PINGRESP in [p.kind for p in answers]


def test_identifiers_and_dup(gw):
    """What was under way comes again, in order, with the same packet identifiers and DUP."""
    client_id = name()
    c = join(gw, client_id)
    c.subscribe("i/#", qos=2)
    put(gw, "i/1", b"a", b"b")
    put(gw, "i/2", b"c", b"d", qos=2)
    first = c.messages(4, acknowledge=False)
    c.send(mqtt.ack(PUBREC, first[2].packet_id))
    assert c.expect(PUBREL).packet_id == first[2].packet_id
    cut(gw)
    c = join(gw, client_id)
    again = c.messages(2, acknowledge=False)
    released = c.expect(PUBREL)
    again += c.messages(1, acknowledge=False)
    assert released.packet_id == first[2].packet_id
    assert [(m.payload, m.packet_id, m.dup) for m in again] == \
        [(m.payload, m.packet_id, True) for m in (first[0], first[1], first[3])]
    nothing_waits(c)
    c.close()


def test_messages_expire_while_the_gateway_is_down(gw):
    client_id = away(gw, "e/#")
    put(gw, "e/1", b"brief", props={"message_expiry": 1})
    put(gw, "e/2", b"long", props={"message_expiry": 1000})
    put(gw, "e/3", b"brief", retain=True, props={"message_expiry": 1})
    began = time.time()
    gw.kill()
    wait_until(lambda: time.time() > began + 1.1)
    gw.start()
    with join(gw, client_id) as c:
        m = c.message()
        assert m.payload == b"long" and 900 < m.props["message_expiry"] < 1000
        nothing_waits(c)
        c.subscribe("e/3", qos=1)
        nothing_waits(c)


def test_sessions_and_wills_that_were_due_while_it_was_down(gw):
    watcher = away(gw, "will/#")
    for client_id, expiry, delay, text in [("brief", 1, 900, b"ended"), ("delayed", 900, 1, b"late"),
                                           ("waiting", 900, 900, b"not yet")]:
        join(gw, client_id, expiry=expiry, will=("will/x", text, 1, False), will_props={"will_delay": delay}).reset()
    there = join(gw, "there", expiry=900, will=("will/there", b"cut off", 1, False))
    wait_until(lambda: len(gw.json("client", "list")) == 1, what="the end of three connections")
    began = time.time()
    gw.kill()
    there.close()
    wait_until(lambda: time.time() > began + 1.2)
    gw.start()
    with join(gw, watcher) as c:
        assert sorted(payloads(c, 3)) == [b"cut off", b"ended", b"late"]
        nothing_waits(c)
    with join(gw, "brief") as c:
        assert not c.connack.session_present
    with join(gw, "waiting") as c:
        assert c.connack.session_present


def test_a_will_that_was_dropped_stays_dropped(gw):
    watcher = away(gw, "will/#")
    join(gw, "kind", will=("will/kind", b"no", 1, False)).disconnect()
    gw.restart()
    with join(gw, watcher) as c:
        nothing_waits(c)


def test_shared_subscriptions(gw):
    """Messages stay with the member that got them; when its session ends another one gets them."""
    one, other = away(gw, "$share/g/s/#"), away(gw, "$share/g/s/#")
    put(gw, "s/1", *[b"%d" % i for i in range(10)])
    cut(gw)
    waiting = {x: gw.json("client", "show", x)["queued_now"] for x in (one, other)}
    assert sorted(waiting.values()) == [5, 5]
    with join(gw, one, True, expiry=0):
        pass
    with join(gw, other) as c:
        assert sorted(payloads(c, 10)) == [b"%d" % i for i in range(10)]


def test_subscription_options(gw):
    client_id = name()
    c = join(gw, client_id)
    c.send(mqtt.subscribe(1, [("o/+", 1 | 4 | 8)], mqtt.V5, {"subscription_id": 77}))
    c.expect(mqtt.SUBACK)
    c.subscribe("gone", qos=1)
    c.unsubscribe("gone")
    cut(gw)
    c = join(gw, client_id)
    put(gw, "o/1", b"x", retain=True)
    put(gw, "gone", b"x")
    m = c.message()
    assert m.retain and m.props["subscription_id"] == [77]
    assert c.publish("o/2", b"mine", qos=1) in (0, 0x10)
    nothing_waits(c)
    c.close()


def test_a_queue_has_an_age(make_gateway):
    gw = make_gateway(set=["broker.max-queued-age=1s"], listeners=[OPEN])
    gw.cli(*ALL)
    client_id = away(gw, "a/#")
    put(gw, "a/1", b"old")
    cut(gw)
    wait_until(lambda: gw.json("client", "show", client_id)["queued_now"] == 0, what="the end of an old message")
    put(gw, "a/1", b"new")
    c = join(gw, client_id)
    assert payloads(c, 1) == [b"new"]
    c.disconnect()
    event = wait_until(lambda: [e for e in gw.json("event", "list", "--last", 100)
                                if e["event"] == "limit.reached"], what="the event")[-1]
    assert event["reason"] == "max-queued-age" and event["client_id"] == client_id
    gw.restart()
    with join(gw, client_id) as c:
        nothing_waits(c)


def test_nothing_is_left_of_what_was_received(gw):
    client_id = name()
    c = join(gw, client_id)
    c.subscribe("n/#", qos=2)
    for qos in (1, 2):
        put(gw, "n/1", *[b"%d" % i for i in range(20)], qos=qos)
        answer(c, 20)
    c.ping()
    c.disconnect()
    gw.restart()
    with join(gw, client_id) as c:
        nothing_waits(c)


def test_a_full_spool_is_emptied_by_its_receivers(make_gateway):
    """The publishers are refused; who fetches what waits comes in, and makes room for others."""
    gw = make_gateway(set=[ONE, "store.spool-max-size=16M", "broker.max-queued-messages=10000",
                           "broker.max-queued-bytes=1G"], listeners=[OPEN])
    gw.cli(*ALL)
    receivers = {qos: away(gw, f"f/{qos}/#", qos=qos) for qos in (1, 2)}
    c = join(gw, name(), True, "open", 0)
    sent = {1: 0, 2: 0}
    full = False
    while not full:
        for qos in (1, 2):
            if c.publish(f"f/{qos}/x", b"%08d" % sent[qos] + bytes(100000), qos=qos) >= 0x80:
                full = True
            else:
                sent[qos] += 1
    new = mqtt.Client.tcp(gw.listeners["open"], mqtt.V5)
    new.send(mqtt.connect(name(), mqtt.V5, clean=False, props={"session_expiry": 60}))
    new.receive()
    for qos, client_id in receivers.items():
        r = join(gw, client_id)
        assert [int(p[:8]) for p in answer(r, sent[qos])] == list(range(sent[qos]))
        r.ping()
        r.disconnect()
    wait_until(lambda: c.publish("f/1/x", b"again", qos=1) == 0, what="room")
