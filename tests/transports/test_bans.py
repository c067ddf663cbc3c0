# SPDX-License-Identifier: Apache-2.0
"""Networks that may not come: at the listeners, at the interface, over a restart; and who has to wait."""

import re

import pytest

from api import Api
from conftest import name
from gateway import Gateway, wait_until
from mqtt import V5, Client, Wrong, connect
from transport import TcpWire

SECRET = "a long enough secret"
PROXY = "127.0.0.22"
OFFICE, BAD, BAD6 = "198.51.100.7", "203.0.113.9", "2001:db8:0:1::9"
LISTENERS = ["lan tls=off auth=anonymous proxy-protocol=v1 proxy-from=127.0.0.0/8 "
             "allow-from='0.0.0.0/0, 2001:db8::/32'",
             "login tls=off auth=password proxy-protocol=v1 proxy-from=127.0.0.0/8"]

SETTINGS = [f"admin.proxy-from={PROXY}", "events.commit-interval=10ms", "store.password-tries=5"]


@pytest.fixture(scope="module")
def gateway():
    with Gateway(SETTINGS, LISTENERS) as gw:
        gw.cli("admin", "add", "ann", "admin", input=SECRET + "\n")
        gw.cli("admin", "add", "olga", "operator", input=SECRET + "\n")
        gw.cli("device", "add", "meter", "--password", input=SECRET + "\n")
        yield gw


@pytest.fixture(autouse=True)
def nobody_banned(gateway):
    yield
    for item in bans(gateway):
        gateway.cli("ban", "remove", item["source"])


def bans(gateway):
    return gateway.json("ban", "list")


def dial(gateway, source, listener="lan"):
    wire = TcpWire(gateway.listeners[listener])
    kind, to = ("TCP6", "::1") if ":" in source else ("TCP4", "127.0.0.1")
    wire.send(f"PROXY {kind} {source} {to} 1 2\r\n".encode())
    return Client(wire, V5)


def comes(gateway, source):
    c = dial(gateway, source)
    try:
        c.send(connect(name(), V5))
        c.receive()
    except (Wrong, OSError):
        return False
    c.disconnect()
    return True


def admin(gateway, source, who="ann", password=SECRET):
    api = Api(gateway.admin, gateway.root_ca, source=PROXY)
    answer = api.request("POST", "/api/v1/session", {"name": who, "password": password},
                         headers={"X-Forwarded-For": source})
    if answer.status == 201:
        api.take(answer)
    return answer.status, api


def refused(gateway, *words):
    done = gateway.cli(*words, check=False)
    assert done.returncode != 0 and done.stdout == ""
    return done.stderr


def test_a_banned_network_is_closed_and_comes_no_more(gateway):
    there = dial(gateway, BAD)
    there.connect(name())
    other = dial(gateway, OFFICE)
    other.connect(name())
    said = gateway.cli("ban", "add", "203.0.113.0/24", "--reason", "a scanner").stdout
    assert said.startswith("203.0.113.0/24: banned until 20") and "1 session closed" in said
    assert there.receive().reason == 0x98 and there.expect_closed() == []
    assert not comes(gateway, BAD)
    other.ping()
    assert admin(gateway, BAD)[0] == 403 and admin(gateway, OFFICE)[0] == 201
    told = wait_until(lambda: [e for e in gateway.json("event", "list", "--name", "login.refused")
                               if e["reason"] == "the address is banned" and e["listener"] == "lan"], what="the event")
    assert told[0]["address"].startswith(BAD)
    [ban] = bans(gateway)
    assert (ban["source"], ban["kind"], ban["reason"]) == ("203.0.113.0/24", "ban", "a scanner")
    assert gateway.json("audit", "list", "--operation", "ban.add")[0]["target"] == "203.0.113.0/24"
    assert ban["count"] >= 2 and ban["last"] and "control socket" in ban["by"]
    assert gateway.cli("ban", "remove", "203.0.113.0/24").stdout == "203.0.113.0/24: may come again\n"
    assert comes(gateway, BAD) and admin(gateway, BAD)[0] == 201
    events = gateway.json("event", "list", "--name", "ban.changed")
    assert [bool(e["detail"].get("ended")) for e in events[-2:]] == [False, True]


def test_one_address_of_ipv6_is_its_network(gateway):
    gateway.cli("ban", "add", BAD6, "--for", "1d")
    assert bans(gateway)[0]["source"] == "2001:db8:0:1::/64"
    assert not comes(gateway, "2001:db8:0:1:ffff::1") and comes(gateway, "2001:db8:0:2::1")
    gateway.cli("ban", "remove", BAD6)
    assert bans(gateway) == []


def test_it_outlives_a_restart(gateway):
    gateway.cli("ban", "add", BAD, "--for", "60s")
    gateway.restart()
    assert not comes(gateway, BAD) and admin(gateway, BAD)[0] == 403
    assert comes(gateway, OFFICE)


def test_nobody_bans_himself(gateway):
    assert "this machine itself" in refused(gateway, "ban", "add", "127.0.0.5")
    assert "this machine itself" in refused(gateway, "ban", "add", "::1")
    assert "too much of the world" in refused(gateway, "ban", "add", "0.0.0.0/0")
    assert "is no network" in refused(gateway, "ban", "add", "203.0.113.9/24")
    assert "for is 5" in refused(gateway, "ban", "add", BAD, "--for", "5s")
    assert "is not banned" in refused(gateway, "ban", "remove", BAD)
    _, ann = admin(gateway, OFFICE)
    status, said = ann.call("POST", "/bans", {"network": "198.51.100.0/24"}, headers={"X-Forwarded-For": OFFICE})
    assert status in (409, 422, 403) and "lock yourself out" in said["detail"], (status, said)
    assert bans(gateway) == []


def test_the_proxy_itself_is_never_banned(gateway):
    """Its own address is loopback here; what it forwards of others goes on."""
    gateway.cli("ban", "add", BAD)
    c = Client(TcpWire(gateway.listeners["lan"]), V5)
    c.send(b"PROXY UNKNOWN\r\n")
    c.connect(name())
    c.disconnect()


def test_levels(gateway):
    _, ann = admin(gateway, OFFICE)
    _, olga = admin(gateway, OFFICE, "olga")
    body, source = {"network": BAD}, {"X-Forwarded-For": OFFICE}
    assert olga.call("POST", "/bans", body, headers=source)[0] == 403
    assert ann.call("POST", "/bans", body, headers=source)[0] == 201
    assert olga.call("GET", "/bans", headers=source)[1]["items"][0]["source"] == BAD
    assert olga.call("POST", "/bans/remove", body, headers=source)[0] == 200


def test_an_administrator_who_has_to_wait_is_let_in(gateway):
    wait_until(lambda: admin(gateway, BAD, password="wrong wrong wrong")[0] == 429, 30, "the bound")
    assert admin(gateway, BAD)[0] == 429
    item = next(b for b in bans(gateway) if b["kind"] == "login")
    assert (item["source"], item["account"], item["by"]) == (BAD, "ann", "gateway") and item["count"] >= 4
    gateway.cli("ban", "remove", BAD)
    assert admin(gateway, BAD)[0] == 201 and bans(gateway) == []


def test_a_device_that_has_to_wait_is_let_in(gateway):
    def tries(password):
        c = dial(gateway, BAD, "login")
        c.send(connect(name(), V5, username="meter", password=password))
        return c.receive().reason

    wait_until(lambda: tries("wrong wrong wrong") and any(b["kind"] == "password" for b in bans(gateway)), 30, "it")
    item = next(b for b in bans(gateway) if b["kind"] == "password")
    assert (item["source"], item["account"]) == (BAD, "meter")
    assert tries(SECRET) != 0
    gateway.cli("ban", "remove", BAD)
    assert tries(SECRET) == 0


def test_limits_and_who_reached_them(gateway):
    def limits():
        return {x["name"]: x for x in gateway.json("limit", "list")}

    # The broker tells its figures once a second.
    before = wait_until(lambda: limits()["max-packet"]["value"] and limits(), what="the first figures")
    assert before["max-packet"]["value"] == 1 << 20 and before["max-packet"]["per"] == "session"
    c = dial(gateway, BAD)
    who = name()
    c.connect(who)
    c.send(bytes([0x30]) + b"\xff\xff\xff\x7f")
    after = wait_until(lambda: next((x for x in gateway.json("limit", "list") if x["name"] == "max-packet"
                                     and x["refused"] > before["max-packet"]["refused"]), None), what="the figure")
    assert after["last"] and after["address"].startswith(BAD)
    assert re.search(r"^max-packet +session", gateway.cli("limit", "list").stdout, re.M)


def test_limits_of_a_gateway_where_nothing_happens(make_gateway):
    gateway = make_gateway()

    def value(limit):
        return next(x["value"] for x in gateway.json("limit", "list") if x["name"] == limit)

    wait_until(lambda: value("max-packet") == 1 << 20 and value("max-connections"), what="the first figures")
    gateway.cli("config", "set", "broker.max-packet", "2M")
    wait_until(lambda: value("max-packet") == 2 << 20, what="the changed figure")


def test_limits_of_the_store(gateway):
    def limit(what):
        return next(x for x in gateway.json("limit", "list") if x["name"] == what)

    def guess():
        c = dial(gateway, OFFICE, "login")
        c.send(connect(name(), V5, username="nobody", password="wrong"))
        return c.receive().reason

    tries, rate, spool = map(limit, ["store.password-tries", "store.password-rate-per-address", "store.spool-max-size"])
    assert (tries["value"], tries["per"]) == (5, "address") and rate["value"] > 0 and spool["value"] == 1 << 30
    wait_until(lambda: guess() and limit("store.password-tries")["refused"] > tries["refused"], 30, "a try too many")
    gateway.cli("config", "set", "events.rate-per-source", "1")
    try:
        before = limit("events.rate-per-source")
        assert before["value"] == 1
        wait_until(lambda: guess() and guess() and limit("events.rate-per-source")["refused"] > before["refused"], 30,
                   "events that were not stored")
    finally:
        gateway.cli("config", "set", "events.rate-per-source", "")
