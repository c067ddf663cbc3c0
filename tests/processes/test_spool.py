# SPDX-License-Identifier: Apache-2.0
"""What outlives the broker, seen from outside: an end in order, a power cut, a disk that is full, a
file that is damaged, a store that stands still, a device that was removed meanwhile."""

import contextlib
import json
import os
import pathlib
import select
import signal
import sqlite3

import pytest

import mqtt
from gateway import freeze, wait_until
from mqtt import PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, V5, V311
from test_failures import fill, on_small_disk
from told import OPEN, name

SETTINGS = {"listeners": [OPEN], "set": ["broker.workers=2"]}
LARGE = {"listeners": [OPEN], "set": ["broker.workers=2", "broker.max-queued-messages=100000",
                                      "broker.max-queued-bytes=256M", "broker.publish-bytes-per-device=0"]}
SMALL = {"listeners": [OPEN], "set": [*LARGE["set"], "store.spool-max-size=16M"]}


@pytest.fixture
def gw(make_gateway):
    gw = make_gateway(**SETTINGS)
    gw.cli("acl", "allow", "any", "all", "#")
    return gw


def durable(gw, client_id, version=V5, port=None, **options):
    """A connection to a session that outlives it."""
    c = mqtt.Client.tcp(port or gw.listeners["open"], version)
    if version == V5:
        options.setdefault("props", {"session_expiry": 3600})
    c.connect(client_id, clean=False, **options)
    return c


def other(gw, version=V5):
    c = mqtt.Client.tcp(gw.listeners["open"], version)
    c.connect(name())
    return c


def take(c, n):
    """The next n messages; each exchange is completed, however they overlap."""
    got, open_ids = [], set()
    while len(got) < n or open_ids:
        p = c.receive(30)
        if p.kind == PUBLISH:
            got.append(p)
            c.send(mqtt.ack(PUBACK if p.qos == 1 else PUBREC, p.packet_id))
            open_ids |= {p.packet_id} if p.qos == 2 else set()
        else:
            assert p.kind == PUBREL, p
            open_ids.discard(p.packet_id)
            c.send(mqtt.ack(PUBCOMP, p.packet_id))
    return got


def in_order(gw):
    gw.restart()


def power_cut(gw):
    gw.kill()
    gw.start()


def kill_all(gw):
    """Every process but the parent."""
    old = gw.processes()
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: served(gw, old), 60, "new processes")


def served(gw, old):
    now = gw.processes()
    return all(now.get(n, p) != p for n, p in old.items()) and gw.cli("status", check=False).returncode == 0


ENDS = pytest.mark.parametrize("end", [in_order, power_cut, kill_all])


def kill(gw, process):
    old = gw.processes()[process]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: served(gw, {process: old}), 60, f"another {process}")


def events(gw, event):
    return [e for e in gw.json("event", "list", "--last", 1000) if e["event"] == event]


def database(gw):
    return pathlib.Path(gw.dir) / "state" / "store" / "spool.db"


def spool(gw):
    return gw.json("status")["spool"]


# -- what comes back

@ENDS
@pytest.mark.parametrize("version", [V311, V5])
def test_queue_subscriptions_and_retained_messages_come_back(gw, end, version):
    r, topic = name(), name()
    with durable(gw, r, version) as c:
        c.subscribe(f"{topic}/one", qos=1)
        c.subscribe(f"{topic}/two", qos=2)
        c.subscribe(f"{topic}/gone", qos=1)
        c.unsubscribe(f"{topic}/gone")
    with other(gw) as p:
        for n in range(20):
            assert p.publish(f"{topic}/one", b"one %d" % n, qos=1) == 0
            assert p.publish(f"{topic}/two", b"two %d" % n, qos=2) == 0
        assert p.publish(f"{topic}/gone", b"no", qos=1) in (0, 0x10)
        assert p.publish(f"{topic}/kept", b"retained", qos=1, retain=True) in (0, 0x10)
        assert p.publish(f"{topic}/cleared", b"retained", qos=1, retain=True) in (0, 0x10)
        assert p.publish(f"{topic}/cleared", b"", qos=1, retain=True) in (0, 0x10)
    end(gw)
    with durable(gw, r, version) as c:
        assert c.connack.session_present
        got = take(c, 40)
        assert [m.payload for m in got if m.topic.endswith("one")] == [b"one %d" % n for n in range(20)]
        assert [m.payload for m in got if m.topic.endswith("two")] == [b"two %d" % n for n in range(20)]
        assert {m.qos for m in got} == {1, 2}
        # The subscriptions are there without another SUBSCRIBE.
        with other(gw) as p:
            assert p.publish(f"{topic}/gone", b"no", qos=1) in (0, 0x10)
            assert p.publish(f"{topic}/one", b"later", qos=1) == 0
        assert c.message().payload == b"later"
    with other(gw) as c:
        c.subscribe(f"{topic}/#", qos=1)
        m = c.message()
        assert (m.topic, m.payload, m.retain) == (f"{topic}/kept", b"retained", True)
        c.ping()


@ENDS
def test_what_was_acknowledged_is_not_sent_again(gw, end):
    """The store is told of acknowledgements, too: late, but before a stop in order and soon at all."""
    r, topic = name(), name()
    with durable(gw, r) as c, other(gw) as p:
        c.subscribe(topic, qos=1)
        for n in range(10):
            assert p.publish(topic, b"%d" % n, qos=1) == 0
            assert c.message().payload == b"%d" % n
        c.ping()
        wait_until(lambda: spool(gw)["kept"]["queued"] == 0, what="an empty queue")
    end(gw)
    with durable(gw, r) as c:
        assert c.connack.session_present
        c.ping()


@ENDS
def test_what_is_under_way_keeps_its_identifier(gw, end):
    r, topic = name(), name()
    with durable(gw, r) as c, other(gw) as p:
        c.subscribe(topic, qos=2)
        for n in range(3):
            assert p.publish(topic, b"%d" % n, qos=2) == 0
        first = [c.message(acknowledge=False) for _ in range(3)]
        c.send(mqtt.ack(PUBREC, first[0].packet_id))
        assert c.expect(PUBREL).packet_id == first[0].packet_id
        c.reset()
    end(gw)
    with durable(gw, r) as c:
        assert c.expect(PUBREL).packet_id == first[0].packet_id
        again = [c.message(acknowledge=False) for _ in range(2)]
        assert [(m.packet_id, m.payload, m.dup) for m in again] == [(m.packet_id, m.payload, True) for m in first[1:]]


@ENDS
def test_a_publish_of_qos_2_is_known_by_its_identifier(gw, end):
    """PUBREC was given: after the end the same PUBLISH is not another message."""
    sender, r, topic = name(), name(), name()
    with durable(gw, r) as c:
        c.subscribe(topic, qos=2)
    with durable(gw, sender) as p:
        p.send(mqtt.publish(topic, b"once", 2, 7, V5))
        assert p.expect(PUBREC).reason == 0
        p.reset()
    end(gw)
    with durable(gw, sender) as p:
        p.send(mqtt.publish(topic, b"once", 2, 7, V5, dup=True))
        assert p.expect(PUBREC).reason == 0
        p.send(mqtt.ack(PUBREL, 7))
        assert p.expect(PUBCOMP).reason == 0
    with durable(gw, r) as c:
        assert c.message().payload == b"once"
        c.ping()


@pytest.mark.parametrize("dup", [False, True])
def test_an_identifier_of_a_message_that_failed_is_used_again(gw, dup):
    """One worker had stored a message, another one had not, and the publisher was told so: the same identifier
    without DUP is another message. With DUP it is the same one, for those that have not got it."""
    sender, r, topic = name(), name(), name()
    with durable(gw, r) as c, durable(gw, sender):
        c.subscribe(topic, qos=2)
    gw.stop()
    with contextlib.closing(sqlite3.connect(database(gw))) as db, db:
        sid = db.execute("SELECT sid FROM session WHERE client_id = ?", (sender.encode(),)).fetchone()[0]
        db.execute("INSERT INTO received VALUES(?, 7, 3)", (sid,))
    gw.start()
    with durable(gw, sender) as p:
        p.send(mqtt.publish(topic, b"message", 2, 7, V5, dup=dup))
        assert p.expect(PUBREC).reason in (0, 0x10)
        p.send(mqtt.ack(PUBREL, 7))
        assert p.expect(PUBCOMP).reason == 0
    with durable(gw, r) as c:
        if not dup:
            assert c.message().payload == b"message"
        c.ping()


@pytest.mark.parametrize("end", [power_cut, kill_all])
def test_a_will_is_published_after_the_end_of_the_broker(gw, end):
    """Its delay goes on; the connection did end without DISCONNECT."""
    w, r, topic = name(), name(), name()
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    c = durable(gw, w, will=(topic, b"the will", 1, False), will_props={"will_delay": 1})
    end(gw)
    c.close()
    with durable(gw, r) as c:
        assert c.message(seconds=30).payload == b"the will"


@ENDS
@pytest.mark.parametrize("version", [V311, V5])
def test_a_will_of_a_clean_session_is_published_after_the_end_of_the_broker(gw, end, version):
    """The end of the broker is the end of the connection [MQTT-3.1.2-8]. One that sent DISCONNECT left no will."""
    r, topic = name(), name()
    with durable(gw, r) as c:
        c.subscribe(f"{topic}/#", qos=1)
    polite = mqtt.Client.tcp(gw.listeners["open"], version)
    polite.connect(name(), will=(f"{topic}/polite", b"no", 1, False))
    c = mqtt.Client.tcp(gw.listeners["open"], version)
    c.connect(name(), will=(f"{topic}/there", b"the will", 1, False))
    wait_until(lambda: spool(gw)["kept"]["sessions"] == 3, what="two wills on disk")
    polite.disconnect()
    wait_until(lambda: spool(gw)["kept"]["sessions"] == 2, what="one will on disk")
    end(gw)
    c.close()
    with durable(gw, r) as c:
        assert c.message(seconds=30).payload == b"the will"
        c.ping()
        wait_until(lambda: spool(gw)["kept"] == {"sessions": 1, "messages": 0, "queued": 0, "retained": 0},
                   what="no will on disk")
    end(gw)
    with durable(gw, r) as c:
        c.ping()


def rows(gw, table):
    with contextlib.closing(sqlite3.connect(database(gw))) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("higher", ["old", "new"])
def test_of_two_sessions_of_one_client_the_newer_one_is_taken(gw, higher):
    """The end of the older one was on its way to the disk when the power was cut: both are in the file."""
    r, topic = name(), name()
    with durable(gw, r) as c:
        c.subscribe(f"{topic}/old", qos=1)
    with other(gw) as p:
        assert p.publish(f"{topic}/old", b"old", qos=1) == 0
    gw.stop()
    old = {t: rows(gw, t) for t in ("session", "subscription", "message", "queue")}
    gw.start()
    with mqtt.Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(r, clean=True, props={"session_expiry": 3600})
        c.subscribe(f"{topic}/new", qos=1)
    with other(gw) as p:
        assert p.publish(f"{topic}/new", b"new", qos=1) == 0
    gw.stop()
    with contextlib.closing(sqlite3.connect(database(gw))) as db, db:
        for table, lines in old.items():
            for line in lines:
                db.execute(f"INSERT INTO {table} VALUES({','.join('?' * len(line))})", line)
        if higher == "old":
            # Numbers of sessions say nothing: each worker counts for itself. 64 is their distance.
            sid = old["session"][0][0]
            for table in ("session", "subscription", "queue"):
                db.execute(f"UPDATE {table} SET sid = sid + 64000 WHERE sid = ?", (sid,))
    gw.start()
    with durable(gw, r) as c:
        assert c.connack.session_present
        assert c.message().payload == b"new"
        with other(gw) as p:
            assert p.publish(f"{topic}/old", b"old", qos=1) == 0x10
            assert p.publish(f"{topic}/new", b"again", qos=1) == 0
        assert c.message().payload == b"again"
    assert spool(gw)["kept"]["sessions"] == 1


def test_what_may_have_been_sent_says_so(gw):
    """A PUBLISH of QoS 1 leaves before its identifier is on disk. After a power cut it has DUP, as has all that
    waited for a client that was connected; and nothing that waited for one that was not."""
    r, away, topic = name(), name(), name()
    with durable(gw, away) as c:
        c.subscribe(topic, qos=1)
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    with other(gw) as p:
        for n in range(3):
            assert p.publish(topic, b"%d" % n, qos=1) == 0
    c = durable(gw, r, props={"session_expiry": 3600, "receive_maximum": 1})
    first = c.message(acknowledge=False)
    freeze(gw.processes()["store"])
    c.send(mqtt.ack(PUBACK, first.packet_id))
    second = c.message(acknowledge=False)
    assert (first.payload, second.payload) == (b"0", b"1") and not first.dup and not second.dup
    power_cut(gw)
    power_cut(gw)  # and before anything was sent again
    c.close()
    with durable(gw, r) as c:
        got = [c.message() for _ in range(3)]
        assert [(m.payload, m.dup) for m in got] == [(b"%d" % n, True) for n in range(3)]
    with durable(gw, away) as c:
        got = [c.message() for _ in range(3)]
        assert [(m.payload, m.dup) for m in got] == [(b"%d" % n, False) for n in range(3)]


@ENDS
def test_a_session_that_ended_does_not_come_back(gw, end):
    ended, clean, expired = name(), name(), name()
    durable(gw, ended).close()
    with durable(gw, ended) as c:
        c.disconnect(props={"session_expiry": 0}, reason=0)
    durable(gw, clean).close()
    with mqtt.Client.tcp(gw.listeners["open"], V5) as c:
        c.connect(clean, clean=True)
        c.disconnect()
    durable(gw, expired, props={"session_expiry": 1}).close()
    end(gw)
    wait_until(lambda: spool(gw)["kept"]["sessions"] == 0, 15, "the end of the session")
    for client_id in (ended, clean, expired):
        with durable(gw, client_id) as c:
            assert not c.connack.session_present


def test_a_device_that_is_removed_loses_its_session(make_gateway):
    gw = make_gateway(set=["broker.workers=2"])
    bundles = {n: gw.bundle(n) for n in ("stays", "goes")}
    gw.cli("acl", "allow", "any", "all", "#")
    for n, b in bundles.items():
        with mqtt.Client.tls(gw.mqtts, V5, bundle=b) as c:
            c.connect(n, clean=False, props={"session_expiry": 3600})
            c.subscribe("t", qos=1)
            c.disconnect()
    assert spool(gw)["kept"]["sessions"] == 2
    gw.cli("device", "remove", "goes")
    wait_until(lambda: spool(gw)["kept"]["sessions"] == 1, what="the end of its session")
    kill(gw, "broker")
    assert spool(gw)["kept"]["sessions"] == 1
    with mqtt.Client.tls(gw.mqtts, V5, bundle=bundles["stays"]) as c:
        c.connect("stays", clean=False, props={"session_expiry": 3600})
        assert c.connack.session_present


def retained(gw, topic):
    """{topic: payload} of what is retained below it."""
    with other(gw) as c:
        c.subscribe(f"{topic}/#")
        c.send(mqtt.pingreq())
        found = {}
        while True:
            m = c.receive()
            if m.kind == PINGRESP:
                return found
            found[m.topic] = m.payload


def test_retained_messages_of_racing_publishers_come_back_as_they_were(gw):
    """Two workers' batches cross; what a subscriber saw last is what the store has."""
    topic, publishers = name(), [other(gw) for _ in range(6)]
    for n in range(1, 41):
        for i, p in enumerate(publishers):
            payload = b"" if (n + i) % 7 == 0 else b"%d of %d" % (n, i)
            p.send(mqtt.publish(f"{topic}/{n % 5}", payload, 1, n, V5, retain=True))
    for p in publishers:
        for _ in range(40):
            assert p.expect(PUBACK).reason in (0, 0x10)
        p.close()
    before = retained(gw, topic)
    assert before
    assert spool(gw)["kept"]["retained"] == len(before)
    power_cut(gw)
    assert retained(gw, topic) == before


def test_durability_of_a_listener(make_gateway):
    """none: memory only. relaxed: nobody waits for the disk, but it gets there."""
    gw = make_gateway(listeners=["none tls=off auth=anonymous durability=none",
                                 "relaxed tls=off auth=anonymous durability=relaxed"], set=["broker.workers=1"])
    gw.cli("acl", "allow", "any", "all", "#")
    topic, old = name(), gw.processes()["store"]
    for kind in ("none", "relaxed"):
        freeze(old)
        try:
            with durable(gw, kind, port=gw.listeners[kind]) as c:
                c.subscribe(f"{topic}/{kind}", qos=1)
            with mqtt.Client.tcp(gw.listeners[kind], V5) as p:
                p.connect(name())
                assert p.publish(f"{topic}/{kind}", b"message", qos=1) == 0
                assert p.publish(f"{topic}/{kind}/kept", b"retained", qos=1, retain=True) in (0, 0x10)
        finally:
            os.kill(old, signal.SIGCONT)
    wait_until(lambda: spool(gw)["kept"]["queued"] == 1, what="the message")
    assert spool(gw)["kept"] == {"sessions": 1, "messages": 2, "queued": 1, "retained": 1}
    power_cut(gw)
    with durable(gw, "none", port=gw.listeners["none"]) as c:
        assert not c.connack.session_present
    with durable(gw, "relaxed", port=gw.listeners["relaxed"]) as c:
        assert c.connack.session_present
        assert c.message().payload == b"message"
        c.subscribe(f"{topic}/+/kept")
        assert c.message().topic == f"{topic}/relaxed/kept"
        c.ping()


# -- a store that stands still

def test_while_the_store_stands_still_durable_publishers_wait_and_others_go_on(gw):
    r, topic = name(), name()
    with durable(gw, r) as c:
        c.subscribe(f"{topic}/d", qos=1)
    with other(gw) as p, other(gw) as live, other(gw) as q:
        live.subscribe(f"{topic}/live", qos=1)
        old = gw.processes()["store"]
        freeze(old)
        try:
            p.send(mqtt.publish(f"{topic}/d", b"waits", 1, 1, V5))
            for n in range(20):  # long enough for an answer that would be too early
                assert q.publish(f"{topic}/live", b"%d" % n, qos=1) == 0
                assert live.message().payload == b"%d" % n
            assert p.quiet()
        finally:
            os.kill(old, signal.SIGCONT)
        assert p.expect(PUBACK).reason == 0
    with durable(gw, r) as c:
        assert c.message().payload == b"waits"


def test_without_a_store_nothing_is_acknowledged_that_is_not_stored(gw):
    """The store is killed while publishers wait; the one that comes gets what has no answer."""
    r, topic = name(), name()
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    with other(gw) as p:
        old = gw.processes()["store"]
        freeze(old)
        for n in range(1, 31):
            p.send(mqtt.publish(topic, b"%d" % n, 1, n, V5))
        p.ping()
        os.kill(old, signal.SIGKILL)
        assert sorted(p.expect(PUBACK, 30).packet_id for _ in range(30)) == list(range(1, 31))
    power_cut(gw)
    with durable(gw, r) as c:
        assert [c.message().payload for _ in range(30)] == [b"%d" % n for n in range(1, 31)]


def test_a_store_that_falls_behind_stops_its_publishers_and_nobody_else(make_gateway):
    """64 MiB wait for it at most; then those who would add to it are not read."""
    gw = make_gateway(**LARGE)
    gw.cli("acl", "allow", "any", "all", "#")
    r, topic, n = name(), name(), 200
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    with other(gw) as p, other(gw) as q, other(gw) as live:
        live.subscribe(f"{topic}/live", qos=1)
        everything = b"".join(mqtt.publish(topic, b"%08d" % i + b"x" * 900000, 1, i + 1, V5) for i in range(n))
        view, socket = memoryview(everything), p.wire.socket
        old = gw.processes()["store"]
        freeze(old)
        try:
            socket.setblocking(False)
            while len(view) and select.select([], [socket], [], 3)[1]:  # 3 s without room: it is not read
                view = view[socket.send(view[:1 << 20]):]
            taken = len(everything) - len(view)
            # What is in sockets and on its way to another worker comes on top.
            assert 60 << 20 < taken < 140 << 20
            for i in range(10):
                assert q.publish(f"{topic}/live", b"%d" % i, qos=1) == 0
                assert live.message().payload == b"%d" % i
        finally:
            os.kill(old, signal.SIGCONT)
        for at in range(0, len(view), 1 << 20):
            p.send(view[at:at + (1 << 20)])
        assert [p.expect(PUBACK, 30).packet_id for _ in range(n)] == list(range(1, n + 1))
    with durable(gw, r) as c:
        assert [m.payload[:8] for m in take(c, n)] == [b"%08d" % i for i in range(n)]


def test_subscriptions_do_not_fill_the_memory_while_the_store_stands_still(gw):
    """A client that waits for SUBACK is read no more after max-inflight of them."""
    with durable(gw, name()) as c:
        packet = mqtt.subscribe(1, [("t/" + "x" * 200, 1)], V5)
        everything = memoryview(packet * (64 * 1024 * 1024 // len(packet)))
        view, socket = everything, c.wire.socket
        old = gw.processes()["store"]
        freeze(old)
        try:
            socket.setblocking(False)
            while len(view) and select.select([], [socket], [], 3)[1]:  # 3 s without room: it is not read
                view = view[socket.send(view[:1 << 20]):]
            assert len(view) > len(everything) // 2
        finally:
            os.kill(old, signal.SIGCONT)
        assert all(c.expect(SUBACK, 30).codes == [1] for _ in range(300))


# -- damage

def test_a_damaged_spool_is_set_aside_at_the_start(gw):
    with durable(gw, name()) as c:
        c.subscribe("t", qos=1)
    gw.stop()
    path = database(gw)
    path.write_bytes(b"no database at all, but long enough to be read" * 100)
    gw.start()
    told = events(gw, "database.set-aside")
    assert len(told) == 1 and "spool.db.corrupt-" in told[0]["detail"]["file"], told
    assert len(list(path.parent.glob("spool.db.corrupt-*"))) >= 1
    r, topic = name(), name()
    with durable(gw, r) as c:
        assert not c.connack.session_present
        c.subscribe(topic, qos=1)
    with other(gw) as p:
        assert p.publish(topic, b"goes on", qos=1) == 0
    power_cut(gw)
    with durable(gw, r) as c:
        assert c.message().payload == b"goes on"


def test_after_damage_while_it_runs_the_broker_stores_everything_again(make_gateway):
    gw = make_gateway(**LARGE)
    gw.cli("acl", "allow", "any", "all", "#")
    r, topic, n, taken = name(), name(), 300, 50
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    with other(gw) as p:
        for i in range(n):
            assert p.publish(topic, b"%08d" % i + b"x" * 50000, qos=1) == 0
        assert p.publish(f"{topic}/kept", b"retained", qos=1, retain=True) in (0, 0x10)
    gw.restart()  # everything is in the file now, and more than the store holds in memory
    with open(database(gw), "r+b") as f:
        f.seek(4096 * 20)
        f.write(b"\xa5" * 4096 * 1000)
    with durable(gw, r) as c:
        assert [m.payload[:8] for m in take(c, taken)] == [b"%08d" % i for i in range(taken)]
        wait_until(lambda: events(gw, "database.set-aside"), what="the damage")
        wait_until(lambda: spool(gw)["kept"]["queued"] == n - taken, what="everything in the new file")
    power_cut(gw)
    with durable(gw, r) as c:
        assert c.connack.session_present
        assert [m.payload[:8] for m in take(c, n - taken)] == [b"%08d" % i for i in range(taken, n)]
        c.ping()
    with other(gw) as c:
        c.subscribe(f"{topic}/kept", qos=1)
        assert c.message().payload == b"retained"


# -- a full disk

def test_a_full_spool_refuses_and_heals(make_gateway):
    """[store] spool-max-size: 5.0 is told, a 3.1.1 client loses its connection; nothing that was
    acknowledged is missing, and when the receiver has fetched what waits there is room again."""
    gw = make_gateway(**SMALL)
    gw.cli("acl", "allow", "any", "all", "#")
    r, topic, acked = name(), name(), []
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    with other(gw) as p, other(gw, V311) as old:
        reason = 0
        while reason == 0 and len(acked) < 1000:
            payload = b"%08d" % len(acked) + b"x" * 50000
            reason = p.publish(topic, payload, qos=1)
            if reason == 0:
                acked.append(payload[:8])
        assert reason == 0x97
        assert spool(gw)["state"] == "full" and spool(gw)["refused"] >= 1
        old.send(mqtt.publish(topic, b"y" * 50000, 1, 1))
        old.expect_closed()
        assert len(events(gw, "disk.full")) == 1
    with durable(gw, r) as c:
        assert [c.message().payload[:8] for _ in acked] == acked
        c.ping()
        wait_until(lambda: spool(gw)["state"] == "works", 20, "room")
        with other(gw) as p:
            assert p.publish(topic, b"again", qos=1) == 0
        assert c.message().payload == b"again"
    assert len(events(gw, "spool.recovered")) == 1


def test_pubcomp_waits_out_a_full_spool(make_gateway):
    """PUBREL in one batch with a message that has no room: that one is refused, PUBCOMP cannot be [MQTT-3.7.2-1]."""
    gw = make_gateway(listeners=[OPEN], set=[*SMALL["set"], "broker.workers=1"])
    gw.cli("acl", "allow", "any", "all", "#")
    r, topic = name(), name()
    with durable(gw, r) as c:
        c.subscribe(topic, qos=2)
    with other(gw) as p, durable(gw, name()) as q:
        q.send(mqtt.publish(topic, b"exactly once", 2, 1, V5))
        assert q.expect(PUBREC).reason == 0
        for n in range(1000):
            if p.publish(topic, b"x" * 200000, qos=1) == 0x97:
                break
        q.send(mqtt.publish(topic, b"x" * 400000, 1, 2, V5) + mqtt.ack(PUBREL, 1))
        assert q.expect(PUBACK).reason == 0x97
        assert q.expect(PUBCOMP).reason == 0
        q.ping()


def test_a_full_spool_takes_no_subscription_away(make_gateway):
    """Subscribed again in one batch with a message that has no room: what there was before stays; what is new is
    refused."""
    gw = make_gateway(listeners=[OPEN], set=[*SMALL["set"], "broker.workers=1"])
    gw.cli("acl", "allow", "any", "all", "#")
    r, topic = name(), name()
    with durable(gw, r) as c:
        c.subscribe(topic, qos=1)
    with other(gw) as p, durable(gw, name()) as q:
        q.subscribe(f"{topic}/q", f"{topic}/other", qos=1)
        for _ in range(1000):
            if p.publish(topic, b"x" * 200000, qos=1) == 0x97:
                break
        q.send(mqtt.publish(topic, b"x" * 400000, 1, 2, V5)
               + mqtt.subscribe(3, [(f"{topic}/q", 1), (f"{topic}/new", 1), (f"{topic}/other", 0)], V5))
        assert q.expect(PUBACK).reason == 0x97
        assert q.expect(SUBACK).codes == [1, 0x97, 0x97]
        for last in ("new", "other", "q"):
            p.publish(f"{topic}/{last}", last.encode())
        assert [q.message().payload for _ in range(2)] == [b"other", b"q"]
        q.ping()


def test_a_full_disk(daemon):
    """Not the bound of the spool but the disk itself, with everything on it."""
    state = on_small_disk(daemon, "8m")
    daemon.cli("acl", "allow", "any", "all", "#")
    topic, got = name(), []

    def connected(client_id, version=V5, clean=False):
        c = mqtt.Client.tcp(daemon.mqtt, version)
        c.connect(client_id, clean=clean, props={"session_expiry": 3600 * (not clean)})
        return c

    with connected("r") as c:
        c.subscribe(topic, qos=1)
    fill(state)
    with connected("p", clean=True) as p:
        acked, reason = [], 0
        while reason == 0 and len(acked) < 3000:
            payload = b"%06d" % len(acked) + b"x" * 2000
            reason = p.publish(topic, payload, qos=1)
            acked += [payload] if reason == 0 else []
        assert reason in (0x80, 0x97)
        assert daemon.log_lines("spool.db.*refused until")
        p.publish("unrelated", b"x", qos=1)
        (state / "filler").unlink()

        def accepted():
            payload = b"%06d" % len(acked) + b"y"
            if p.publish(topic, payload, qos=1) == 0:
                acked.append(payload)
                return True
            return False
        wait_until(accepted, 30, "room")
    wait_until(lambda: daemon.log_lines("spool.db is written again"), what="the recovery")
    for pid in daemon.processes().values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.cli("status", check=False).returncode == 0 and served_again(daemon), 60, "the end of it")
    with connected("r") as c:
        while len(got) < len(acked):
            m = c.message(seconds=30)
            got.append(m.payload)
        assert got == acked
        c.ping()
    assert daemon.stop() == 0


def served_again(daemon):
    states = json.loads(daemon.cli("status", "--json").stdout)["processes"]
    return all(p["state"] == "serving" for p in states)


def test_a_power_cut_with_a_full_spool_loses_nothing(make_gateway):
    gw = make_gateway(**SMALL)
    gw.cli("acl", "allow", "any", "all", "#")
    receivers, topic, acked = [name() for _ in range(3)], name(), []
    for r in receivers:
        with durable(gw, r) as c:
            c.subscribe(topic, qos=1)
    with other(gw) as p:
        refused = 0
        for n in range(900):
            payload = b"%08d" % n + b"x" * 30000
            if p.publish(topic, payload, qos=1) == 0:
                acked.append(payload[:8])
            else:
                refused += 1
            if refused == 5:
                break
        assert refused == 5 and len(acked) > 100
    power_cut(gw)
    for r in receivers:
        with durable(gw, r) as c:
            got = []
            while len(got) < len(acked):
                m = c.message()
                if m.payload[:8] in acked:
                    got.append(m.payload[:8])
            assert got == acked


# -- what has no room


def test_a_message_too_large_gives_its_place_to_the_next_one(gw):
    """It waited for the spool with the only place there was under way."""
    r, topic = name(), name()
    with durable(gw, r, props={"session_expiry": 3600, "receive_maximum": 1, "maximum_packet_size": 300}) as c:
        c.subscribe(topic, qos=2)
        with other(gw) as p:
            p.send(mqtt.publish(topic, b"x" * 1000, 2, 1, V5) + mqtt.publish(topic, b"small", 2, 2, V5))
            assert p.expect(PUBREC).packet_id == 1 and p.expect(PUBREC).packet_id == 2
        assert c.message().payload == b"small"


def test_more_subscription_identifiers_than_a_record_takes(make_gateway):
    gw = make_gateway(listeners=[OPEN], set=["broker.workers=1", "broker.max-subscriptions=20000"])
    gw.cli("acl", "allow", "any", "all", "#")
    r, n = name(), 16500
    topic = "/".join("abcdefghijklmno")
    filters = ["/".join("+" if i >> k & 1 else level for k, level in enumerate(topic.split("/"))) for i in range(n)]
    with durable(gw, r) as c:
        for at in range(0, n, 500):
            c.subscribe(*filters[at:at + 500], qos=1, props={"subscription_id": at + 1})
        with other(gw) as p:
            assert p.publish(topic, b"message", qos=1) == 0
        assert c.message().payload == b"message"
