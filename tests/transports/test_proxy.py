# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol: whose word counts, which address counts, and what a bad header leads to."""

import ipaddress
import ssl
import struct
import subprocess
import time

import pytest

from conftest import name
from gateway import build, wait_until
from mqtt import V5, Client, connect
from transport import NAME, TcpWire, TlsWire, WebSocketWire, tls_context

LISTENERS = [
    "any tls=off auth=anonymous proxy-protocol=any proxy-from=127.0.0.1 "
    "allow-from='10.0.0.0/8, 2001:db8::/32, 127.0.0.1'",
    "v1 tls=off auth=anonymous proxy-protocol=v1 proxy-from=127.0.0.1 allow-from=10.0.0.0/8",
    "v2 tls=off auth=anonymous proxy-protocol=v2 proxy-from=127.0.0.1 allow-from=10.0.0.0/8",
    "tls proxy-protocol=v2 proxy-from=127.0.0.0/8 auth=any",
    "few tls=off auth=anonymous proxy-protocol=any proxy-from=127.0.0.1 allow-from=10.0.0.0/8 "
    "max-connections-per-address=2",
    "narrow tls=off auth=anonymous proxy-protocol=v1 proxy-from=127.0.0.2 allow-from=10.0.0.0/8",
    "web protocol=websocket tls=off auth=anonymous proxy-protocol=v1 proxy-from=127.0.0.1 allow-from=10.0.0.0/8",
]
SETTINGS = ["broker.connect-timeout=1s", "events.commit-interval=10ms"]
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, port=4711):
    family = 6 if ":" in source else 4
    return f"PROXY TCP{family} {source} {'::1' if family == 6 else '127.0.0.1'} {port} 8883\r\n".encode()


def v2(source=None, port=4711, fields=b"", command=1, family=None):
    addresses = b""
    if source:
        a = ipaddress.ip_address(source)
        addresses = a.packed + bytes(len(a.packed)) + struct.pack(">HH", port, 8883)
        family = family or (0x11 if a.version == 4 else 0x21)
    head = SIGNATURE + bytes([0x20 | command, family or 0])
    return head + struct.pack(">H", len(addresses + fields)) + addresses + fields


def dial(gateway, listener, header, source=None):
    wire = TcpWire(gateway.listeners[listener], source=source)
    wire.send(header)
    return Client(wire, V5)


def events(gateway, event, listener):
    return [e for e in gateway.json("event", "list", "--name", event) if e["listener"] == listener]


def address_of(gateway, client_id):
    found = [e for e in gateway.json("event", "list", "--name", "client.connected") if e["client_id"] == client_id]
    return found[0]["address"] if found else None


def connected_from(gateway, listener, header):
    """The address under which a client that connects behind this header is known."""
    c, who = dial(gateway, listener, header), name()
    c.connect(who)
    said = wait_until(lambda: address_of(gateway, who), what="the event")
    c.disconnect()
    return said


@pytest.mark.parametrize("listener, header, address", [
    ("any", v1("10.1.2.3"), "10.1.2.3:4711"),
    ("any", v1("2001:db8::5"), "[2001:db8::5]:4711"),
    ("any", v2("10.1.2.3"), "10.1.2.3:4711"),
    ("any", v2("2001:db8::5"), "[2001:db8::5]:4711"),
    ("any", v2("::ffff:10.1.2.3"), "10.1.2.3:4711"),
    ("any", v2("10.1.2.3", fields=b"\x04\x0f\xf1" + bytes(4081)), "10.1.2.3:4711"),
    ("v1", v1("10.1.2.3"), "10.1.2.3:4711"),
    ("v2", v2("10.1.2.3"), "10.1.2.3:4711"),
], ids=["v1-ipv4", "v1-ipv6", "v2-ipv4", "v2-ipv6", "v2-mapped", "v2-4096-bytes", "v1-alone", "v2-alone"])
def test_the_stated_address_counts(gateway, listener, header, address):
    assert connected_from(gateway, listener, header) == address


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2 3 4\r\n", v2(command=0),
                                    v2("10.1.2.3", command=0), v2(fields=b"abc")],
                         ids=["unknown", "unknown-more", "local", "local-with-address", "unspecified"])
def test_a_proxy_that_speaks_for_itself_keeps_its_address(gateway, header):
    assert connected_from(gateway, "any", header).startswith("127.0.0.1:")


def test_the_proxys_own_address_is_judged_by_allow_from_too(gateway):
    c = dial(gateway, "v1", b"PROXY UNKNOWN\r\n")
    c.send(connect(name(), V5))
    assert c.expect_closed() == []


def test_a_header_in_pieces(gateway):
    for header in (v1("10.1.2.3"), v2("10.1.2.3", fields=b"\x01\x00\x02mq")):
        wire = TcpWire(gateway.listeners["any"])
        for byte in header:
            wire.send(bytes([byte]))
        c = Client(wire, V5)
        c.connect(name())
        c.disconnect()


def test_header_and_first_packet_at_once(gateway):
    c = dial(gateway, "any", v2("10.1.2.3") + connect(name(), V5))
    assert c.receive().reason == 0


def test_before_tls(gateway):
    bundle = gateway.bundle("behind")
    wire = TcpWire(gateway.listeners["tls"])
    wire.send(v2("192.0.2.77"))
    context = tls_context(bundle / "ca.crt", bundle / "device.crt", bundle / "device.key")
    wire.socket = context.wrap_socket(wire.socket, server_hostname=NAME)
    c, who = Client(wire, V5), name()
    c.connect(who)
    assert wait_until(lambda: address_of(gateway, who), what="the event") == "192.0.2.77:4711"
    wait_until(lambda: [x["address"] for x in gateway.json("client", "list") if x["client_id"] == who] ==
               ["192.0.2.77:4711"], what="the client in the list")


def test_a_refused_handshake_names_the_stated_address(gateway):
    plain = TcpWire(gateway.listeners["tls"])
    plain.send(v2("192.0.2.78") + connect(name(), V5))
    assert plain.receive(time.monotonic() + 10) == b""
    wait_until(lambda: any(e["address"] == "192.0.2.78:4711" and e["reason"] == "not-tls"
                           for e in events(gateway, "handshake.refused", "tls")), what="the event")


def test_tls_without_a_header_is_closed(gateway):
    with pytest.raises((ssl.SSLError, OSError)):
        TlsWire(gateway.listeners["tls"], ca=gateway.root_ca)
    wait_until(lambda: any("no PROXY header" in e["reason"] for e in events(gateway, "proxy.refused", "tls")),
               what="the event")


def test_websocket_behind_a_proxy(gateway):
    plain = TcpWire(gateway.listeners["web"])
    plain.send(v1("10.7.7.7"))
    c, who = Client(WebSocketWire(plain), V5), name()
    c.connect(who)
    assert wait_until(lambda: address_of(gateway, who), what="the event") == "10.7.7.7:4711"


def test_allow_from_is_for_the_stated_address(gateway):
    c = dial(gateway, "any", v1("192.0.2.1"))
    assert c.expect_closed() == []
    wait_until(lambda: any(e["address"] == "192.0.2.1:4711" and "allow-from" in e["reason"]
                           for e in events(gateway, "login.refused", "any")), what="the event")


def test_a_header_from_elsewhere_is_closed(gateway):
    try:
        assert dial(gateway, "narrow", v1("10.1.2.3"), source="127.0.0.3").expect_closed() == []
    except ConnectionResetError:
        pass  # already while it was set up
    found = wait_until(lambda: events(gateway, "proxy.refused", "narrow"), what="the event")
    assert found[0]["address"].startswith("127.0.0.3:") and "proxy-from" in found[0]["reason"]
    c = dial(gateway, "narrow", v1("10.1.2.3"), source="127.0.0.2")
    c.connect(name())


@pytest.mark.parametrize("listener, header, why", [
    ("any", connect("x", V5), "no PROXY header"),
    ("any", b"GET /mqtt HTTP/1.1\r\n", "no PROXY header"),
    ("any", b"PROXY TCP4 10.1.2.3 127.0.0.1 1 70000\r\n", "malformed port"),
    ("any", b"PROXY UNKNOWN" + b" " * 100, "longer than 107"),
    ("any", SIGNATURE + b"\x21\x11\x10\x01", "longer than 4 KiB"),
    ("any", v2("10.1.2.3", family=0x12), "another protocol"),
    ("any", v2("10.1.2.3", fields=b"\x03\x00\x04zzzz"), "checksum"),
    ("v1", v2("10.1.2.3"), "version 2"),
    ("v2", v1("10.1.2.3"), "version 1"),
], ids=["mqtt", "http", "port", "long-line", "long", "udp", "checksum", "v2-on-v1", "v1-on-v2"])
def test_a_bad_header_is_closed_and_recorded(gateway, listener, header, why):
    c = dial(gateway, listener, header)
    assert c.expect_closed() == []
    wait_until(lambda: any(why in e["reason"] for e in events(gateway, "proxy.refused", listener)),
               what="the event")


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 10.1", SIGNATURE + b"\x21\x11\x00\x0c"],
                         ids=["nothing", "v1", "v2"])
def test_a_header_that_does_not_come_in_time(gateway, sent):
    listener = "v2" if sent[:1] == b"\r" else "v1"
    before = len(events(gateway, "proxy.refused", listener))
    c = dial(gateway, listener, sent)
    assert c.expect_closed() == []
    wait_until(lambda: len(events(gateway, "proxy.refused", listener)) > before, what="the event")
    assert events(gateway, "proxy.refused", listener)[-1]["reason"] == "no PROXY header in time"


def test_limits_count_by_the_stated_address(gateway):
    first = [dial(gateway, "few", v1("10.9.9.9")) for _ in range(2)]
    for c in first:
        c.connect(name())
    other = dial(gateway, "few", v2("10.9.9.10"))
    other.connect(name())  # the proxy itself has three connections by now
    third = dial(gateway, "few", v2("10.9.9.9"))
    assert third.expect_closed() == []
    wait_until(lambda: any(e["address"] == "10.9.9.9:4711" and e["reason"] == "max-connections-per-address"
                           for e in events(gateway, "limit.reached", "few")), what="the event")
    first[0].disconnect()
    first[0].close()

    def there_is_room_again():
        c = dial(gateway, "few", v2("10.9.9.9") + connect(name(), V5))
        return c.wire.receive(time.monotonic() + 10) != b""

    wait_until(there_is_room_again, what="room")


def test_the_configuration_must_name_the_proxies(gateway, tmp_path):
    for text, why in (("proxy-protocol = v2", "add proxy-from"),
                      ("proxy-from = 10.0.0.1", "means nothing with proxy-protocol = off")):
        conf = tmp_path / "gatehouse.conf"
        conf.write_text(f"[listener a]\nbind = 127.0.0.1:1\n{text}\n")
        done = subprocess.run([build() / "gatehoused", "--config", conf, "--test-config"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode != 0 and why in done.stdout
