# SPDX-License-Identifier: Apache-2.0
"""gatehouse ping: the round trip of a device, and what it says when something is in the way."""

import json
import re
import shutil
import socket

import pytest

from gateway import Gateway
from mqtt import V5, Client


@pytest.fixture(scope="module")
def gw():
    with socket.socket() as s:
        s.bind(("127.0.0.2", 0))
        elsewhere = s.getsockname()[1]
    with Gateway(listeners=["own auth=certificate client-id=device", "tls12 tls-versions=1.2",
                            f"elsewhere bind=127.0.0.2:{elsewhere}"]) as gateway:
        yield gateway


def ping(gw, bundle, *options, check=True, port=None):
    return gw.cli("ping", "--bundle", bundle, "--host", "localhost", "--port", port or gw.mqtts, *options, check=check)


@pytest.fixture(scope="module")
def bundle(gw):
    return gw.bundle("pump-1", "--host", "localhost")


def allow(gw, device, *actions):
    for action in actions:
        gw.cli("acl", "allow", f"device:{device}", action, f"ping/{device}")


def test_each_missing_rule_is_named(gw):
    """And what it says is what helps: the command that it prints is the next step."""
    bundle = gw.bundle("bare")
    for action in ("subscribe", "publish", "receive"):
        done = ping(gw, bundle, "-n", 1, check=False)
        assert done.returncode == 3 and f"no rule lets bare {action}" in done.stderr
        command = re.search(r"^  gatehouse (acl allow .*)$", done.stderr, re.M).group(1)
        words = command.replace("'", "").split()
        assert words == ["acl", "allow", "device:bare", action, "ping/bare"]
        gw.cli(*words)
    assert ping(gw, bundle, "-n", 1).returncode == 0


def test_figures(gw, bundle):
    allow(gw, "pump-1", "subscribe", "publish", "receive")
    done = ping(gw, bundle, "-n", 100)
    said = re.search(r"100 round trips: min ([\d.]+) ms, mean ([\d.]+) ms, p99 ([\d.]+) ms, max ([\d.]+) ms",
                     done.stdout)
    least, mean, p99, most = map(float, said.groups())
    assert 0 < least <= mean <= most and least <= p99 <= most
    assert f"pump-1 to localhost port {gw.mqtts}, TLS1.3 AES-" in done.stdout


def test_json_and_tls12(gw, bundle):
    said = json.loads(ping(gw, bundle, "-n", "3", "--json", port=gw.listeners["tls12"]).stdout)
    assert said["count"] == 3 and said["device"] == "pump-1" and said["tls"].startswith("TLS1.2 ")
    assert said["min_ms"] <= said["p99_ms"] <= said["max_ms"]


def test_the_address_of_the_bundle(gw):
    bundle = gw.bundle("pump-2", "--host", "127.0.0.1")
    allow(gw, "pump-2", "subscribe", "publish", "receive")
    assert re.search(r"to 127\.0\.0\.1 port \d+, .*\n10 round trips", gw.cli("ping", "--bundle", bundle).stdout)


def test_it_leaves_the_device_alone(gw, bundle):
    """It has a client identifier of its own, so the device's connection stays."""
    with Client.tls(gw.mqtts, V5, bundle=bundle) as device:
        device.connect("pump-1")
        assert ping(gw, bundle, "-n", 2).returncode == 0
        device.ping()


def test_listeners_that_want_the_devices_identifier(gw, bundle):
    own = gw.listeners["own"]
    done = ping(gw, bundle, check=False, port=own)
    assert done.returncode == 3 and "--client-id pump-1" in done.stderr
    assert ping(gw, bundle, "--client-id", "pump-1", "-n", 2, port=own).returncode == 0


def test_revoked(gw):
    bundle = gw.bundle("gone")
    gw.cli("cert", "revoke", "--device", "gone")
    done = ping(gw, bundle, check=False)
    assert done.returncode in (1, 4) and "evoked" in done.stderr


def test_wrong_ca(gw, bundle, tmp_path):
    other = tmp_path / "bundle"
    shutil.copytree(bundle, other)
    with Gateway() as stranger:
        shutil.copy(stranger.root_ca, other / "ca.crt")
    done = ping(gw, other, check=False)
    assert done.returncode == 4 and "the gateway's certificate" in done.stderr


def test_wrong_name(gw, bundle):
    done = gw.cli("ping", "--bundle", bundle, "--host", "127.0.0.2", "--port", gw.listeners["elsewhere"], check=False)
    assert done.returncode == 4 and "does not match" in done.stderr
    assert re.search(r'"127\.0\.0\.2" is not in it; it is for: .*localhost.*, 127\.0\.0\.1', done.stderr), done.stderr


def test_nobody_there(gw, bundle):
    done = ping(gw, bundle, check=False, port=1)
    assert done.returncode == 4 and "cannot connect" in done.stderr


@pytest.mark.parametrize("words, why", [
    ([], "--bundle DIR"), (["--bundle", "/nonexistent"], "device add NAME --bundle DIR"),
    (["-x", "1"], "unexpected argument -x")])
def test_wrong_use(gw, words, why):
    done = gw.cli("ping", *words, check=False)
    assert done.returncode == 2 and why in done.stderr


@pytest.mark.parametrize("count", ["0", "x", "100001", "-1"])
def test_wrong_counts(gw, bundle, count):
    done = ping(gw, bundle, "-n", count, check=False)
    assert done.returncode == 2 and "1 to 100000" in done.stderr
