# SPDX-License-Identifier: Apache-2.0
"""The security check: each finding comes with its cause and goes with it; muting; the score."""

import socket
import sqlite3
import time

import pytest

import mqtt
from api import Api
from gateway import Gateway, wait_until
from mqtt import V5, Client

PASSWORD = "a long enough password"
DAY = 24 * 3600


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def gateway():
    with Gateway(listeners=[f"wide tls=off auth=password bind=0.0.0.0:{free_port()}", "tcp tls=off auth=password"],
                 set=["enrol.approval=anyone", "events.keep=7d"]) as gw:
        yield gw


def findings(gw):
    return {f["id"]: f for f in gw.json("security", "check")["findings"]}


def test_settings(gateway):
    found = findings(gateway)
    assert found["listener.plaintext"]["objects"] == ["wide"]  # tcp is for this machine alone
    assert found["listener.plaintext"]["severity"] == "high" and "listener.anonymous" not in found
    assert {"enrol.anyone", "logging.short"} <= set(found)
    for finding in found.values():
        assert finding["what"].endswith(".") and finding["fix"] and finding["count"] >= 1, finding


def test_an_anonymous_listener(make_gateway):
    """The configuration lets it be reachable for named networks only."""
    gw = make_gateway(listeners=[f"wide tls=off auth=anonymous bind=0.0.0.0:{free_port()} allow-from=10.0.0.0/8",
                                 "near tls=off auth=anonymous"])
    found = findings(gw)
    assert found["listener.anonymous"]["objects"] == ["wide"] and "listener.plaintext" not in found


@pytest.mark.parametrize("key, value, finding", [
    ("broker.on-expiry", "keep", "certificates.for-ever"),
    ("enrol.server-keygen", "on", "enrol.server-keygen"),
    ("log.access", "off", "logging.off"),
])
def test_a_setting_comes_and_goes(gateway, key, value, finding):
    assert finding not in findings(gateway)
    gateway.cli("config", "set", key, value)
    assert finding in findings(gateway)
    gateway.cli("config", "set", key, "")
    assert finding not in findings(gateway)


def test_people_and_tokens(gateway):
    assert "administrators.none" in findings(gateway)
    gateway.cli("admin", "add", "ann", "admin", input=PASSWORD + "\n")
    gateway.cli("admin", "add", "vera", "viewer", input=PASSWORD + "\n")
    gateway.cli("token", "add", "wide", "admin", "--ttl", "30d")
    gateway.cli("token", "add", "long", "viewer", "--ttl", "400d")
    found = findings(gateway)
    assert "administrators.none" not in found
    assert found["administrators.totp"]["objects"] == ["ann"]
    assert found["tokens.wide"]["objects"] == ["wide"] and found["tokens.long"]["objects"] == ["long"]
    vera = Api(gateway.admin, gateway.root_ca)
    vera.login("vera", PASSWORD)
    seen = {f["id"]: f for f in vera.call("GET", "/security")[1]["findings"]}
    for one in ("administrators.totp", "tokens.wide", "tokens.long"):
        assert seen[one]["objects"] == [] and seen[one]["count"] == 1 and seen[one]["what"] == found[one]["what"]
    for name in ("wide", "long"):
        gateway.cli("token", "remove", name)
    assert not {"tokens.wide", "tokens.long"} & set(findings(gateway))


@pytest.mark.parametrize("rule, finding", [
    (("any", "publish", "#"), "acl.publish-all"),
    (("role:r", "publish", "+/#"), "acl.publish-all"),
    (("any", "receive", "#"), "acl.receive-all"),
    (("group:g", "publish", "$CONTROL/#"), "acl.publish-dollar"),
])
def test_wide_rules(gateway, rule, finding):
    gateway.cli("role", "add", "r", check=False)
    assert finding not in findings(gateway)
    made = gateway.json("acl", "allow", *rule)["id"]
    (shown,) = findings(gateway)[finding]["objects"]
    assert shown.startswith(f"rule {made}: ")
    gateway.cli("acl", "remove", str(made))
    assert finding not in findings(gateway)


@pytest.mark.parametrize("words", [("deny", "any", "publish", "#"), ("allow", "any", "publish", "a/#"),
                                   ("allow", "any", "publish", "#", "--network", "10.0.0.0/8"),
                                   ("allow", "any", "publish", "${device}/#")])
def test_narrow_rules(gateway, words):
    made = gateway.json("acl", *words)["id"]
    assert not [f for f in findings(gateway) if f.startswith("acl.")]
    gateway.cli("acl", "remove", str(made))


def test_codes(gateway):
    gateway.cli("code", "add", "one-device")
    assert "codes.wide" not in findings(gateway)
    gateway.cli("code", "add", "--pattern", "many-*", "--uses", "1000")
    gateway.cli("code", "add", "for-long", "--ttl", "200d")
    assert sorted(findings(gateway)["codes.wide"]["objects"]) == ["for-long", "many-*"]


def test_backup_and_root(gateway, tmp_path):
    gateway.cli("device", "add", "anything")
    found = findings(gateway)
    assert "backup.old" in found and "ca.root-here" in found
    gateway.cli("ca", "backup", tmp_path / "backup", input=PASSWORD + "\n" + PASSWORD + "\n")
    assert "backup.old" not in findings(gateway)


def test_one_password_from_two_addresses(gateway):
    gateway.cli("device", "add", "copied", "--password", input=PASSWORD + "\n")
    port = gateway.listeners["tcp"]
    clients = [Client.tcp(port, V5, source=source) for source in ("127.0.0.1", "127.0.0.2")]
    for i, c in enumerate(clients):
        c.connect(f"copied-{i}", username="copied", password=PASSWORD)
    wait_until(lambda: findings(gateway).get("credentials.shared"), what="both connections")
    assert findings(gateway)["credentials.shared"]["objects"] == ["copied"]
    clients.pop().close()
    wait_until(lambda: "credentials.shared" not in findings(gateway), what="the end of one of them")
    clients.pop().close()


def test_lost_events(make_gateway):
    gw = make_gateway(listeners=["tcp tls=off auth=password"], set=["events.rate-per-source=1"])
    assert "logging.lost" not in findings(gw)
    for _ in range(12):
        c = Client.tcp(gw.listeners["tcp"], V5)
        c.send(mqtt.connect("guess", version=V5, username="nobody", password="wrong"))
        c.expect_closed()
    wait_until(lambda: "logging.lost" in findings(gw), what="the count of what was left out")


def test_muting(gateway):
    before = gateway.json("security", "check")
    gateway.cli("security", "mute", "ca.root-here", "a box for trying things")
    after = gateway.json("security", "check")
    assert after["score"] >= before["score"] and after["open"]["medium"] == before["open"]["medium"] - 1
    muted = after["findings"][-1]
    assert muted["id"] == "ca.root-here" and muted["muted"]["reason"] == "a box for trying things"
    (row,) = gateway.json("audit", "list", "--operation", "security.mute")
    assert (row["target"], row["outcome"]) == ("ca.root-here", "ok")
    text = gateway.cli("security", "check").stdout
    assert "muted" in text and "a box for trying things" in text
    gateway.cli("security", "unmute", "ca.root-here")
    assert gateway.json("security", "check")["score"] == before["score"]
    for words, code, says in ((("mute", "nothing", "x"), 5, "no finding"), (("mute", "backup.old", " "), 2, "reason"),
                              (("check", "--fail-on", "bad"), 2, "low, medium, high and critical")):
        done = gateway.cli("security", *words, check=False)
        assert done.returncode == code and says in done.stderr


def test_the_score_and_the_status(gateway):
    said = gateway.json("security", "check")
    cost = {"critical": 40, "high": 20, "medium": 8, "low": 3}
    assert said["score"] == max(0, 100 - sum(cost[s] * n for s, n in said["open"].items()))
    order = [("critical", "high", "medium", "low").index(f["severity"]) for f in said["findings"] if not f["muted"]]
    assert order == sorted(order)
    assert gateway.cli("security", "check").returncode == 0
    assert gateway.cli("security", "check", "--fail-on", "high", check=False).returncode == 3
    assert gateway.cli("security", "check", "--fail-on", "critical").returncode == 0


def test_what_time_brings(make_gateway):
    """What ends, what is old: told by the times in the registry."""
    gw = make_gateway()
    for name in ("old-key", "ended", "ends", "held", "fine"):
        gw.bundle(name)
    gw.cli("device", "add", "bare")
    gw.cli("cert", "hold", gw.json("cert", "list", "--device", "held")[0]["fingerprint"])
    wait_until(lambda: gw.cli("ca", "crl", check=False).returncode == 0, what="the first list")
    gw.stop()
    now = int(time.time())
    with sqlite3.connect(gw.dir / "state" / "store" / "registry.db") as db:
        of = "WHERE device_id = (SELECT id FROM device WHERE name = ?)"
        db.execute(f"UPDATE cert SET not_after = ? {of}", (now - 60, "ended"))
        db.execute(f"UPDATE cert SET not_after = ? {of}", (now + 3 * DAY, "ends"))
        db.execute(f"UPDATE cert SET issued_at = ? WHERE id <= (SELECT max(id) FROM cert {of})",
                   (now - 800 * DAY, "old-key"))
        db.execute(f"UPDATE cert SET revoked_at = ? {of}", (now - 8 * DAY, "held"))
        db.execute("UPDATE device SET created = ? WHERE name IN ('bare', 'fine')", (now - 30 * DAY,))
        db.execute("UPDATE audit SET at = ? WHERE operation = 'ca.copy'", (now - 40 * DAY,))
    db.close()
    gw.start()
    found = findings(gw)
    assert {i: found.get(i, {}).get("objects") for i in ("certificates.expired", "certificates.expiring", "keys.old",
                                                         "devices.held", "devices.unused")} == {
        "certificates.expired": ["ended"], "certificates.expiring": ["ends"], "keys.old": ["old-key"],
        "devices.held": ["held"], "devices.unused": ["bare"]}
