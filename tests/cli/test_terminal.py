# SPDX-License-Identifier: Apache-2.0
"""What devices choose must not reach the terminal as control characters."""

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
