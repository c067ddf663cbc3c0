# SPDX-License-Identifier: Apache-2.0
"""Certificates on hold, and what becomes of a will when a certificate is revoked."""

import json
import ssl
import subprocess

import pytest

import mqtt
from gateway import CliError
from mqtt import V5, Client


def fingerprint(gw, device):
    return gw.json("device", "show", device)["certificates"][0]["fingerprint"]


def opened(gw, bundle, **options):
    c = Client.tls(gw.mqtts, V5, bundle=bundle)
    c.connect("", **options)
    return c


def closed_with(client, reason):
    packets = client.expect_closed()
    assert [p.kind for p in packets] == [mqtt.DISCONNECT] and packets[0].reason == reason
    client.close()


def is_refused(gw, bundle):
    try:
        opened(gw, bundle).close()
    except (ssl.SSLError, ConnectionError, mqtt.Wrong):
        return True
    return False


def test_hold_and_release(gateway):
    bundle = gateway.bundle("pump-1")
    fp = fingerprint(gateway, "pump-1")
    live = opened(gateway, bundle)
    said = gateway.cli("cert", "hold", fp).stdout
    assert f"pump-1: {fp[:16]} is on hold" in said and "1 session closed" in said
    closed_with(live, 0x98)
    assert is_refused(gateway, bundle)
    shown = gateway.json("cert", "show", fp)
    assert (shown["status"], shown["reason"]) == ("hold", "hold") and shown["revoked_at"]
    assert f"pump-1: {fp[:16]} is good again" in gateway.cli("cert", "release", fp).stdout
    shown = gateway.json("cert", "show", fp)
    assert (shown["status"], shown["reason"], shown["revoked_at"]) == ("good", None, None)
    opened(gateway, bundle).close()
    names = [e["event"] for e in gateway.json("event", "list", "--device", "pump-1", "--name", "certificate")]
    assert names[-2:] == ["certificate.held", "certificate.released"]
    kicked = gateway.json("event", "list", "--name", "client.kicked")
    assert kicked[-1]["reason"] == "the certificate is on hold"


def test_what_cannot_be_held_or_released(gateway):
    gateway.bundle("pump-2")
    fp = fingerprint(gateway, "pump-2")
    with pytest.raises(CliError) as e:
        gateway.cli("cert", "release", fp)
    assert e.value.code == 6 and "it is good; release needs one that is on hold" in e.value.stderr
    gateway.cli("cert", "hold", fp)
    with pytest.raises(CliError) as e:
        gateway.cli("cert", "hold", fp)
    assert e.value.code == 6 and "it is on hold" in e.value.stderr
    gateway.cli("cert", "revoke", fp)
    for word in ("hold", "release"):
        with pytest.raises(CliError) as e:
            gateway.cli("cert", word, fp)
        assert e.value.code == 6 and "it is revoked for good" in e.value.stderr
    server = next(c for c in gateway.json("cert", "list") if c["profile"] == "server")
    with pytest.raises(CliError) as e:
        gateway.cli("cert", "hold", server["fingerprint"])
    assert e.value.code == 3 and "the gateway itself" in e.value.stderr


@pytest.mark.parametrize("reason, published", [("cessation", True), ("key-compromise", False)])
def test_a_will_of_a_stolen_key_is_not_published(gateway, reason, published):
    """The rules of before the revocation allowed it; only a key that others have counts for nothing."""
    gateway.cli("acl", "allow", "any", "all", f"will/{reason}/#")
    watcher = opened(gateway, gateway.bundle(f"watcher-{reason}"))
    watcher.subscribe(f"will/{reason}/#")
    live = opened(gateway, gateway.bundle(f"pump-{reason}"), will=(f"will/{reason}/gone", "gone", 0, False))
    gateway.cli("cert", "revoke", "--device", f"pump-{reason}", "--reason", reason)
    closed_with(live, 0x98)
    watcher.publish(f"will/{reason}/end", "end")
    assert watcher.message().payload == (b"gone" if published else b"end")
    watcher.close()


def test_the_list_for_edges(make_gateway):
    """Retained on $gw/pki/revoked/FINGERPRINT while it is not good; nobody reads or writes there without right."""
    gw = make_gateway()
    fps = {}
    for name in ("edge", "one", "two"):
        gw.bundle(name)
        fps[name] = fingerprint(gw, name)
    gw.cli("acl", "allow", "device:edge", "all", "$gw/pki/revoked/#")
    gw.cli("cert", "revoke", "--device", "one", "--reason", "key-compromise")
    edge = opened(gw, gw.dir / "bundles" / "edge")
    stranger = opened(gw, gw.dir / "bundles" / "two")
    assert stranger.subscribe("$gw/pki/revoked/#", check=False)[0] == 0x87
    stranger.close()
    edge.subscribe("$gw/pki/revoked/#", qos=1)
    m = edge.message()
    said = json.loads(m.payload)
    assert m.topic == f"$gw/pki/revoked/{fps['one']}" and m.retain
    assert (said["status"], said["reason"]) == ("revoked", "key-compromise") and said["at"].startswith("20")
    gw.cli("cert", "hold", fps["two"])
    m = edge.message()
    assert m.topic == f"$gw/pki/revoked/{fps['two']}" and json.loads(m.payload)["status"] == "hold"
    gw.cli("cert", "release", fps["two"])
    m = edge.message()
    assert m.topic == f"$gw/pki/revoked/{fps['two']}" and m.payload == b""
    assert edge.publish(f"$gw/pki/revoked/{fps['edge']}", "forged", 1, retain=True) == 0x87
    gw.restart()
    edge = opened(gw, gw.dir / "bundles" / "edge")
    edge.subscribe("$gw/pki/revoked/#")
    assert edge.message().topic == f"$gw/pki/revoked/{fps['one']}"
    edge.ping()
    edge.close()


def test_a_compromised_key_is_refused_for_ever(gateway, tmp_path):
    bundle = gateway.bundle("pump-3")
    request = ["openssl", "req", "-new", "-key", str(bundle / "device.key"), "-out", str(tmp_path / "csr")]
    subprocess.run([*request, "-subj", "/CN=pump-4"], check=True)
    gateway.cli("cert", "revoke", "--device", "pump-3", "--reason", "key-compromise")
    with pytest.raises(CliError) as e:
        gateway.cli("device", "add", "pump-4", "--csr", tmp_path / "csr")
    assert e.value.code == 3 and "refused for ever" in e.value.stderr
