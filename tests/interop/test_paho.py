# SPDX-License-Identifier: Apache-2.0
"""Eclipse Paho, in Python and in C."""

import os
import queue
import ssl
import subprocess
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway import build
from told import PASSWORD, ROBOT, name

VERSIONS = {"3.1.1": paho.MQTTv311, "5.0": paho.MQTTv5}
WAYS = ["tcp", "tls", "mtls", "ws", "wss", "wsm"]
PATIENCE = 20


class Device:
    """A paho client with its thread; entered when CONNACK has come."""

    def __init__(self, way, version, who=None, will=None, **connect):
        self.messages = queue.Queue()
        self.subscribed = queue.Queue()
        self.connected = threading.Event()
        self.answer = None
        options = {} if version == "5.0" else {"clean_session": connect.pop("clean_session", True)}
        self.client = c = paho.Client(who or name(), protocol=VERSIONS[version],
                                      transport="websockets" if way.kind.startswith("ws") else "tcp", **options)
        if way.ca:
            c.tls_set(str(way.ca), way.cert and str(way.cert), way.key and str(way.key), cert_reqs=ssl.CERT_REQUIRED)
        if way.login:
            c.username_pw_set(ROBOT, PASSWORD)
        if will:
            c.will_set(*will)
        c.on_message = lambda _c, _u, m: self.messages.put(m)
        c.on_subscribe = lambda _c, _u, _mid, codes, *_: self.subscribed.put([getattr(x, "value", x) for x in codes])
        c.on_connect = self._connected
        c.connect("localhost", way.port, 30, **connect)
        c.loop_start()

    def _connected(self, _client, _data, flags, code, *more):
        self.answer = (flags, getattr(code, "value", code), more)
        self.connected.set()

    def __enter__(self):
        assert self.connected.wait(PATIENCE), "no CONNACK"
        assert self.answer[1] == 0, self.answer
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *filters, qos=0):
        self.client.subscribe([(f, qos) for f in filters])
        return self.subscribed.get(timeout=PATIENCE)

    def message(self):
        return self.messages.get(timeout=PATIENCE)


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_round_trip(way, topic, kind, version, qos):
    with Device(way(kind), version) as d:
        assert d.subscribe(f"{topic}/#", qos=qos) == [qos]
        sent = [d.client.publish(f"{topic}/{i}", f"message {i}", qos) for i in range(50)]
        for i, m in enumerate(d.message() for _ in sent):
            assert (m.topic, m.payload, m.qos, m.dup) == (f"{topic}/{i}", b"message %d" % i, qos, False)
        for s in sent:
            s.wait_for_publish(PATIENCE)
            assert s.is_published()


@pytest.mark.parametrize("kind", ["mtls", "wss"])
@pytest.mark.parametrize("version", VERSIONS)
def test_large_messages(way, topic, kind, version):
    with Device(way(kind), version) as d:
        d.subscribe(topic, qos=1)
        for size in (0, 1, 65535, 900000):
            d.client.publish(topic, os.urandom(1) * size, 1)
            assert len(d.message().payload) == size


@pytest.mark.parametrize("version", VERSIONS)
def test_session_is_kept(way, topic, version):
    w, who = way("mtls"), name()
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 300
    keep = {"clean_start": False, "properties": properties} if version == "5.0" else {"clean_session": False}
    with Device(w, version, who, **keep) as d:
        d.subscribe(topic, qos=1)
    with Device(w, version) as other:
        for i in range(10):
            other.client.publish(topic, str(i), 1).wait_for_publish(PATIENCE)
    with Device(w, version, who, **keep) as d:
        assert [int(d.message().payload) for _ in range(10)] == list(range(10))
        assert d.answer[0]["session present"] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_takeover_and_return(way, topic, version):
    """The older of two is cut off; paho comes back by itself and takes over in turn."""
    w, who = way("tcp"), name()
    lost = threading.Event()
    with Device(w, version, who) as first:
        first.client.on_disconnect = lambda *_: lost.set()
        second = Device(w, version, who)
        assert lost.wait(PATIENCE)
        second.client.on_disconnect = None
        second.client.disconnect()
        second.client.loop_stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_will(way, topic, version):
    with Device(way("tls"), version) as watcher:
        watcher.subscribe(topic, qos=1)
        with Device(way("tls"), version, will=(topic, "gone", 1)) as d:
            d.client.loop_stop()
            d.client._sock_close()
            assert watcher.message().payload == b"gone"


def test_denied(way):
    with Device(way("mtls"), "5.0") as d:
        assert d.subscribe("elsewhere/#", f"{ROBOT}/x", qos=1) == [0x87, 1]


# -- Paho C: over WebSocket it loses packets that share a frame

@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("version", ["3", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_c(way, topic, kind, version, qos):
    w = way(kind)
    scheme = {"tcp": "tcp", "ws": "ws", "wss": "wss", "wsm": "wss"}.get(kind, "ssl")
    path = "/mqtt" if kind.startswith("ws") else ""
    files = [str(f) for f in (w.ca, w.cert, w.key) if f]
    login = {"PAHO_USER": ROBOT, "PAHO_PASSWORD": PASSWORD} if w.login else {}
    words = [build() / "tests/interop/paho_round", f"{scheme}://localhost:{w.port}{path}", version, str(qos), "500",
             name(), topic, *files]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          env={**os.environ, **login})
    assert done.returncode == 0, done.stdout
