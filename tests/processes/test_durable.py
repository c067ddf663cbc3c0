# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged survives kill -9: of the broker, of the store, of all processes at once, while
clients publish and receive with QoS 1 and 2. Every message that was acknowledged arrives; with QoS 2
each arrives exactly once; in order; what is sent again says so with DUP and keeps its packet
identifier."""

import os
import signal
import threading

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
