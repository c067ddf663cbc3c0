# SPDX-License-Identifier: Apache-2.0
"""Who may connect to the faces of HTTPS, and whose word on an address counts behind a reverse proxy."""

import socket
import ssl

import pytest

from api import Api
from gateway import Gateway, wait_until

PASSWORD = "a long enough secret"
ALLOWED, PROXY, SECOND_PROXY, STRANGER = "127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24"
INSIDE = "198.51.100.7"
SETTINGS = [f"admin.allow-from={ALLOWED}, 198.51.100.0/24", f"admin.proxy-from={PROXY}, {SECOND_PROXY}",
            f"enrol.allow-from={ALLOWED}", "events.commit-interval=10ms"]


@pytest.fixture(scope="module")
def gateway():
    with Gateway(SETTINGS) as gw:
        gw.cli("admin", "add", "ann", "admin", input=PASSWORD + "\n")
        yield gw


def face(gateway, name, source):
    return Api(getattr(gateway, name), gateway.root_ca, source=source)


def events(gateway, name, address):
    return [e for e in gateway.json("event", "list", "--name", "login.refused")
            if e["listener"] == name and (e["address"] or "").split(":")[0] == address]


def is_closed(port, source):
    """Before anything was said: no certificate is shown to a stranger."""
    with socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0)) as s:
        try:
            return s.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.mark.parametrize("name, path", [("admin", "/healthz"), ("enrol", "/.well-known/est/cacerts")])
def test_others_are_closed_and_told_once(gateway, name, path):
    port = getattr(gateway, name)
    for _ in range(20):
        assert is_closed(port, STRANGER)
    assert face(gateway, name, ALLOWED).request("GET", path).status == 200
    told = wait_until(lambda: events(gateway, name, STRANGER), what="its event")
    assert is_closed(port, "127.0.0.25")  # what comes later is told later
    wait_until(lambda: events(gateway, name, "127.0.0.25"), what="the later event")
    told = events(gateway, name, STRANGER)
    assert len(told) == 1 and told[0]["reason"] == "the address is not in allow-from"


def audited(gateway):
    return gateway.json("audit", "list", "--operation", "session.add")[0]["source"]


def logs_in(gateway, source, forwarded):
    who = face(gateway, "admin", source)
    answer = who.request("POST", "/api/v1/session", {"name": "ann", "password": PASSWORD},
                         headers={"X-Forwarded-For": forwarded} if forwarded else {})
    return answer.status


def test_a_proxy_states_who_asks(gateway):
    assert logs_in(gateway, PROXY, INSIDE) == 201
    assert audited(gateway) == INSIDE
    assert logs_in(gateway, PROXY, f"10.9.9.9, 198.51.100.8, {SECOND_PROXY}") == 201
    assert audited(gateway) == "198.51.100.8"


def test_nobody_else_may(gateway):
    assert logs_in(gateway, ALLOWED, INSIDE) == 201
    assert audited(gateway) == ALLOWED


def test_what_a_proxy_forwards_is_judged_as_well(gateway):
    assert logs_in(gateway, PROXY, f"{INSIDE}, 203.0.113.9") == 403
    wait_until(lambda: events(gateway, "admin", "203.0.113.9"), what="its event")
    assert logs_in(gateway, PROXY, None) == 403  # its own address is not let in
    assert logs_in(gateway, PROXY, "unknown") == 403


def test_logins_are_bounded_for_each_of_them(gateway):
    """One who guesses behind the proxy does not shut out the others behind it."""
    def tries(source):
        who = face(gateway, "admin", PROXY)
        return who.request("POST", "/api/v1/session", {"name": "ann", "password": "wrong wrong wrong"},
                           headers={"X-Forwarded-For": source}).status

    wait_until(lambda: tries("198.51.100.66") == 429, 30, "the bound")
    assert logs_in(gateway, PROXY, "198.51.100.66") == 429
    assert logs_in(gateway, PROXY, INSIDE) == 201


def test_a_proxy_may_have_many_connections(gateway):
    context = ssl.create_default_context(cafile=gateway.root_ca)
    mine = [socket.create_connection(("127.0.0.1", gateway.admin), source_address=(PROXY, 0)) for _ in range(40)]
    with context.wrap_socket(mine[-1], server_hostname="localhost"):
        pass
    for s in mine:
        s.close()
