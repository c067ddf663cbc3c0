# SPDX-License-Identifier: Apache-2.0
"""MQTT.js, as Node programs and pages in a browser use it."""

import os
import shutil
import subprocess

import pytest

from gateway import TESTS, build
from told import PASSWORD, ROBOT, name

VERSIONS = {"3.1.1": "4", "5.0": "5"}
WAYS = ["tcp", "tls", "mtls", "ws", "wss", "wsm"]
SCHEMES = {"tcp": "mqtt", "tls": "mqtts", "mtls": "mqtts", "ws": "ws", "wss": "wss", "wsm": "wss"}


@pytest.fixture(scope="module")
def program():
    """round.mjs with MQTT.js of the version in its lock file, installed once beside the build."""
    folder = build() / "tests" / "interop" / "mqttjs"
    source = TESTS / "interop" / "mqttjs"
    lock = folder / "package-lock.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not lock.exists() or lock.read_bytes() != (source / lock.name).read_bytes():
        shutil.copy(source / "package.json", folder)
        shutil.copy(source / lock.name, folder / "package-lock.json")
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode:
            lock.unlink()
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.copy(source / "round.mjs", folder)
    return folder / "round.mjs"


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_round_trip(way, topic, program, kind, version, qos):
    w = way(kind)
    path = "/mqtt" if kind.startswith("ws") else ""
    login = {"MQTT_USER": ROBOT, "MQTT_PASSWORD": PASSWORD} if w.login else {}
    files = [str(f) for f in (w.ca, w.cert, w.key) if f]
    done = subprocess.run(["node", program, f"{SCHEMES[kind]}://localhost:{w.port}{path}", VERSIONS[version], str(qos),
                           "500", name(), topic, *files], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, env={**os.environ, **login})
    assert done.returncode == 0, done.stdout
