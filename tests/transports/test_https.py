# SPDX-License-Identifier: Apache-2.0
"""The ports for HTTPS: connections that come to nothing are told, and one address has only so many."""

import socket
import ssl

import pytest

from gateway import Gateway, wait_until
from told import Events

PER_ADDRESS = 32


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as gw:
        yield gw


@pytest.fixture(scope="module")
def events(gateway):
    stream = Events(gateway)
    yield stream
    stream.close()


@pytest.fixture(params=["admin", "enrol"])
def port(request, gateway):
    return getattr(gateway, request.param), request.param


def connect(port, source="127.0.0.1"):
    s = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    s.settimeout(20)
    return s


def closed(s):
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def trusting(gateway):
    return ssl.create_default_context(cafile=gateway.root_ca)


def told_of(events, listener, source):
    return [e for e in list(events.seen) if e["listener"] == listener and (e["address"] or "").startswith(f"{source}:")]


def test_what_is_not_tls(events, port):
    def hello():
        with connect(port[0]) as s:
            s.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while not closed(s):
                pass

    told = events.expect(hello, "handshake.refused", listener=port[1])
    assert told["reason"].startswith("no ClientHello came") and told["address"].startswith("127.0.0.1:")


def test_a_client_that_does_not_trust_us(events, port):
    def hello():
        with pytest.raises(ssl.SSLError), connect(port[0], "127.0.0.2") as s:
            ssl.create_default_context().wrap_socket(s, server_hostname="localhost")

    hello()
    told = wait_until(lambda: told_of(events, port[1], "127.0.0.2"), what="its event")
    assert told[-1]["event"] == "handshake.refused" and "trust" in told[-1]["reason"]


def test_a_client_that_knows_only_old_versions(gateway, events, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)), connect(port[0], "127.0.0.6") as s:
        context.wrap_socket(s, server_hostname="localhost")
    told = wait_until(lambda: told_of(events, port[1], "127.0.0.6"), what="its event")
    assert "version" in told[-1]["reason"]


def test_a_handshake_that_ended_well_is_none(gateway, events, port):
    source = "127.0.0.3"
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(gateway)
        context.minimum_version = context.maximum_version = version
        with context.wrap_socket(connect(port[0], source), server_hostname="localhost") as s:
            s.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while s.recv(4096):
                pass
        # One that asks nothing, as browsers keep them.
        context.wrap_socket(connect(port[0], source), server_hostname="localhost").close()
    # A later one of the same kind is told, and nothing of those before.
    connect(port[0], "127.0.0.4").close()
    wait_until(lambda: told_of(events, port[1], "127.0.0.4"), what="its event")
    assert not told_of(events, port[1], source)


def test_one_address_has_only_so_many(gateway, events, port):
    mine = [connect(port[0], "127.0.0.5") for _ in range(PER_ADDRESS)]

    def one_more():
        with connect(port[0], "127.0.0.5") as s:
            assert closed(s)

    told = events.expect(one_more, "limit.reached", listener=port[1])
    assert told["reason"] == "connections of one address" and told["address"].startswith("127.0.0.5:")
    with trusting(gateway).wrap_socket(connect(port[0]), server_hostname="localhost"):
        pass
    mine.pop().close()

    def free():
        with connect(port[0], "127.0.0.5") as s:
            s.settimeout(0.2)
            try:
                return s.recv(1) != b""
            except ConnectionResetError:
                return False
            except (TimeoutError, socket.timeout):
                return True

    wait_until(free, what="a free place")
    for s in mine:
        s.close()
