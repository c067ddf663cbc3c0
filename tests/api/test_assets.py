# SPDX-License-Identifier: Apache-2.0
"""The files of the interface: what is served, compressed, cached and allowed."""

import gzip
import re

from gateway import TESTS, build


def test_every_page_is_the_same_file(stranger):
    first = stranger.request("GET", "/")
    assert first.status == 200 and first.headers["Content-Type"].startswith("text/html")
    assert stranger.request("GET", "/devices/pump-1").body == first.body
    assert stranger.request("GET", "/no-such.js").status == 404
    assert stranger.request("POST", "/", b"x").status == 405


def test_the_policy_allows_the_gateway_alone(stranger):
    policy = stranger.request("GET", "/").headers["Content-Security-Policy"]
    rules = dict(r.strip().split(" ", 1) for r in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["script-src"] == "'self'" and rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy


def test_files_are_named_by_content_and_kept(stranger):
    page = stranger.request("GET", "/").body.decode()
    names = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
    assert any(n.endswith(".js") for n in names)
    for name in names:
        assert "immutable" in stranger.request("GET", name).headers["Cache-Control"]
    assert stranger.request("GET", "/").headers["Cache-Control"] == "no-cache"


def test_the_browser_gets_what_it_takes(stranger):
    plain = stranger.request("GET", "/")
    assert "Content-Encoding" not in plain.headers
    packed = stranger.request("GET", "/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    best = stranger.request("GET", "/", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert best.headers["Content-Encoding"] == "br" and len(best.body) < len(packed.body)
    assert "Content-Encoding" not in stranger.request("GET", "/", headers={"Accept-Encoding": "br;q=0"}).headers


def test_what_the_browser_has_is_not_sent_again(stranger):
    first = stranger.request("GET", "/")
    again = stranger.request("GET", "/", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == first.headers["ETag"]


def test_nothing_but_ours_is_loaded(stranger):
    page = stranger.request("GET", "/").body.decode()
    assert "http://" not in page and "https://" not in page


def test_the_manual_pages_are_those_of_this_version(stranger):
    for name in ("gatehouse.1", "gatehouse.conf.5", "gatehoused.8"):
        answer = stranger.request("GET", f"/manual/{name}")
        page = [p for p in (build() / "packaging/man" / name, TESTS.parent / "packaging/man" / name) if p.exists()][0]
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
        assert answer.body == page.read_bytes()
    assert stranger.request("GET", "/manual/passwd.5").status == 404
