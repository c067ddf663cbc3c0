# SPDX-License-Identifier: Apache-2.0
"""One port for MQTT and WebSocket, by ALPN or by the first byte; IPv4 and IPv6."""

import socket
import time

import pytest

from conftest import name
from gateway import Gateway, wait_until
from mqtt import V311, V5, Client, connect
from transport import NAME, TcpWire, TlsWire, WebSocketWire, tls_context, ws_head, ws_request

LISTENERS = [
    "both protocol=auto tls=off auth=anonymous",
    "plain protocol=mqtt tls=off auth=anonymous",
    "web protocol=websocket tls=off auth=anonymous",
    "tlsboth protocol=auto auth=anonymous",
    "tlsmqtt protocol=mqtt auth=anonymous",
    "shared protocol=auto auth=any",
]


@pytest.fixture(scope="module")
def device(gateway):
    return gateway.bundle("browser")


class AlpnWire(TlsWire):
    def __init__(self, gateway, listener, protocols=None):
        context = tls_context(gateway.root_ca)
        if protocols:
            context.set_alpn_protocols(protocols)
        super().__init__(gateway.listeners[listener], context=context)
        self.chosen = self.socket.selected_alpn_protocol()


def round_trip(wire, version=V5):
    c, topic = Client(wire, version), f"ports/{name()}"
    c.connect(name())
    c.subscribe(topic)
    c.publish(topic, "x")
    assert c.message().payload == b"x"
    c.disconnect()


@pytest.mark.parametrize("version", [V311, V5])
def test_plain_by_the_first_byte(gateway, version):
    round_trip(TcpWire(gateway.listeners["both"]), version)
    round_trip(WebSocketWire(TcpWire(gateway.listeners["both"])), version)


@pytest.mark.parametrize("protocols, chosen", [(None, None), (["mqtt"], "mqtt"), (["x-else"], None),
                                               (["mqtt", "http/1.1"], "mqtt"), (["http/1.1", "mqtt"], "mqtt")])
def test_tls_mqtt(gateway, protocols, chosen):
    wire = AlpnWire(gateway, "tlsboth", protocols)
    assert wire.chosen == chosen
    round_trip(wire)


@pytest.mark.parametrize("protocols, chosen", [(None, None), (["http/1.1"], "http/1.1"),
                                               (["h2", "http/1.1"], "http/1.1")])
def test_tls_websocket(gateway, protocols, chosen):
    wire = AlpnWire(gateway, "tlsboth", protocols)
    assert wire.chosen == chosen
    round_trip(WebSocketWire(wire))


def test_alpn_decides_against_the_first_byte(gateway):
    """Who agreed on one protocol and speaks the other is not served."""
    wire = AlpnWire(gateway, "tlsboth", ["http/1.1"])
    wire.send(connect(name(), V5) + b"\r\n\r\n")
    assert wire.receive(time.monotonic() + 10).startswith(b"HTTP/1.1 400 ")
    wire = AlpnWire(gateway, "tlsboth", ["mqtt"])
    wire.send(b"GET /mqtt HTTP/1.1\r\n")
    assert b"HTTP" not in wire.receive(time.monotonic() + 10)


def test_a_request_in_pieces(gateway):
    wire = TcpWire(gateway.listeners["both"])
    wire.send(b"G")
    round_trip(WebSocketWire(Prefixed(wire, 1)))


class Prefixed:
    """Leaves out the first bytes, which were sent before."""

    def __init__(self, wire, skip):
        self.wire, self.skip = wire, skip

    def send(self, data):
        self.wire.send(data[self.skip:])
        self.skip = 0

    def __getattr__(self, attribute):
        return getattr(self.wire, attribute)


def test_each_alone_refuses_the_other(gateway):
    wire = TcpWire(gateway.listeners["plain"])
    wire.send(b"GET /mqtt HTTP/1.1\r\n\r\n")
    assert Client(wire, V5).expect_closed() == []
    assert AlpnWire(gateway, "tlsmqtt", ["http/1.1"]).chosen is None


def test_the_status_tells_both(gateway):
    said = {x["name"]: x["protocol"] for x in gateway.json("status")["listeners"]}
    assert (said["both"], said["tlsboth"], said["plain"], said["web"]) == ("mqtt+ws", "mqtts+wss", "mqtt", "ws")


@pytest.mark.parametrize("protocols", [None, ["http/1.1"]], ids=["first-byte", "alpn"])
@pytest.mark.parametrize("origin, status", [("https://elsewhere.example", 403), (None, 101)])
def test_a_page_from_elsewhere_on_the_shared_port(gateway, device, protocols, origin, status):
    """It must not use the certificate that the browser has: the same rule as on a port for WebSocket alone."""
    context = tls_context(device / "ca.crt", device / "device.crt", device / "device.key")
    if protocols:
        context.set_alpn_protocols(protocols)
    wire = TlsWire(gateway.listeners["shared"], context=context)
    wire.send(ws_request(headers=[("Origin", origin)] if origin else []))
    assert ws_head(wire, time.monotonic() + 10)[0] == status


class TestFamilies:
    @pytest.fixture(scope="class")
    def families(self):
        ports = []
        for family in (socket.AF_INET6, socket.AF_INET6, socket.AF_INET):
            with socket.socket(family) as s:
                s.bind(("", 0))
                ports.append(s.getsockname()[1])
        with Gateway(listeners=[f"six tls=off auth=anonymous bind=[::1]:{ports[0]}",
                                f"two tls=off auth=anonymous allow-from='127.0.0.0/8, ::1' bind=*:{ports[1]}",
                                f"tls6 auth=anonymous bind=[::1]:{ports[2]}"]) as gw:
            gw.cli("acl", "allow", "any", "all", "#")
            yield gw

    @pytest.mark.parametrize("listener, address, seen", [("six", "::1", "[::1]:"), ("two", "::1", "[::1]:"),
                                                         ("two", "127.0.0.1", "127.0.0.1:")])
    def test_plain(self, families, listener, address, seen):
        who = name()
        c = Client(wire_to(families.listeners[listener], address), V5)
        c.connect(who)
        found = wait_until(lambda: [e for e in families.json("event", "list", "--name", "client.connected")
                                    if e["client_id"] == who], what="the event")
        assert found[0]["address"].startswith(seen)
        c.disconnect()

    def test_tls(self, families):
        with socket.create_connection(("::1", families.listeners["tls6"])) as plain:
            with tls_context(families.root_ca).wrap_socket(plain, server_hostname=NAME) as tls:
                tls.sendall(connect(name(), V5))
                assert tls.recv(1) == b"\x20"

    def test_certificate_has_both_loopback_addresses(self, families):
        context = tls_context(families.root_ca)
        for address in ("::1", "127.0.0.1"):
            with socket.create_connection(("::1", families.listeners["tls6"])) as plain:
                with context.wrap_socket(plain, server_hostname=address) as tls:
                    assert tls.version()


def wire_to(port, address):
    if ":" not in address:
        return TcpWire(port, address=address)
    wire = TcpWire.__new__(TcpWire)
    wire.socket = socket.create_connection((address, port), 10)
    return wire
