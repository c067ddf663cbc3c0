# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket: the opening request, frames of every shape, control frames, closing."""

import time

import pytest

import mqtt
import transport
from mqtt import V311, V5, Client
from told import name
from transport import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, TcpWire, TlsWire, WebSocketWire, ws_head,
                       ws_request)

states = pytest.mark.states

LISTENERS = ["ws protocol=websocket tls=off auth=anonymous", "open tls=off auth=anonymous",
             "wsopen protocol=websocket tls=on auth=anonymous"]


@pytest.fixture
def web(gateway):
    """web(version, listener="ws", **options of transport.WebSocketWire): a client before CONNECT."""
    clients = []

    def open_one(version=V5, listener="ws", **request):
        port = gateway.listeners[listener]
        wire = TcpWire(port) if listener == "ws" else TlsWire(port, ca=gateway.root_ca)
        clients.append(Client(WebSocketWire(wire, **request), version))
        return clients[-1]

    yield open_one
    for c in clients:
        c.close()


@pytest.fixture
def connected(web):
    def connect(version=V5, **options):
        c = web(version, **options)
        c.connect(name())
        return c

    return connect


def answer_to(gateway, request, listener="ws"):
    """(status, headers, body) of a request that is not upgraded."""
    wire = TcpWire(gateway.listeners[listener])
    wire.send(request)
    until = time.monotonic() + mqtt.PATIENCE
    status, headers, body = ws_head(wire, until)
    while more := wire.receive(until):
        body += more
    wire.close()
    return status, headers, body


# -- the opening request

@states("v3 6.0.0-4", "v5 6.0.0-4", "v3 7.1.1-1", "v5 4.2-1")
@pytest.mark.parametrize("listener", ["ws", "wsopen"])
def test_round_trip(web, version, topic, listener):
    c = web(version, listener)
    assert c.wire.headers["sec-websocket-protocol"] == "mqtt"
    c.connect(name())
    c.subscribe(topic, qos=1)
    c.publish(topic, "x")
    assert c.message().payload == b"x"
    c.disconnect()


@pytest.mark.parametrize("offered, chosen", [
    ("mqtt", "mqtt"), ("mqttv3.1", "mqttv3.1"), ("chat, mqtt", "mqtt"), ("mqttv3.1,mqtt", "mqttv3.1"),
    ("mqtt , mqttv3.1", "mqtt")])
def test_subprotocols(web, offered, chosen):
    assert web(protocol=offered).wire.headers["sec-websocket-protocol"] == chosen


def test_names_of_headers_in_any_case(web):
    drop = ("Upgrade", "Connection")
    c = web(V311, drop=drop, headers=[("UPGRADE", "WebSocket"), ("connection", "keep-alive, Upgrade"), ("Cookie", "x")])
    c.connect(name())


@pytest.mark.parametrize("path", ["/", "/mqtt", "/mqtt?token=1", "/any/where"])
def test_path(web, path):
    web(path=path).connect(name())


REFUSED = {
    "no subprotocol": (ws_request(protocol=None), 400),
    "another subprotocol": (ws_request(protocol="chat, MQTT"), 400),
    "no upgrade": (ws_request(drop=("Upgrade",)), 426),
    "no Connection": (ws_request(drop=("Connection",)), 400),
    "no key": (ws_request(drop=("Sec-WebSocket-Key",)), 400),
    "short key": (ws_request(key="abc"), 400),
    "version 8": (ws_request(version="8"), 426),
    "no version": (ws_request(drop=("Sec-WebSocket-Version",)), 426),
    "no Host": (ws_request(drop=("Host",)), 400),
    "POST": (ws_request(method="POST"), 405),
    "HTTP/1.0": (ws_request(http="1.0"), 505),
    "a body": (ws_request(headers=[("Content-Length", "5")]) + b"hello", 400),
    "chunks": (ws_request(headers=[("Transfer-Encoding", "chunked")]), 400),
    "not HTTP": (b"hello\r\n\r\n", 400),
    "MQTT": (mqtt.connect("x"), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "control character": (ws_request(headers=[("X", "a\x01b")]), 400),
    "too long": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n", 431),
    "too many headers": (ws_request(headers=[("X", "y")] * 100), 431),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_request(gateway, case):
    request, expected = REFUSED[case]
    status, headers, body = answer_to(gateway, request)
    assert status == expected
    assert headers["connection"] == "close" and body.endswith(b"\n") and len(body) == int(headers["content-length"])


def test_request_byte_by_byte(gateway):
    wire = TcpWire(gateway.listeners["ws"])
    for byte in ws_request():
        wire.send(bytes([byte]))
    assert ws_head(wire, time.monotonic() + mqtt.PATIENCE)[0] == 101
    wire.close()


def test_connect_in_the_same_segment_as_the_request(gateway):
    wire = TcpWire(gateway.listeners["ws"])
    wire.send(ws_request() + transport.ws_frame(BINARY, mqtt.connect(name())))
    status, _, rest = ws_head(wire, time.monotonic() + mqtt.PATIENCE)
    while len(rest) < 6:
        rest += wire.receive(time.monotonic() + mqtt.PATIENCE)
    assert status == 101 and rest == b"\x82\x04\x20\x02\x00\x00"
    wire.close()


def test_websocket_on_an_mqtt_port(gateway):
    wire = TcpWire(gateway.listeners["open"])
    wire.send(ws_request())
    assert wire.receive(time.monotonic() + mqtt.PATIENCE) == b""
    wire.close()


# -- frames

@states("v3 6.0.0-2", "v5 6.0.0-2")
def test_packets_and_frames_are_not_aligned(web, version, topic):
    c = web(version)
    data = (mqtt.connect(name(), version=version) + mqtt.subscribe(1, [(topic, 0)], version)
            + mqtt.publish(topic, "x" * 300, version=version))
    for size in (1, 2, 3, 5, 7):
        if not data:
            break
        c.wire.send_frame(BINARY, data[:size])
        data = data[size:]
    c.wire.send_frame(BINARY, data)
    assert [c.receive().kind for _ in range(2)] == [mqtt.CONNACK, mqtt.SUBACK]
    assert c.message().payload == b"x" * 300


@states("v3 6.0.0-2", "v5 6.0.0-2")
def test_fragmented_message_with_a_ping_between(web, topic):
    c = web(V5)
    data = mqtt.connect(name(), V5) + mqtt.subscribe(1, [(topic, 0)], V5)
    c.wire.send_frame(BINARY, data[:3], final=False)
    c.wire.send_frame(CONTINUATION, b"", final=False)
    c.wire.send_frame(PING, b"between")
    c.wire.send_frame(CONTINUATION, data[3:20], final=False)
    c.wire.send_frame(CONTINUATION, data[20:])
    assert [c.receive().kind for _ in range(2)] == [mqtt.CONNACK, mqtt.SUBACK]
    assert c.wire.control == [(PONG, b"between")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200000])
def test_payloads_of_every_length_form(connected, topic, size):
    c = connected()
    c.subscribe(topic)
    c.publish(topic, b"p" * size)
    assert c.message().payload == b"p" * size


def test_many_packets_in_one_frame(connected, topic):
    c = connected()
    c.subscribe(topic)
    c.send(*[mqtt.publish(topic, str(i), version=V5) for i in range(200)])
    assert [m.payload for m in c.messages(200)] == [b"%d" % i for i in range(200)]


def test_empty_frames_do_no_harm(connected):
    c = connected()
    for _ in range(10):
        c.wire.send_frame(BINARY, b"")
    c.ping()


def test_ping_is_answered_by_pong(connected):
    c = connected()
    for payload in (b"", b"x", b"y" * 125):
        c.wire.send_frame(PING, payload)
        c.ping()
    assert c.wire.control == [(PONG, b""), (PONG, b"x"), (PONG, b"y" * 125)]


def test_of_pings_together_the_last_one_is_answered(connected):
    """RFC 6455 section 5.5.3: the others may be."""
    c = connected()
    for payload in (b"a", b"b", b"c"):
        c.wire.send_frame(PING, payload)
    c.ping()
    assert c.wire.control[-1] == (PONG, b"c")
    assert c.wire.control == sorted(set(c.wire.control))


def test_unasked_pong_is_ignored(connected):
    c = connected()
    c.wire.send_frame(PONG, b"nobody asked")
    c.ping()
    assert c.wire.control == []


def closed_with(c, *codes):
    packets = c.expect_closed()
    assert c.wire.close_code() in codes
    return packets


@states("v3 6.0.0-1", "v5 6.0.0-1")
@pytest.mark.parametrize("when", ["before CONNECT", "after"])
def test_text_frame(web, version, when):
    c = web(version)
    if when == "after":
        c.connect(name())
    c.wire.send_frame(TEXT, mqtt.pingreq())
    closed_with(c, 1003)


def test_text_continued_as_binary(connected):
    c = connected()
    c.wire.send_frame(TEXT, b"", final=False)
    closed_with(c, 1003)


BROKEN = {
    "unmasked": transport.ws_frame(BINARY, mqtt.pingreq(), masked=False),
    "reserved bit 1": transport.ws_frame(BINARY, mqtt.pingreq(), reserved=4),
    "reserved bit 3": transport.ws_frame(BINARY, mqtt.pingreq(), reserved=1),
    "opcode 3": transport.ws_frame(3, b"x"),
    "opcode 11": transport.ws_frame(11, b"x"),
    "continuation of nothing": transport.ws_frame(CONTINUATION, b"x"),
    "message within a message": transport.ws_frame(BINARY, b"\xc0", final=False) + transport.ws_frame(BINARY, b"\0"),
    "fragmented ping": transport.ws_frame(PING, b"", final=False),
    "ping of 126 bytes": transport.ws_frame(PING, b"x" * 126),
    "close of one byte": transport.ws_frame(CLOSE, b"\x03"),
    "close code 999": transport.ws_frame(CLOSE, b"\x03\xe7"),
    "close code 1005": transport.ws_frame(CLOSE, b"\x03\xed"),
    "length not minimal": bytes([0x82, 0xFE, 0, 2]) + b"\0\0\0\0" + mqtt.pingreq(),
    "length above 63 bits": bytes([0x82, 0xFF]) + b"\x80" + bytes(7) + b"\0\0\0\0",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_frame(connected, case):
    c = connected()
    c.wire.wire.send(BROKEN[case])
    closed_with(c, *((1002, 1009) if case == "length above 63 bits" else (1002,)))


def test_huge_frame(connected):
    c = connected()
    c.wire.send_frame(BINARY, b"", length=1 << 40)
    closed_with(c, 1009)


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0"], ids=["", "1000", "1001", "4000"])
def test_close_is_answered(connected, payload):
    """Once; with the client's code, or as a normal end."""
    c = connected()
    c.wire.send_frame(CLOSE, payload)
    assert c.expect_closed() == []
    assert [o for o, _ in c.wire.control] == [CLOSE]
    assert c.wire.close_code() in (int.from_bytes(payload[:2], "big") or None, 1000)


def test_disconnect_closes_the_websocket(connected):
    c = connected()
    c.send(mqtt.disconnect())
    assert closed_with(c, 1000) == []


def test_close_publishes_the_will(web, dial, topic):
    watcher = dial(V5)
    watcher.connect(name())
    watcher.subscribe(topic)
    c = web(V5)
    c.connect(name(), will=(topic, "gone", 0, False))
    c.wire.send_frame(CLOSE, b"\x03\xe8")
    assert watcher.message().payload == b"gone"


def test_malformed_packet_within_a_good_frame(connected):
    c = connected()
    c.send(b"\xc1\x00")
    packets = c.expect_closed()
    assert [p.reason for p in packets] == [0x81]
    assert c.wire.close_code() is not None


def test_takeover_between_transports(web, dial):
    who = name()
    old = web(V5)
    old.connect(who)
    dial(V5).connect(who)
    old.expect_disconnect(0x8E)


def test_pings_do_not_keep_alive(web):
    """Only MQTT packets count."""
    c = web(V5)
    c.connect(name(), keep_alive=1)
    ended = []
    until = time.monotonic() + 8
    while not ended and time.monotonic() < until:
        c.wire.send_frame(PING)
        if mqtt.readable([c], 0.2):
            try:
                packet = c._packet(time.monotonic() + 0.1)
                ended = [packet]
            except transport.Late:
                pass
    assert ended and ended[0].reason == 0x8D
