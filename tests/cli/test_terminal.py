# SPDX-License-Identifier: Apache-2.0
"""What devices choose must not reach the terminal as control characters."""

import unicodedata

from gateway import wait_until
from mqtt import Client

EVIL = "a\n\x1b[2Jb\u009b31m"


def test_a_client_identifier_with_controls(make_gateway):
    gw = make_gateway(listeners=["open tls=off auth=anonymous"])
    with Client.tcp(gw.listeners["open"]) as client:
        client.connect(EVIL)
        shown = wait_until(lambda: gw.cli("client", "show", EVIL, check=False).stdout)
        for text in (shown, gw.cli("client", "list").stdout, gw.cli("event", "list").stdout,
                     gw.cli("client", "show", EVIL + "x", check=False).stderr):
            assert "\x1b" not in text and "\u009b" not in text, repr(text)


def columns(text):
    """Columns that a text takes on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_columns_stay_below_each_other_whatever_the_letters(make_gateway):
    gw = make_gateway()
    for name, kind in (("a", "\u30dd\u30f3\u30d7"), ("b", "Stra\u00dfe"), ("c", "e\u0301te\u0301"), ("d", "plain")):
        gw.cli("device", "add", name, "--kind", kind, "--group", "here")
    lines = gw.cli("device", "list").stdout.splitlines()
    starts = {columns(line[:line.index("here")]) for line in lines[1:]}
    assert starts == {lines[0].index("GROUPS")}


def test_what_goes_into_a_pipe_has_no_colours(gateway):
    for words in (("status",), ("device", "list"), ("--help",), ("security", "check")):
        assert "\x1b" not in gateway.cli(*words).stdout
