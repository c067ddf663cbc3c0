# SPDX-License-Identifier: Apache-2.0
"""A backup over the interface: encrypted for root, for the highest level alone."""

import os
import pathlib
from concurrent import futures

from api import Api
from conftest import PASSWORD


def test_only_an_administrator_of_the_highest_level_takes_one(gw):
    gw.cli("backup", "set", input="a long enough passphrase\n")
    for level, show, make in (("viewer", 403, 403), ("operator", 200, 403), ("admin", 200, 200)):
        who = Api(gw.admin, gw.root_ca)
        who.login(level, PASSWORD)
        assert who.request("GET", "/api/v1/backup").status == show
        answer = who.request("POST", "/api/v1/backup")
        assert answer.status == make
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="gatehouse-2')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body.startswith(b"gatehouse backup 2\n")


def test_many_at_once_leave_nothing_behind(gw):
    gw.cli("backup", "set", input="a long enough passphrase\n")
    people = [Api(gw.admin, gw.root_ca) for _ in range(6)]
    for who in people:
        who.login("admin", PASSWORD)
    with futures.ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(lambda who: who.request("POST", "/api/v1/backup"), people))
    for answer in answers:
        assert answer.status == 200 or "being made already" in answer.json()["detail"]
    assert people[0].request("POST", "/api/v1/backup").status == 200
    assert not list((gw.dir / "state/store").glob("registry.backup*"))
    # A copy that is removed and still open would keep its room on the disk.
    held = [os.readlink(f) for f in pathlib.Path(f"/proc/{gw.processes()['store']}/fd").iterdir()]
    assert not [name for name in held if "registry.backup" in name]
