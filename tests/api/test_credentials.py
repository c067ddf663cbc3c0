# SPDX-License-Identifier: Apache-2.0
"""What ends with a session or an administrator: open streams and the tokens that they made; what wrong logins leave
behind."""

import threading

import pytest

from api import Api
from conftest import PASSWORD
from test_stream import Stream


@pytest.fixture
def person(gw):
    """person(NAME, LEVEL): a caller with a session, of an administrator of its own."""

    def make(name, level="admin"):
        gw.cli("admin", "add", name, level, input=PASSWORD + "\n")
        who = Api(gw.admin, gw.root_ca)
        who.login(name, PASSWORD)
        return who
    yield make
    for row in gw.json("admin", "list"):
        if row["name"] not in ("viewer", "operator", "admin"):
            gw.cli("admin", "remove", row["name"])


def token(gw, maker, name, level, **more):
    status, body = maker.call("POST", "/tokens", {"name": name, "level": level, **more})
    assert status == 201, body
    who = Api(gw.admin, gw.root_ca)
    who.token = body["token"]
    return who


def statuses_until_the_end(stream):
    """How many figures came before the stream was ended."""
    n = 0
    while (found := stream.next()):
        if found[0] == "ended":
            return n
        n += found[0] == "status"
    raise AssertionError("it broke off without a word")


@pytest.mark.parametrize("how", ["remove", "disable", "password", "session"])
def test_the_stream_of_who_is_gone_ends_at_once(gw, login, person, how):
    watchers = [Stream(login("viewer")) for _ in range(6)]  # whose turn would come before
    who = person("gone")
    stream = Stream(who)
    assert stream.next("status")
    done = {}
    reader = threading.Thread(target=lambda: done.update(n=statuses_until_the_end(stream)))
    if how == "session":
        own = next(s["id"] for s in who.call("GET", "/sessions")[1]["items"] if s["current"])
    reader.start()
    if how == "remove":
        gw.cli("admin", "remove", "gone")
    elif how == "disable":
        gw.cli("admin", "set", "gone", "--disabled")
    elif how == "password":
        gw.cli("admin", "reset", "gone", input=PASSWORD + "!\n")
    else:
        gw.cli("session", "remove", own)
    reader.join(30)
    assert done["n"] <= 2
    assert watchers[0].next("status")
    for s in (stream, *watchers):
        s.close()


def test_tokens_go_with_their_maker(gw, login, person):
    maker = person("maker")
    first = token(gw, maker, "first", "admin")
    second = token(gw, first, "second", "operator")
    other = token(gw, login("admin"), "other", "viewer")
    assert [who.call("GET", "/devices")[0] for who in (first, second, other)] == [200, 200, 200]
    status, body = login("admin").call("DELETE", "/administrators/maker")
    assert (status, body["tokens_removed"]) == (200, 2)
    assert [who.call("GET", "/devices")[0] for who in (first, second, other)] == [401, 401, 200]
    names = [e["detail"]["token"] for e in gw.json("event", "list", "--name", "admin.changed")
             if e["detail"]["change"] == "token removed with its maker"]
    assert names == ["first", "second"]


def test_tokens_are_not_above_their_maker(gw, login, person):
    maker = person("lowered")
    high, low = token(gw, maker, "high", "admin"), token(gw, maker, "low", "viewer")
    assert high.call("GET", "/administrators")[0] == 200
    status, body = login("admin").call("PATCH", "/administrators/lowered", {"level": "operator"})
    assert (status, body["tokens_lowered"]) == (200, 1)
    assert high.call("GET", "/administrators")[0] == 403 and high.call("GET", "/audit")[0] == 200
    assert low.call("GET", "/devices")[0] == 200
    gw.cli("admin", "set", "lowered", "--disabled")
    assert [who.call("GET", "/devices")[0] for who in (high, low)] == [401, 401]
    gw.cli("admin", "set", "lowered", "--enabled")
    assert low.call("GET", "/devices")[0] == 200


def test_what_was_typed_as_a_name_is_not_kept(gw, stranger):
    typed = "correct horse battery"
    for name in (typed, typed, "x" * 300):
        assert stranger.call("POST", "/session", {"name": name, "password": PASSWORD + "?"})[0] in (400, 401)
    seen = [e["actor"] for e in gw.json("event", "list", "--name", "admin.login-refused")][-2:]
    assert seen[0] == seen[1] and seen[0].startswith("(unknown name ")
    kept = gw.cli("event", "list", "--last", "1000", "--json").stdout + gw.cli("audit", "list", "--json").stdout
    assert typed not in kept and typed not in gw.log_text() and "xxxxx" not in kept
    assert seen[0] in gw.cli("audit", "list", "--json").stdout


def guess(gw, source, name, seer):
    """Until it has to wait, as ban.list says: the account there."""
    who = Api(gw.admin, gw.root_ca, source=source)
    while True:
        while who.call("POST", "/session", {"name": name, "password": "not the right one"})[0] != 429:
            pass
        for item in seer.call("GET", "/bans")[1]["items"]:
            if item["source"] == source:
                return item["account"]


def test_a_list_of_who_waits_shows_no_name_that_nobody_has(gw, login):
    seer = login("operator")
    assert guess(gw, "127.0.0.10", "MyPasswordInTheWrongField", seer) is None
    assert guess(gw, "127.0.0.11", "viewer", seer) == "viewer"


def lift(gw, who, source, seer):
    """What ban.remove says to who, of one whose time to wait is not over."""
    while True:
        guess(gw, source, "admin", seer)
        status, body = who.call("POST", "/bans/remove", {"network": source})
        if status != 404:
            return status, body


def test_only_the_highest_level_gives_more_tries(gw, login):
    admin, operator = login("admin"), login("operator")
    status, body = lift(gw, operator, "127.0.0.12", operator)
    assert status == 403 and "only the level admin" in body["detail"]
    status, body = lift(gw, admin, "127.0.0.12", operator)
    assert status == 200 and body["removed"] >= 1
    assert operator.call("POST", "/bans/remove", {"network": "127.0.0.12"})[0] == 404


def test_who_must_wait_is_told_how_long(gw):
    who = Api(gw.admin, gw.root_ca, source="127.0.0.9")
    for _ in range(12):
        answer = who.request("POST", "/api/v1/session", {"name": "operator", "password": "not the right one"})
        if answer.status == 429:
            break
    assert answer.status == 429 and 1 <= int(answer.headers["Retry-After"]) <= 300
    assert f"in {answer.headers['Retry-After']} second" in answer.json()["detail"]


@pytest.mark.parametrize("operations, why", [
    (None, "all operations"),
    (["device."], "device."),
    (["token.", "device.list"], "device.list"),
])
def test_a_token_makes_none_that_is_for_more(gw, person, operations, why):
    narrow = token(gw, person("maker"), "narrow", "admin", operations=["token."])
    wish = {"name": "wide", "level": "viewer"} | ({"operations": operations} if operations else {})
    status, body = narrow.call("POST", "/tokens", wish)
    assert status == 403 and body["field"] == "operations" and why in body["detail"]
    status, body = narrow.call("POST", "/tokens", {"name": "wide", "level": "viewer", "operations": ["token.list"]})
    assert status == 201, body


def test_a_token_does_nothing_by_way_of_a_document_that_it_is_not_for(gw, person):
    maker = person("maker")
    only = token(gw, maker, "only-state", "admin", operations=["state."])
    both = token(gw, maker, "state-and-device", "admin", operations=["state.", "device."])
    state = {"version": 1, "devices": [{"name": "by-document"}]}
    status, body = only.call("PUT", "/state", {"state": state})
    assert status == 403 and "device.add" in body["detail"] and "not for it" in body["detail"]
    assert maker.call("GET", "/devices/by-document")[0] == 404
    status, body = both.call("PUT", "/state", {"state": state})
    assert status == 200, body
    assert maker.call("GET", "/devices/by-document")[0] == 200

    change = maker.call("GET", "/revisions")[1]["items"][0]["id"]
    revert = token(gw, maker, "only-revision", "admin", operations=["revision."])
    status, body = revert.call("POST", f"/revisions/{change}/revert")
    assert status == 403 and "device.remove" in body["detail"], body
    assert both.call("DELETE", "/devices/by-document")[0] in (200, 204)
