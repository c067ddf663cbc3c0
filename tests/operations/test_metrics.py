# SPDX-License-Identifier: Apache-2.0
"""GET /metrics on the control socket: it parses, it counts, every name is in the manual."""

import http.client
import re
import socket

import pytest

from conftest import name
from gateway import Gateway, build, wait_until
from mqtt import V5, Client, connect

SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z_]+)="((?:[^"\\\n]|\\.)*)"\})? (-?\d+)')


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(gateway, method="GET", path="/metrics"):
    local = Local(gateway.socket)
    local.request(method, path)
    answer = local.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read().decode()


def parse(text):
    """{name: {label value or "": figure}}, with the rules of the format checked."""
    found, help_of, type_of = {}, {}, {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, metric, said = line.split(" ", 3)
            assert metric not in help_of and said.endswith(".")
            help_of[metric] = said
        elif line.startswith("# TYPE "):
            _, _, metric, kind = line.split(" ")
            assert kind in ("gauge", "counter") and metric not in type_of and metric not in found
            assert (kind == "counter") == metric.endswith("_total")
            type_of[metric] = kind
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            metric, label, value, figure = sample.groups()
            assert metric in help_of and list(type_of)[-1] == metric, "samples of one metric stand together"
            series = found.setdefault(metric, {})
            assert (value or "") not in series
            series[value or ""] = int(figure)
    return found


def figures(gateway):
    status, kind, text = ask(gateway)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parse(text)


@pytest.fixture(scope="module")
def open_gateway():
    with Gateway(listeners=["open tls=off auth=anonymous"],
                 set=["broker.max-sessions=60000"]) as gw:
        gw.cli("acl", "allow", "any", "all", "#")
        yield gw


def test_the_figures_of_the_gateway(open_gateway):
    m = figures(open_gateway)
    assert m["gatehouse_process_up"] == {p: 1 for p in ("broker", "admin", "enrol", "ctl", "store", "vault")}
    assert set(m["gatehouse_devices"]) == {"total", "enabled", "connected"}
    assert set(m["gatehouse_certificates"]) == {"good", "revoked", "expired", "expiring"}
    assert m["gatehouse_clock_ok"] == {"": 1}
    assert list(m["gatehouse_info"].values()) == [1]
    assert m["gatehouse_rules"] == {"": 1}
    assert m["gatehouse_disk_bytes"]["free"] <= m["gatehouse_disk_bytes"]["total"]
    assert m["gatehouse_spool_ok"] == {"": 1}
    assert set(m["gatehouse_spool_kept"]) == {"sessions", "messages", "queued", "retained"}
    size = m["gatehouse_spool_bytes"]
    assert 0 < size["used"] <= size["file"] < size["max"]


def test_traffic_is_counted(open_gateway):
    with Client.tcp(open_gateway.listeners["open"], V5) as c:
        c.connect(name())
        c.subscribe("metrics")
        for _ in range(7):
            c.publish("metrics", "x")
            c.message()

        def counted():
            m = figures(open_gateway)
            return m.get("gatehouse_messages_received_total", {}).get("", 0) >= 7 and m

        m = wait_until(counted, what="the messages")
        assert m["gatehouse_messages_sent_total"][""] >= 7
        assert m["gatehouse_connects_total"][""] >= 1
        assert m["gatehouse_subscriptions"][""] == 1
        assert m["gatehouse_limit"]["max-sessions"] == 60000
        assert m["gatehouse_limit"]["publish-rate-per-device"] == 20000
        assert "limit." not in open_gateway.cli("status").stdout  # people ask `gatehouse config list`
        assert m["gatehouse_received_bytes_total"][""] > 0
        wait_until(lambda: figures(open_gateway)["gatehouse_listener_connections"]["open"] == 1, what="the listener")
        assert figures(open_gateway)["gatehouse_listener_connections"]["mqtts"] == 0


def test_refusals_are_counted(open_gateway):
    bundle = open_gateway.bundle("m-1")
    open_gateway.cli("cert", "revoke", "--device", "m-1")
    with pytest.raises((OSError, AssertionError)):
        with Client.tls(open_gateway.mqtts, V5, bundle=bundle) as c:
            c.send(connect(name(), V5))
            c.receive()
    wait_until(lambda: figures(open_gateway)["gatehouse_handshakes_total"].get("revoked", 0) == 1, what="the handshake")
    assert figures(open_gateway)["gatehouse_handshakes_failed_total"][""] >= 1


def test_every_counter_of_the_status_is_there(open_gateway):
    m = figures(open_gateway)
    counters = open_gateway.json("status")["counters"]
    assert counters
    samples = sum(len(series) for series in m.values())
    assert samples >= len(counters) + 20
    assert m.get("gatehouse_other", {}) == {}, "name them in daemon/base/metrics.def"


def test_every_name_is_in_the_manual(open_gateway):
    manual = (build() / "packaging" / "man" / "gatehouse.1").read_text()
    for metric in figures(open_gateway):
        assert f"\\fB{metric}\\fR" in manual


def test_only_reading(open_gateway):
    assert ask(open_gateway, "POST")[0] == 405
    assert ask(open_gateway, path="/metrics/x")[0] == 404
