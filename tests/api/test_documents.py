# SPDX-License-Identifier: Apache-2.0
"""Bodies larger than those of other requests: only whoever may ask for a document has one read."""

import pytest

from api import Api

LARGE = "{" + " " * (1 << 20)


@pytest.mark.parametrize("method, path", [("POST", "/state/diff"), ("PUT", "/state")])
def test_a_large_body_is_not_read_for_everybody(gw, stranger, login, method, path):
    """It is no JSON: whoever reads it says so."""
    assert stranger.call(method, path, LARGE)[0] == 401
    stranger.token = "gh_" + "0" * 64
    assert stranger.call(method, path, LARGE)[0] == 401
    assert login("viewer").call(method, path, LARGE)[0] == 403
    status, answer = login("admin").call(method, path, LARGE)
    assert status == 400 and "not JSON" in answer["detail"]


def test_a_token_has_its_document_read(gw, login):
    status, made = login("admin").call("POST", "/tokens", {"name": "documents", "level": "operator",
                                                           "operations": ["state."]})
    assert status == 201
    robot = Api(gw.admin, gw.root_ca)
    robot.token = made["token"]
    body = '{"state":{"version":1,"devices":[]}}' + " " * (1 << 20)
    assert robot.call("POST", "/state/diff", body)[0] == 200
    assert robot.call("PUT", "/state", body)[0] == 403


def test_a_document_that_grows_when_it_is_read_is_refused(login):
    body = '{"state":{"version":1,"devices":[' + "0," * 7_000_000 + "0]}}"
    status, answer = login("operator").call("POST", "/state/diff", body)
    assert status == 400 and answer["field"] == "state" and "at most 16777216" in answer["detail"]
    assert login("operator").call("GET", "/status")[0] == 200
