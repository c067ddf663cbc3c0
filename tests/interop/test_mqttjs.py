# SPDX-License-Identifier: Apache-2.0
"""MQTT.js, as Node programs and pages in a browser use it."""

import os
import shutil
import subprocess

import pytest

import npm
from gateway import TESTS
from told import PASSWORD, ROBOT, name

VERSIONS = {"3.1.1": "4", "5.0": "5"}
WAYS = ["tcp", "tls", "mtls", "ws", "wss", "wsm"]
SCHEMES = {"tcp": "mqtt", "tls": "mqtts", "mtls": "mqtts", "ws": "ws", "wss": "wss", "wsm": "wss"}


@pytest.fixture(scope="module")
def program():
    """round.mjs beside MQTT.js."""
    folder = npm.install("mqttjs")
    shutil.copy(TESTS / "interop" / "mqttjs" / "round.mjs", folder)
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
