# SPDX-License-Identifier: Apache-2.0
"""Logging in over HTTPS: the cookie, the word of the page, the first administrator, tokens, levels."""

import contextlib
import pathlib
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import Api
from conftest import PASSWORD

MADE = {"name": "pump-1"}


def test_the_cookie_is_for_this_host_and_no_script(gw, stranger):
    answer = stranger.request("POST", "/api/v1/session", {"name": "admin", "password": PASSWORD})
    assert answer.status == 201
    cookie = answer.headers["Set-Cookie"]
    assert re.match(r"__Host-gatehouse=[0-9a-f]{64};", cookie)
    assert {x.strip() for x in cookie.split(";")[1:]} == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    body = answer.json()
    assert "secret" not in body and cookie.split("=")[1].split(";")[0] not in answer.body.decode()
    assert body["name"] == "admin" and body["level"] == "admin" and answer.headers["Cache-Control"] == "no-store"


def test_nothing_is_told_without_a_login(stranger):
    for path in ("/api/v1/status", "/api/v1/devices", "/metrics"):
        answer = stranger.request("GET", path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert "log in first" in answer.json()["detail"]


def test_a_wrong_password_is_refused_and_seen(gw, stranger):
    status, body = stranger.call("POST", "/session", {"name": "viewer", "password": "not the right one"})
    assert status == 401 and body["field"] == "password"
    seen = gw.json("event", "list", "--name", "admin.login-refused")[-1]
    assert seen["actor"] == "viewer" and seen["address"] == "127.0.0.1" and seen["reason"] == "wrong password"


def test_a_change_needs_the_word_of_our_page(login):
    who = login("admin")
    word, who.page = who.page, ""
    assert who.call("GET", "/devices")[0] == 200
    status, body = who.call("POST", "/devices", MADE)
    assert status == 403 and "X-Gatehouse-Page" in body["detail"]
    who.page = word[::-1]
    assert who.call("POST", "/devices", MADE)[0] == 403
    who.page = word
    assert who.call("POST", "/devices", MADE)[0] == 201
    assert who.call("DELETE", "/devices/pump-1")[0] == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1"])
def test_a_page_of_another_origin_changes_nothing(gw, login, origin):
    who = login("admin")
    status, body = who.call("POST", "/devices", MADE, headers={"Origin": origin})
    assert status == 403 and "another origin" in body["detail"]
    assert who.call("GET", "/devices/pump-1")[0] == 404
    ours = f"https://127.0.0.1:{gw.admin}"
    assert who.call("POST", "/devices", MADE, headers={"Origin": ours})[0] == 201
    assert who.call("DELETE", "/devices/pump-1", headers={"Origin": ours})[0] == 200


def test_levels_hold_over_https(login):
    for name, read, change, admin in (("viewer", 200, 403, 403), ("operator", 200, 201, 403), ("admin", 200, 201, 200)):
        who = login(name)
        assert who.call("GET", "/devices")[0] == read
        assert who.call("POST", "/devices", {"name": f"made-by-{name}"})[0] == change
        assert who.call("GET", "/administrators")[0] == admin


def test_what_a_page_asks_by_itself_keeps_no_session_open(make_gateway):
    """The store writes down a use of the session once a minute: it is made to look older."""
    gw = make_gateway()
    gw.cli("setup", "--admin", "ann", input=PASSWORD + "\n")
    who = Api(gw.admin, gw.root_ca)
    who.login("ann", PASSWORD)
    gw.stop()
    with contextlib.closing(sqlite3.connect(pathlib.Path(gw.state) / "store" / "registry.db")) as db:
        db.execute("UPDATE session SET seen = seen - 600")
        db.commit()
    gw.start()
    seen = lambda: gw.json("session", "list")[0]["seen"]
    old = seen()
    assert who.call("GET", "/log?last=1", headers={"X-Gatehouse-Passive": "1"})[0] == 200 and seen() == old
    assert who.call("PATCH", "/administrators/ann", {"level": "admin"}, headers={"X-Gatehouse-Passive": "1"})[0] == 200
    assert seen() > old


def test_logging_out_ends_the_session_and_the_cookie(login):
    who = login("viewer")
    answer = who.request("DELETE", "/api/v1/sessions/0")
    assert answer.status == 200 and "Max-Age=0" in answer.headers["Set-Cookie"]
    assert who.call("GET", "/status")[0] == 401
    assert who.call("GET", "/session")[1]["level"] == "nobody"


def test_a_token_opens_the_figures(gw, stranger):
    stranger.token = gw.json("token", "add", "prometheus", "viewer", "--operation", "status")["token"]
    assert b"gatehouse_" in stranger.request("GET", "/metrics").body
    status, body = stranger.call("GET", "/devices")
    assert status == 403 and "not for device.list" in body["detail"]
    stranger.token = stranger.token[:-1] + "x"
    assert stranger.request("GET", "/metrics").status == 401


def test_a_bearer_without_a_token_is_nobody(stranger):
    for value in ("Bearer", "Bearer ", "Basic YTpi", "Bearer " + "x" * 5000):
        assert stranger.request("GET", "/api/v1/status", headers={"Authorization": value}).status == 401


def test_many_tries_at_once_are_told_no_more_than_some(make_gateway):
    """Waiting begins with what has failed, also for those that were under way already."""
    gw = make_gateway()
    gw.cli("admin", "add", "ann", "admin", input=PASSWORD + "\n")
    who = Api(gw.admin, gw.root_ca)
    wrong = {"name": "ann", "password": "not the right one"}
    with ThreadPoolExecutor(20) as many:
        seen = list(many.map(lambda _: who.call("POST", "/session", wrong)[0], range(20)))
    # Four are free, and on a slow machine one more after 2, 4, 8 ... seconds.
    assert set(seen) == {401, 429} and seen.count(401) <= 8, seen


def test_the_first_administrator_comes_with_the_setup_code(make_gateway):
    gw = make_gateway()
    who = Api(gw.admin, gw.root_ca)
    assert who.call("GET", "/setup") == (200, {"gateway": "localhost", "administrators": False, "code": False})
    code = gw.json("setup-code")["code"]
    assert who.call("GET", "/setup")[1]["code"] is True
    wrong = {"code": "AAAAA-AAAAA-AAAAA-AAAAA", "name": "ann", "password": PASSWORD}
    assert who.call("POST", "/setup", wrong)[0] == 401
    short = who.call("POST", "/setup", {"code": code, "name": "ann", "password": "short"})
    assert short[0] == 400 and short[1]["field"] == "password"
    answer = who.take(who.request("POST", "/api/v1/setup", {"code": code, "name": "ann", "password": PASSWORD}))
    assert answer.status == 201
    assert who.call("GET", "/session")[1]["level"] == "admin"
    assert who.call("GET", "/setup")[1] == {"gateway": "localhost", "administrators": True, "code": False}
    assert who.call("POST", "/setup", {"code": code, "name": "eve", "password": PASSWORD})[0] == 409
    refused = gw.cli("setup-code", check=False)
    assert refused.returncode == 6 and "gatehouse admin" in refused.stderr
    assert PASSWORD not in gw.log_text() and code not in gw.log_text()


def test_a_setup_code_makes_one_administrator(make_gateway):
    """Also when several ask for it at once."""
    gw = make_gateway()
    who = Api(gw.admin, gw.root_ca)
    code = gw.json("setup-code")["code"]
    tries = [{"code": code, "name": f"ann-{n}", "password": PASSWORD} for n in range(6)]
    with ThreadPoolExecutor(len(tries)) as many:
        seen = list(many.map(lambda body: who.call("POST", "/setup", body)[0], tries))
    assert seen.count(201) == 1 and set(seen) <= {201, 401, 409, 429}, seen
    assert len(gw.json("admin", "list")) == 1


def test_enrolment_has_neither_interface_nor_api(gw):
    who = Api(gw.enrol, gw.root_ca)
    assert who.request("GET", "/").status == 404
    assert who.request("GET", "/api/v1/status").status == 404
