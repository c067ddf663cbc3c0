# SPDX-License-Identifier: Apache-2.0
"""The audit log is bounded by rows: a viewer cannot push out what others did."""

import time

import pytest


@pytest.fixture
def rows(login):
    """rows(OPERATION): how many there are of the viewer."""
    admin = login("admin")
    return lambda name: len(admin.call("GET", f"/audit?operation={name}&actor=viewer&limit=1000")[1]["items"])


def test_what_a_viewer_may_not_do_leaves_few_rows(login, rows):
    viewer = login("viewer")
    began = time.monotonic()
    for _ in range(160):
        assert viewer.call("POST", "/devices", {"name": "never"})[0] == 403
    assert 100 <= rows("device.add") <= 102 + time.monotonic() - began


def test_watches_are_not_begun_without_end(login, rows):
    viewer = login("viewer")
    began = time.monotonic()
    for _ in range(130):
        status, answer = viewer.call("POST", "/watches", {"filter": "a/#"})
        assert status in (201, 429), answer
        if status == 201:
            viewer.request("DELETE", f"/api/v1/watches/{answer['id']}")
    assert 100 <= rows("watch.stop") <= 102 + (time.monotonic() - began) / 5
