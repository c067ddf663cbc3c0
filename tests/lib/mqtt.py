# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1.1 and 5.0 for tests: every packet is put together byte by byte, so a test can also send
what no client would; every packet of a server is taken apart strictly, so whatever it does wrong is
an error in any test. Knows nothing of the product's own codec.

    c = Client.tcp(port, version=5)
    c.connect("pump-1", keep_alive=10)          # sends CONNECT, gives the CONNACK
    c.subscribe("plant/#", qos=1)               # sends SUBSCRIBE, gives the SUBACK's codes
    m = c.expect(PUBLISH)                       # the next packet, which must be a PUBLISH
    c.send(b"\\xc1\\x00")                       # any bytes
    c.expect_closed()                           # packets that came before the end

Everything waits with a limit and fails at it; nothing sleeps. To show that something does not
arrive, send something behind it and see that come first (Client.expect_nothing_before).
"""

import select
import socket
import struct
import time

from transport import TcpWire, TlsWire, WebSocketWire

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)
WILL = 0  # in the table of properties: those of the will message
NAMES = ["WILL", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
         "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]
ACKS = {PUBACK, PUBREC, PUBREL, PUBCOMP}

V31, V311, V5 = 3, 4, 5

PATIENCE = 10  # seconds that an answer may take; sanitizer builds on a busy machine are slow


class Wrong(AssertionError):
    """The server sent what the standard does not allow, or not what the test expects."""


# -- values on the wire, section 1.5 of MQTT 5.0

def varint(n, least=1):
    """Variable byte integer; least = 2 and more makes it longer than it may be."""
    out = bytearray()
    while True:
        out.append(n & 0x7F)
        n >>= 7
        if not n and len(out) >= least:
            return bytes(out)
        out[-1] |= 0x80


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def binary(value):
    """Two bytes of length, then the value: text, or bytes as they are."""
    value = value.encode() if isinstance(value, str) else bytes(value)
    return u16(len(value)) + value


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise Wrong(f"cut off: {self.data.hex()}")
        self.at += n
        return self.data[self.at - n:self.at]

    def byte(self):
        return self.take(1)[0]

    def u16(self):
        return int.from_bytes(self.take(2), "big")

    def u32(self):
        return int.from_bytes(self.take(4), "big")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if shift and not byte:
                    raise Wrong(f"variable byte integer is not minimal: {self.data.hex()}")
                return value
            shift += 7
            if shift > 21:
                raise Wrong(f"variable byte integer of more than four bytes: {self.data.hex()}")

    def binary(self):
        return self.take(self.u16())

    def text(self):
        value = self.binary().decode("utf-8")  # strict: no surrogates, no overlong forms
        if "\0" in value:
            raise Wrong("a string holds U+0000")
        return value

    def pair(self):
        return self.text(), self.text()

    def rest(self):
        return self.take(len(self.data) - self.at)

    def done(self):
        return self.at == len(self.data)


# -- properties, section 2.2.2.2: identifier, type, packets that may carry it

PROPERTIES = {
    "payload_format": (0x01, "byte", {PUBLISH, WILL}),
    "message_expiry": (0x02, "u32", {PUBLISH, WILL}),
    "content_type": (0x03, "text", {PUBLISH, WILL}),
    "response_topic": (0x08, "text", {PUBLISH, WILL}),
    "correlation_data": (0x09, "binary", {PUBLISH, WILL}),
    "subscription_id": (0x0B, "varint", {PUBLISH, SUBSCRIBE}),
    "session_expiry": (0x11, "u32", {CONNECT, CONNACK, DISCONNECT}),
    "assigned_client_id": (0x12, "text", {CONNACK}),
    "server_keep_alive": (0x13, "u16", {CONNACK}),
    "auth_method": (0x15, "text", {CONNECT, CONNACK, AUTH}),
    "auth_data": (0x16, "binary", {CONNECT, CONNACK, AUTH}),
    "request_problem": (0x17, "byte", {CONNECT}),
    "will_delay": (0x18, "u32", {WILL}),
    "request_response": (0x19, "byte", {CONNECT}),
    "response_information": (0x1A, "text", {CONNACK}),
    "server_reference": (0x1C, "text", {CONNACK, DISCONNECT}),
    "reason_string": (0x1F, "text", {CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH}),
    "receive_maximum": (0x21, "u16", {CONNECT, CONNACK}),
    "topic_alias_maximum": (0x22, "u16", {CONNECT, CONNACK}),
    "topic_alias": (0x23, "u16", {PUBLISH}),
    "maximum_qos": (0x24, "byte", {CONNACK}),
    "retain_available": (0x25, "byte", {CONNACK}),
    "user_property": (0x26, "pair", set(range(CONNECT, AUTH + 1)) - {PINGREQ, PINGRESP} | {WILL}),
    "maximum_packet_size": (0x27, "u32", {CONNECT, CONNACK}),
    "wildcard_available": (0x28, "byte", {CONNACK}),
    "subscription_id_available": (0x29, "byte", {CONNACK}),
    "shared_available": (0x2A, "byte", {CONNACK}),
}
PROPERTY_NAMES = {row[0]: name for name, row in PROPERTIES.items()}
REPEATED = {"user_property", "subscription_id"}
TRUTH = {"maximum_qos", "retain_available", "wildcard_available", "subscription_id_available", "shared_available"}
WRITE = {
    "byte": lambda v: bytes([v]),
    "u16": u16,
    "u32": u32,
    "varint": varint,
    "binary": binary,
    "text": binary,
    "pair": lambda v: binary(v[0]) + binary(v[1]),
}


def one_property(name, value):
    identifier, kind, _ = PROPERTIES[name]
    return bytes([identifier]) + WRITE[kind](value)


def properties(props=()):
    """The field with its length. props: {name: value or list of values}, pairs, or raw bytes."""
    if isinstance(props, bytes):
        return varint(len(props)) + props
    body = b""
    for name, value in (props.items() if isinstance(props, dict) else props):
        for v in value if isinstance(value, list) else [value]:
            body += one_property(name, v)
    return varint(len(body)) + body


def parse_properties(cursor, packet):
    """{name: value}; user_property and subscription_id are lists."""
    field = Cursor(cursor.take(cursor.varint()))
    found = {}
    while not field.done():
        identifier = field.varint()
        name = PROPERTY_NAMES.get(identifier)
        if name is None:
            raise Wrong(f"{NAMES[packet]} with unknown property {identifier:#x}")
        _, kind, packets = PROPERTIES[name]
        if packet not in packets:
            raise Wrong(f"{NAMES[packet]} with property {name}")
        value = getattr(field, kind)()
        if name in REPEATED:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Wrong(f"{NAMES[packet]} with property {name} twice")
        else:
            found[name] = value
        if name in TRUTH and value not in (0, 1):
            raise Wrong(f"{NAMES[packet]} with {name} = {value}")
        if value == 0 and name in ("receive_maximum", "maximum_packet_size", "topic_alias", "subscription_id"):
            raise Wrong(f"{NAMES[packet]} with {name} = 0")
    return found


# -- packets of a client

def packet(kind, flags, body, length=None):
    """Fixed header and body; length = what stands in the header instead of the body's own."""
    n = varint(len(body) if length is None else length) if not isinstance(length, bytes) else length
    return bytes([kind << 4 | flags]) + n + body


def connect(client_id="", version=V311, clean=True, keep_alive=0, will=None, username=None, password=None,
            props=(), flags=None, protocol=None, level=None, will_props=()):
    """will = (topic, payload, qos, retain). flags, protocol, level replace what follows from the rest."""
    made = (0x02 if clean else 0)
    if will:
        made |= 0x04 | will[2] << 3 | (0x20 if will[3] else 0)
    made |= (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    name = protocol if protocol is not None else ("MQIsdp" if version == V31 else "MQTT")
    body = binary(name) + bytes([version if level is None else level, made if flags is None else flags])
    body += u16(keep_alive)
    if version == V5:
        body += properties(props)
    body += binary(client_id)
    if will:
        if version == V5:
            body += properties(will_props)
        body += binary(will[0]) + binary(will[1])
    for field in (username, password):
        if field is not None:
            body += binary(field)
    return packet(CONNECT, 0, body)


def publish(topic, payload=b"", qos=0, packet_id=1, version=V311, dup=False, retain=False, props=(), flags=None):
    made = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    body = binary(topic)
    if qos:
        body += u16(packet_id)
    if version == V5:
        body += properties(props)
    payload = payload.encode() if isinstance(payload, str) else payload
    return packet(PUBLISH, made if flags is None else flags, body + payload)


def ack(kind, packet_id, reason=None, props=None, flags=None):
    """PUBACK, PUBREC, PUBREL, PUBCOMP; the short forms where reason and props are None."""
    body = u16(packet_id)
    if reason is not None:
        body += bytes([reason])
    if props is not None:
        body += properties(props)
    return packet(kind, (2 if kind == PUBREL else 0) if flags is None else flags, body)


def subscribe(packet_id, filters, version=V311, props=(), flags=2):
    """filters: [(filter, options)]; the options are the byte itself."""
    body = u16(packet_id) + (properties(props) if version == V5 else b"")
    for topic_filter, options in filters:
        body += binary(topic_filter) + bytes([options])
    return packet(SUBSCRIBE, flags, body)


def unsubscribe(packet_id, filters, version=V311, props=(), flags=2):
    body = u16(packet_id) + (properties(props) if version == V5 else b"")
    return packet(UNSUBSCRIBE, flags, body + b"".join(binary(f) for f in filters))


def pingreq(flags=0, body=b""):
    return packet(PINGREQ, flags, body)


def disconnect(reason=None, props=None, flags=0):
    body = b"" if reason is None else bytes([reason])
    return packet(DISCONNECT, flags, body if props is None else body + properties(props))


def auth(reason=None, props=None, flags=0):
    body = b"" if reason is None else bytes([reason])
    return packet(AUTH, flags, body if props is None else body + properties(props))


# -- packets of a server

SERVER_FLAGS = {CONNACK: 0, PUBACK: 0, PUBREC: 0, PUBREL: 2, PUBCOMP: 0, SUBACK: 0, UNSUBACK: 0, PINGRESP: 0,
                DISCONNECT: 0, AUTH: 0}
RECEIVED = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
REASONS = {
    CONNACK: {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
              0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: RECEIVED, PUBREC: RECEIVED, PUBREL: {0x00, 0x92}, PUBCOMP: {0x00, 0x92},
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
                 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2},
    AUTH: {0x00, 0x18},
}
SUBACK_311 = {0x00, 0x01, 0x02, 0x80}


class Packet:
    """A packet that a server sent. The fields depend on its kind; size is that of the whole packet."""

    def __init__(self, kind, flags, size):
        self.kind, self.flags, self.size = kind, flags, size
        self.props = {}

    def __repr__(self):
        fields = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if k not in ("kind", "flags", "size"))
        return f"{NAMES[self.kind]}({fields})"


def check_reason(p, version):
    if version == V5 and p.reason not in REASONS[p.kind]:
        raise Wrong(f"{NAMES[p.kind]} with reason {p.reason:#x}")
    return p.reason


def parse_connack(p, c, version):
    flags = c.byte()
    p.reason = c.byte()
    if flags & 0xFE:
        raise Wrong(f"CONNACK flags {flags:#x}")
    p.session_present = bool(flags & 1)
    if p.reason and p.session_present:
        raise Wrong("CONNACK refuses and says that a session is present")
    if version == V5:
        check_reason(p, version)
        p.props = parse_properties(c, CONNACK)
    elif p.reason > 5:
        raise Wrong(f"CONNACK return code {p.reason}")


def parse_publish(p, c, version):
    p.qos, p.dup, p.retain = p.flags >> 1 & 3, bool(p.flags & 8), bool(p.flags & 1)
    if p.qos == 3 or p.qos == 0 and p.dup:
        raise Wrong(f"PUBLISH flags {p.flags:#x}")
    p.topic = c.text()
    if "+" in p.topic or "#" in p.topic:
        raise Wrong(f"PUBLISH to {p.topic!r}")
    p.packet_id = c.u16() if p.qos else None
    if p.packet_id == 0:
        raise Wrong("PUBLISH with packet identifier 0")
    if version == V5:
        p.props = parse_properties(c, PUBLISH)
    if not p.topic and "topic_alias" not in p.props:
        raise Wrong("PUBLISH without topic")
    p.payload = c.rest()


def parse_ack(p, c, version):
    p.packet_id = c.u16()
    p.reason = 0
    if version == V5 and not c.done():
        p.reason = c.byte()
        if not c.done():
            p.props = parse_properties(c, p.kind)
    check_reason(p, version)


def parse_suback(p, c, version):
    p.packet_id = c.u16()
    if version == V5:
        p.props = parse_properties(c, p.kind)
    p.codes = list(c.rest())
    allowed = REASONS[p.kind] if version == V5 else SUBACK_311 if p.kind == SUBACK else set()
    if not set(p.codes) <= allowed:
        raise Wrong(f"{NAMES[p.kind]} with codes {p.codes}")


def parse_disconnect(p, c, version):
    if version != V5:
        raise Wrong(f"a {NAMES[p.kind]} of the server in version {version}")
    p.reason = 0 if c.done() else c.byte()
    if not c.done():
        p.props = parse_properties(c, p.kind)
    check_reason(p, version)
    if "session_expiry" in p.props:
        raise Wrong("DISCONNECT of the server with a session expiry interval")


def parse_nothing(p, c, version):
    pass


PARSERS = {CONNACK: parse_connack, PUBLISH: parse_publish, PUBACK: parse_ack, PUBREC: parse_ack, PUBREL: parse_ack,
           PUBCOMP: parse_ack, SUBACK: parse_suback, UNSUBACK: parse_suback, PINGRESP: parse_nothing,
           DISCONNECT: parse_disconnect, AUTH: parse_disconnect}


def frame(data):
    """(size of the first packet in data, size of its header), or None while it is not complete."""
    value = shift = 0
    for at, byte in enumerate(data[1:5], 2):
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            if at > 2 and not byte:
                raise Wrong(f"remaining length is not minimal: {bytes(data[:5]).hex()}")
            return (at + value, at) if len(data) >= at + value else None
    if len(data) >= 5:
        raise Wrong(f"remaining length of more than four bytes: {bytes(data[:5]).hex()}")
    return None


def parse(data, head, version):
    kind, flags = data[0] >> 4, data[0] & 15
    if kind not in PARSERS:
        raise Wrong(f"a {NAMES[kind]} from the server")
    if SERVER_FLAGS.get(kind, flags) != flags:
        raise Wrong(f"{NAMES[kind]} with flags {flags:#x}")
    p = Packet(kind, flags, len(data))
    c = Cursor(bytes(data[head:]))
    PARSERS[kind](p, c, version)
    if not c.done():
        raise Wrong(f"{len(c.rest())} bytes behind {p}")
    return p


# -- a connection

class Client:
    """One network connection. Closed by close(); reset() ends it without TLS or WebSocket ceremony."""

    def __init__(self, wire, version=V311):
        self.wire, self.version = wire, version
        self.buffer = bytearray()
        self.next_id = 0
        self.answered = False  # a CONNACK came: there must be no other
        self.connack = None

    @classmethod
    def tcp(cls, port, version=V311, **options):
        return cls(TcpWire(port, **options), version)

    @classmethod
    def tls(cls, port, version=V311, **options):
        """Options of transport.TlsWire: ca, cert, key, versions …"""
        return cls(TlsWire(port, **options), version)

    @classmethod
    def websocket(cls, wire, version=V311, **options):
        return cls(WebSocketWire(wire, **options), version)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.wire.close()

    def reset(self):
        self.wire.reset()

    # sending

    def send(self, *packets):
        self.wire.send(b"".join(packets))

    def packet_id(self):
        self.next_id = self.next_id % 65535 + 1
        return self.next_id

    # receiving

    def _packet(self, until):
        """The next packet, or None at the end of the connection."""
        while True:
            size = frame(self.buffer)
            if size:
                data, self.buffer = self.buffer[:size[0]], self.buffer[size[0]:]
                return self._judge(parse(data, size[1], self.version))
            more = self.wire.receive(until)
            if not more:
                if self.buffer:
                    raise Wrong(f"the connection ended within a packet: {bytes(self.buffer[:40]).hex()}")
                return None
            self.buffer += more

    def _judge(self, p):
        if p.kind == CONNACK:
            if self.answered:
                raise Wrong("a second CONNACK")
            self.answered = True
        elif not self.answered and p.kind != AUTH:
            raise Wrong(f"{p} before CONNACK")
        if p.kind == PUBLISH and self.connack and p.size > self.largest:
            raise Wrong(f"a packet of {p.size} bytes, more than the {self.largest} that were allowed")
        return p

    def receive(self, seconds=PATIENCE):
        """The next packet of any kind."""
        p = self._packet(time.monotonic() + seconds)
        if p is None:
            raise Wrong("the server closed the connection")
        return p

    def expect(self, kind, seconds=PATIENCE):
        p = self.receive(seconds)
        if p.kind != kind:
            raise Wrong(f"{p} instead of {NAMES[kind]}")
        return p

    def expect_closed(self, seconds=PATIENCE):
        """The packets that come before the server closes the connection."""
        until = time.monotonic() + seconds
        packets = []
        while True:
            p = self._packet(until)
            if p is None:
                return packets
            packets.append(p)

    def expect_disconnect(self, reason, seconds=PATIENCE):
        """The connection ends; in 5.0 the last packet is DISCONNECT with this reason, in 3.1.1 nothing
        comes. Packets that were under way before are returned."""
        packets = self.expect_closed(seconds)
        if self.version != V5:
            return packets
        if not packets or packets[-1].kind != DISCONNECT:
            raise Wrong(f"closed after {packets}, without DISCONNECT")
        if packets[-1].reason != reason:
            raise Wrong(f"{packets[-1]} instead of reason {reason:#x}")
        return packets[:-1]

    def quiet(self):
        """True when nothing has arrived yet. For use after something else proves that it would have."""
        return not self.buffer and not self.wire.pending()

    # whole exchanges

    def connect(self, client_id="", refused=None, **options):
        """CONNECT and its CONNACK, which must accept, or refuse with this reason."""
        self.largest = dict(options.get("props", ())).get("maximum_packet_size", 1 << 32) \
            if not isinstance(options.get("props"), bytes) else 1 << 32
        self.send(connect(client_id, version=self.version, **options))
        answer = self.expect(CONNACK)
        if answer.reason != (refused or 0):
            raise Wrong(f"{answer} instead of reason {refused or 0:#x}")
        self.connack = answer
        if refused:
            self.expect_closed()
        return answer

    def subscribe(self, *filters, qos=0, options=0, props=(), check=True):
        """One SUBSCRIBE; the codes of its SUBACK, which must grant all unless check is False."""
        number = self.packet_id()
        self.send(subscribe(number, [(f, qos | options) for f in filters], self.version, props))
        answer = self.expect(SUBACK)
        if answer.packet_id != number or len(answer.codes) != len(filters):
            raise Wrong(f"{answer} for SUBSCRIBE {number} to {filters}")
        if check and any(c > 2 for c in answer.codes):
            raise Wrong(f"{answer} for SUBSCRIBE to {filters}")
        return answer.codes

    def unsubscribe(self, *filters):
        number = self.packet_id()
        self.send(unsubscribe(number, filters, self.version))
        answer = self.expect(UNSUBACK)
        if answer.packet_id != number:
            raise Wrong(f"{answer} for UNSUBSCRIBE {number}")
        if len(answer.codes) != (len(filters) if self.version == V5 else 0):
            raise Wrong(f"{answer} for {len(filters)} filters")
        return answer.codes

    def publish(self, topic, payload=b"", qos=0, **options):
        """A PUBLISH and, above QoS 0, the whole exchange; the reason of the last acknowledgement."""
        number = self.packet_id() if qos else 0
        self.send(publish(topic, payload, qos, number, self.version, **options))
        if qos == 0:
            return None
        answer = self.expect(PUBACK if qos == 1 else PUBREC)
        if answer.packet_id != number:
            raise Wrong(f"{answer} for PUBLISH {number}")
        if qos == 2 and answer.reason < 0x80:
            self.send(ack(PUBREL, number))
            answer = self.expect(PUBCOMP)
            if answer.packet_id != number:
                raise Wrong(f"{answer} for PUBREL {number}")
        return answer.reason

    def message(self, acknowledge=True, seconds=PATIENCE):
        """The next packet, a PUBLISH; answered as its QoS demands."""
        m = self.expect(PUBLISH, seconds)
        if acknowledge and m.qos:
            self.send(ack(PUBACK if m.qos == 1 else PUBREC, m.packet_id))
            if m.qos == 2:
                if self.expect(PUBREL, seconds).packet_id != m.packet_id:
                    raise Wrong("PUBREL with another identifier")
                self.send(ack(PUBCOMP, m.packet_id))
        return m

    def messages(self, n, **options):
        return [self.message(**options) for _ in range(n)]

    def ping(self):
        """PINGREQ and its PINGRESP: everything sent before has been handled, and nothing came back."""
        self.send(pingreq())
        return self.expect(PINGRESP)

    def disconnect(self, reason=None, props=None):
        """DISCONNECT; waits until the server has closed, so its work is done. Nothing may come."""
        self.send(disconnect(reason, props))
        packets = self.expect_closed()
        if packets:
            raise Wrong(f"{packets} after DISCONNECT")
        self.close()


def refused_connection(port):
    """True when nobody listens there."""
    s = socket.socket()
    try:
        return s.connect_ex(("127.0.0.1", port)) != 0
    finally:
        s.close()


def readable(clients, seconds):
    """Those of the clients who have something to read."""
    ready, _, _ = select.select([c.wire.socket for c in clients], [], [], seconds)
    return [c for c in clients if c.wire.socket in ready]
