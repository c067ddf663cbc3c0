# SPDX-License-Identifier: Apache-2.0
"""The interface in Chromium against the real gateway. Each walk is a script beside this file.

Screenshots of every page are kept in the folder that GATEHOUSE_SHOTS names.
"""

import json
import os
import pathlib
import socket
import subprocess

import pytest

import mqtt
from api import Local
from daemon import Daemon, free_ports
from gateway import build, wait_until

HERE = pathlib.Path(__file__).resolve().parent
NAME, PASSWORD = "ann", "a long enough secret"
pytestmark = pytest.mark.timeout(700)  # a walk has its own bounds


def walk(name, gw, **more):
    shots = os.environ.get("GATEHOUSE_SHOTS", "")
    args = {"port": gw.admin, "name": NAME, "password": PASSWORD, "dir": str(gw.dir), "shots": shots, **more}
    done = subprocess.run(["node", HERE / f"{name}.mjs", json.dumps(args)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def gw(gateway):
    gateway.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    for level in ("viewer", "operator"):
        gateway.cli("admin", "add", level, level, input=PASSWORD + "\n")
    gateway.bundle("pump-1", "--group", "pumps")
    gateway.cli("role", "add", "reader")
    gateway.cli("acl", "allow", "group:pumps", "publish", "plant/${device}/#")
    gateway.cli("code", "add", "pump-2")
    gateway.cli("token", "add", "grafana", "viewer")
    return gateway


def test_the_first_visit(make_gateway):
    gw = make_gateway()
    walk("setup", gw, code=gw.json("setup-code")["code"])


def test_a_device_in_each_way_until_it_is_gone(gw):
    walk("device", gw)


def test_the_test_client(gw):
    walk("test-client", gw, device="pump-1", socket=gw.socket, gatehouse=str(build() / "gatehouse"))


def test_the_security_check(gw):
    walk("check", gw)


def test_every_page_is_for_everybody(gw):
    walk("pages", gw, device="pump-1")


def test_the_keyboard_is_enough(gw):
    walk("keyboard", gw, device="pump-1")


def test_the_gateway_itself(gw):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    walk("gateway", gw, free=port)


def test_limits_and_who_is_kept_out(make_gateway):
    gw = make_gateway()
    gw.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    gw.cli("admin", "add", "olga", "operator", input=PASSWORD + "\n")
    walk("limits", gw)


def test_devices_are_sorted(make_gateway):
    gw = make_gateway()
    gw.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    gw.bundle("pump-1")
    for i in range(60):
        gw.cli("device", "add", f"sorted-{i:02}", "--kind", f"kind {60 - i:02}")
    walk("devices", gw)


def test_who_is_there_and_who_was(make_gateway):
    gw = make_gateway()
    gw.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    bundle = gw.bundle("pump-1", "--kind", "pump")
    gw.bundle("fan-1", "--kind", "fan")
    gw.cli("device", "add", "fan-2", "--kind", "fan")
    gw.cli("device", "set", "fan-2", "--disabled")
    with mqtt.Client.tls(gw.mqtts, mqtt.V5, bundle=bundle) as c:
        c.connect("pump-1")
        wait_until(lambda: gw.json("device", "list", "--state", "connected"), what="the connected device in the list")
        walk("seen", gw, socket=gw.socket, gatehouse=str(build() / "gatehouse"))


def test_the_authority_gives_files(make_gateway):
    gw = make_gateway()
    gw.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    gw.cli("ca", "rollover", "start")
    gw.cli("ca", "lock", input="a good passphrase\na good passphrase\n")
    roots = [a["pem"] for a in gw.json("ca", "show")["authorities"] if a["kind"] == "root"]
    assert len(roots) == 2
    walk("authority", gw, roots="".join(roots), lists=gw.cli("ca", "crl").stdout)


def test_nothing_is_offered_beyond_the_level(gw):
    walk("viewer", gw, device="pump-1")


def test_changes_go_back_and_the_state_is_a_file(gw):
    gw.cli("config", "set", "listener.walk.bind", f"127.0.0.1:{gw.mqtts + 5}")
    walk("changes", gw)
    assert "from-a-file" in [r["name"] for r in gw.json("role", "list")]


def test_a_backup_is_taken_away(gw, tmp_path):
    walk("backup", gw, ready="", file="")
    word = "a long enough passphrase\n"
    gw.cli("backup", "set", input=word)
    file = tmp_path / "taken.backup"
    walk("backup", gw, ready="yes", file=str(file))
    done = subprocess.run([build() / "gatehouse", "ca", "restore", file, "--state-dir", tmp_path / "state"], input=word,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rules_are_learnt_and_tried_before_they_are_saved(gw):
    walk("learn", gw, bundle=str(gw.bundle("learner")), mqtts=gw.mqtts)


def test_tabs_share_one_stream(gw):
    walk("tabs", gw)


def test_a_long_list(make_gateway):
    gw = make_gateway()
    gw.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    devices = [{"name": f"device-{i:06}", "groups": [f"group-{i % 100:02}"]} for i in range(2000)]
    status, answer = Local(gw.socket).call("PUT", "/state", {"state": {"version": 1, "devices": devices}}, timeout=300)
    assert status == 200, answer
    walk("list", gw, devices=len(devices), groups=100)


def test_many_devices_at_once(make_gateway):
    gw = make_gateway()
    gw.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
    gw.cli("role", "add", "reader")
    gw.cli("device", "add", "there-1")
    gw.cli("acl", "allow", "any", "all", "devices/${device}/#")
    walk("bulk", gw, socket=str(gw.socket), gatehouse=str(build() / "gatehouse"), mqtts=gw.mqtts, ca=str(gw.root_ca))


def test_the_second_factor(gw):
    walk("account", gw)


def test_the_interface_moves():
    """Its address is no setting of the file here, or nobody could change it in the browser."""
    d = Daemon()
    try:
        del d.config["admin"]
        d.state.mkdir()
        (d.state / "settings.conf").write_text(f"[admin]\nbind = 127.0.0.1:{d.admin}\n")
        d.start()
        d.await_ready()
        d.cli("setup", "--admin", NAME, input=PASSWORD + "\n")
        walk("moving", d, next=free_ports(1)[0])
        assert d.stop() == 0
    finally:
        d.close()
