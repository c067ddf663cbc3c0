# SPDX-License-Identifier: Apache-2.0
"""Byte streams to a server on 127.0.0.1: TCP, TLS, and WebSocket (RFC 6455) over either, for mqtt.py.

receive(until) gives bytes, b"" at the end of the connection, whether it was closed or reset; past
the time `until` (monotonic) it fails. Nothing here knows more of MQTT than how long a packet is.
"""

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
import time

ADDRESS = "127.0.0.1"
NAME = "localhost"  # of the gateway, in its server certificates


class Late(AssertionError):
    """Nothing came in time."""


class TcpWire:
    def __init__(self, port, address=ADDRESS, source=None, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:  # before connecting: it decides the window
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(10)
        self.socket.connect((address, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        """All of it; the server may have closed already, which receive() tells."""
        self.socket.settimeout(10)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_some(self, data):
        """What can be sent at once: its length; 0 when the server does not read."""
        self.socket.settimeout(0)
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def receive(self, until, size=65536):
        self.socket.settimeout(max(until - time.monotonic(), 0.001))
        try:
            return self.socket.recv(size)
        except ConnectionResetError:
            return b""
        except (TimeoutError, socket.timeout):
            raise Late("the server neither sent anything nor closed the connection") from None

    def pending(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def reset(self):
        """RST: as if the device had lost its power."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def tls_context(ca, cert=None, key=None, versions=None, ciphers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(str(ca))
    if versions:
        context.minimum_version = context.maximum_version = versions
    if ciphers:
        context.set_ciphers(ciphers)
    if cert:
        context.load_cert_chain(str(cert), str(key))
    return context


class TlsWire(TcpWire):
    """The server is always verified. bundle: the folder of `gatehouse device add --bundle`."""

    def __init__(self, port, ca=None, cert=None, key=None, bundle=None, versions=None, ciphers=None,
                 session=None, context=None, name=NAME, **options):
        super().__init__(port, **options)
        if bundle:
            ca, cert, key = ca or bundle / "ca.crt", cert or bundle / "device.crt", key or bundle / "device.key"
        self.context = context or tls_context(ca, cert, key, versions, ciphers)
        self.plain = self.socket
        self.socket = self.context.wrap_socket(self.plain, server_hostname=name, session=session)

    def receive(self, until, size=65536):
        try:
            return super().receive(until, size)
        except ssl.SSLEOFError:
            return b""

    def pending(self):
        return self.socket.pending() > 0 or super().pending()


TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0
ANSWER = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def ws_frame(opcode, payload=b"", final=True, masked=True, reserved=0, length=None):
    """One frame of a client. length = what stands in the header instead of the payload's own."""
    n = len(payload) if length is None else length
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if n < 126:
        head += bytes([mask_bit | n])
    elif n < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", n)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = mask * (len(payload) // 4 + 1)
    return head + mask + bytes(a ^ b for a, b in zip(payload, repeated))


def ws_request(path="/mqtt", key=None, protocol="mqtt", version="13", method="GET", http="1.1", headers=(),
               drop=()):
    """The opening request; drop: names of headers that are left out."""
    lines = [("Host", NAME), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
             ("Sec-WebSocket-Key", key or base64.b64encode(os.urandom(16)).decode()),
             ("Sec-WebSocket-Version", version)]
    if protocol:
        lines.append(("Sec-WebSocket-Protocol", protocol))
    lines = [(n, v) for n, v in lines if n not in drop] + list(headers)
    return (f"{method} {path} HTTP/{http}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines) + "\r\n").encode()


def ws_head(wire, until):
    """(status, {header: value}, bytes behind) of an HTTP answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = wire.receive(until)
        assert more, f"the server closed the connection after {data!r}"
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines)}, rest


def packet_length(data):
    """Of the MQTT packet at the front, from its fixed header; None when that is not whole."""
    length = shift = 0
    for at, byte in enumerate(data[1:5], 2):
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return at + length
    return None


class WebSocketWire:
    """Binary frames over another wire, of which each must hold one packet: some clients lose what
    shares a frame. Control frames of the server are kept in `control`."""

    def __init__(self, wire, **request):
        self.wire = wire
        key = base64.b64encode(os.urandom(16)).decode()
        wire.send(ws_request(key=key, **request))
        status, self.headers, rest = ws_head(wire, time.monotonic() + 10)
        assert status == 101, f"status {status}, {self.headers}"
        digest = hashlib.sha1((key + ANSWER).encode()).digest()
        assert self.headers.get("sec-websocket-accept") == base64.b64encode(digest).decode()
        assert self.headers.get("upgrade", "").lower() == "websocket"
        assert self.headers.get("connection", "").lower() == "upgrade"
        self.input = bytearray(rest)
        self.control = []  # (opcode, payload)

    @property
    def socket(self):
        return self.wire.socket

    def send(self, data):
        self.wire.send(ws_frame(BINARY, data))

    def send_frame(self, *arguments, **options):
        self.wire.send(ws_frame(*arguments, **options))

    def _fill(self, n, until):
        while len(self.input) < n:
            more = self.wire.receive(until)
            if not more:
                assert not self.input, f"the connection ended within a frame: {bytes(self.input)!r}"
                return False
            self.input += more
        return True

    def _frame(self, until):
        """(opcode, payload) of the server's next frame; None at the end."""
        if not self._fill(2, until):
            return None
        first, second = self.input[:2]
        assert not first & 0x70, f"reserved bits in frame {first:#x}"
        assert first & 0x80, "the server sent a fragment"
        assert not second & 0x80, "the server masked a frame"
        n, at = second, 2
        if second == 126:
            self._fill(4, until)
            n, at = int.from_bytes(self.input[2:4], "big"), 4
            assert n >= 126, "length of a frame is not minimal"
        elif second == 127:
            self._fill(10, until)
            n, at = int.from_bytes(self.input[2:10], "big"), 10
            assert n >= 65536, "length of a frame is not minimal"
        assert first & 8 == 0 or n <= 125, "a control frame of more than 125 bytes"
        self._fill(at + n, until)
        payload = bytes(self.input[at:at + n])
        del self.input[:at + n]
        return first & 15, payload

    def receive(self, until, size=0):
        while True:
            frame = self._frame(until)
            if frame is None:
                return b""
            opcode, payload = frame
            if opcode == BINARY:
                assert len(payload) == packet_length(payload), f"not one packet in a frame: {payload[:40]!r}"
                return payload
            else:
                assert opcode in (CLOSE, PING, PONG), f"a frame with opcode {opcode}"
                self.control.append((opcode, payload))

    def close_code(self):
        """Of the server's close frame; None when it sent none or gave no code."""
        codes = [p for o, p in self.control if o == CLOSE]
        return int.from_bytes(codes[0][:2], "big") if codes and len(codes[0]) >= 2 else None

    def pending(self):
        return bool(self.input) or self.wire.pending()

    def reset(self):
        self.wire.reset()

    def close(self):
        self.wire.close()
