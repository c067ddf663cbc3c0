# SPDX-License-Identifier: Apache-2.0
"""Idempotency-Key: a request that is sent again is answered as before and done once."""

import concurrent.futures
import os
import signal

import pytest

from api import Api
from conftest import PASSWORD
from gateway import freeze, wait_until


@pytest.fixture(scope="module")
def who(gw):
    caller = Api(gw.admin, gw.root_ca)
    caller.login("operator", PASSWORD)
    return caller


def post(who, key, body, path="/codes"):
    return who.request("POST", "/api/v1" + path, body, headers={"Idempotency-Key": key})


def codes(who):
    return len(who.request("GET", "/api/v1/codes").json()["items"])


def test_the_same_request_is_answered_the_same_and_done_once(who):
    before = codes(who)
    first = post(who, "k-1", {"name": "again-1"})
    assert first.status == 201 and "Idempotency-Replayed" not in first.headers
    second = post(who, "k-1", {"name": "again-1"})
    assert second.status == 201 and second.body == first.body and second.headers["Idempotency-Replayed"] == "true"
    assert codes(who) == before + 1
    assert post(who, "k-2", {"name": "again-1"}).json()["code"] != first.json()["code"]


def test_another_request_with_the_key_is_refused(who):
    assert post(who, "k-3", {"name": "again-3"}).status == 201
    for body, path in (({"name": "again-4"}, "/codes"), ({"name": "again-3"}, "/devices")):
        answer = post(who, "k-3", body, path)
        assert answer.status == 422 and answer.json()["field"] == "Idempotency-Key"
    assert who.request("GET", "/api/v1/devices/again-3").status == 404


def test_a_key_is_the_callers_own(who, gw, login):
    mine = post(who, "k-5", {"name": "again-5"}).json()
    other = post(login("operator"), "k-5", {"name": "again-5"})
    assert other.status == 201 and other.json()["code"] != mine["code"]


def test_what_was_refused_may_be_tried_again(who):
    assert post(who, "k-6", {"name": "again-6", "roles": ["later"]}, "/devices").status == 400
    assert who.request("POST", "/api/v1/roles", {"name": "later"}).status == 201
    assert post(who, "k-6", {"name": "again-6", "roles": ["later"]}, "/devices").status == 201


def test_who_has_no_login_any_more_gets_nothing(gw, login):
    caller = login("operator")
    assert post(caller, "k-7", {"name": "again-7"}).status == 201
    assert caller.request("DELETE", "/api/v1/sessions/0").status == 200
    answer = post(caller, "k-7", {"name": "again-7"})
    assert answer.status == 401 and b"code" not in answer.body


def test_many_at_once_do_it_once(who):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(who, "k-8", {"name": "again-8"}, "/devices"), range(16)))
    done = {a.body for a in answers if a.status == 201}
    assert len(done) == 1 and {a.status for a in answers} <= {201, 409}
    assert all(a.json().get("field") == "Idempotency-Key" for a in answers if a.status == 409)


def test_what_got_no_answer_is_not_done_again(who, gw):
    store = gw.processes()["store"]
    freeze(store)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [pool.submit(post, who, "k-10", {"name": "again-10"}, "/devices") for _ in range(2)]
        early = next(concurrent.futures.as_completed(both)).result()
        assert early.status == 409 and "not answered yet" in early.json()["detail"]
        os.kill(store, signal.SIGKILL)
        assert sorted(b.result().status for b in both) == [409, 503]
    answer = post(who, "k-10", {"name": "again-10"}, "/devices")
    assert answer.status == 409 and "may have been done" in answer.json()["detail"]
    wait_until(lambda: post(who, "k-11", {"name": "again-10"}, "/devices").status in (201, 409), what="the store")


@pytest.mark.parametrize("key", ["x" * 129, "tab\tin it"])
def test_a_key_has_a_form(who, key):
    answer = post(who, key, {"name": "again-9"})
    assert answer.status == 400 and "1 to 128" in answer.json()["detail"]


def test_it_is_described(who):
    text = who.request("GET", "/api/v1/openapi.json").json()
    ref = {"$ref": "#/components/parameters/IdempotencyKey"}
    for path, item in text["paths"].items():
        for method, said in item.items():
            changes = method == "post" and said.get("x-effect") == "changes" and said["x-level"] != "nobody"
            assert (ref in said.get("parameters", ())) == changes, (method, path)
