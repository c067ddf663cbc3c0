# SPDX-License-Identifier: Apache-2.0
"""What a person reads who uses it for the first time: where to go, what to do next, what was meant."""

import hashlib
import json
import os
import re
import ssl
import subprocess
from datetime import datetime

import pytest

from gateway import build

OK, FAILED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND, CONFLICT = range(7)
PASSWORD = "a long password"


def says(gw, *words, code, text, **options):
    done = gw.cli(*words, check=False, **options)
    assert done.returncode == code and text in done.stderr, done
    return done


# -- the first administrator

def fingerprint_shown(gw):
    """SHA-256 of what the interface's port shows, as browsers write it."""
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", gw.admin)))
    digits = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digits[i:i + 2] for i in range(0, 64, 2))


def test_both_ways_to_the_first_administrator_tell_where_the_interface_is(make_gateway):
    gw = make_gateway()
    url = f"https://127.0.0.1:{gw.admin}/"
    assert gw.json("setup-code")["url"] == url
    for said in (gw.cli("setup-code").stdout, gw.cli("setup", "--admin", "anna", input=PASSWORD + "\n").stdout):
        assert f"Interface: {url}\n" in said
        assert fingerprint_shown(gw) in said


# -- a device with a password

def test_who_adds_a_device_with_a_password_is_told_how_it_connects(make_gateway):
    gw = make_gateway()
    said = gw.cli("device", "add", "meter", "--password", input=PASSWORD + "\n").stdout
    command = re.search(r"  mosquitto_pub (.*)\\\n *(.*)\n", said)
    words = f"{command[1]} {command[2]}".split()
    value = dict(zip(words, words[1:]))
    assert value["-h"] == "127.0.0.1" and value["-p"] == str(gw.mqtts) and value["-u"] == value["-i"] == "meter"
    assert open(value["--cafile"]).read() == open(gw.root_ca).read()
    allow = re.search(r"  gatehouse (acl allow device:meter publish '(.*)')\n", said)
    gw.cli("acl", "allow", "device:meter", "publish", allow[2])
    assert "-h gate.example" in gw.cli("device", "add", "other", "--password", "--host", "gate.example",
                                       input=PASSWORD + "\n").stdout
    assert gw.cli("--quiet", "device", "add", "third", "--password", input=PASSWORD + "\n").stdout == ""


# -- settings

def test_a_mistyped_setting_is_answered_with_the_right_one(gateway):
    says(gateway, "config", "set", "broker.max-pakket", "1M", code=NOT_FOUND, text="did you mean broker.max-packet?")
    says(gateway, "config", "show", "broker.max-pakket", code=NOT_FOUND, text="did you mean broker.max-packet?")
    says(gateway, "config", "show", "max-packet", code=NOT_FOUND, text="did you mean broker.max-packet?")
    says(gateway, "config", "set", "listener.mqtts.max-conections", "1", code=NOT_FOUND,
         text="did you mean listener.mqtts.max-connections?")
    says(gateway, "config", "show", "listener.none.bind", code=NOT_FOUND, text="gatehouse.conf(5) lists them")


def test_nothing_to_confirm_is_said_so(gateway):
    says(gateway, "config", "confirm", code=NOT_FOUND, text="nothing waits to be confirmed: only a change that")
    says(gateway, "config", "confirm", "abc", code=NOT_FOUND, text="no change with this token waits")


def test_a_trace_of_nothing_names_what_is_typed(gateway):
    for words in ((), ("pump-1", "--device", "x"), ("--device", "x", "--topic", "y")):
        says(gateway, "trace", *words, code=USAGE, text="by one of CLIENT-ID, --device NAME and --topic FILTER")


# -- what only root may, and a gateway that is not there

def as_nobody(*words):
    env = {k: v for k, v in os.environ.items() if k != "GATEHOUSE_SOCKET"}
    return subprocess.run([build() / "gatehouse", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env=env, user=65534, group=65534, extra_groups=[])


@pytest.mark.parametrize("verb", ["export-root", "backup", "restore"])
def test_what_needs_root_says_so_before_anything_else(verb, tmp_path):
    done = as_nobody("ca", verb, tmp_path / "file")
    assert done.returncode == REFUSED and "only root may do this" in done.stderr, done
    assert f"sudo gatehouse ca {verb}" in done.stderr and "gatehouse-admin may not" in done.stderr


def test_a_gateway_that_does_not_answer(tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "GATEHOUSE_SOCKET"}
    done = subprocess.run([build() / "gatehouse", "--socket", tmp_path / "none", "status"], env=env, text=True,
                          capture_output=True)
    assert done.returncode == UNREACHABLE and "gateway.run-dir" in done.stderr
    if not os.path.exists("/run/gatehouse/control.sock"):
        done = subprocess.run([build() / "gatehouse", "status"], env=env, capture_output=True, text=True)
        assert done.returncode == UNREACHABLE
        assert "systemctl status gatehouse" in done.stderr and "journalctl -u gatehouse" in done.stderr
        assert "quickstart" not in done.stderr


# -- for programs: errors as JSON, quiet, limits, times

def test_errors_are_json_for_those_who_asked_for_json(gateway):
    for words, code in ((("device", "show", "nobody"), NOT_FOUND), (("device", "lost"), USAGE),
                        (("device", "add", "x", "--colour", "red"), USAGE), (("acl", "check", "publish", "a"), USAGE),
                        (("device", "show"), USAGE), (("frobnicate",), USAGE), ((), USAGE)):
        done = gateway.cli("--json", *words, check=False)
        assert done.returncode == code and done.stdout == "", done
        assert json.loads(done.stderr)["detail"], done.stderr
    problem = json.loads(gateway.cli("--json", "device", "show", "nobody", check=False).stderr)
    assert problem["status"] == 404 and problem["title"] == "Not Found"
    missing = gateway.cli("--json", "--socket", "/nonexistent", "status", check=False)
    assert missing.returncode == UNREACHABLE and "does not answer" in json.loads(missing.stderr)["detail"]


def test_quiet_leaves_out_what_was_not_asked_for(make_gateway):
    gw = make_gateway()
    for words in (("device", "add", "a"), ("role", "add", "r"), ("device", "set", "a", "--note", "x"),
                  ("acl", "allow", "any", "publish", "a"), ("learn", "start", "device:a"),
                  ("learn", "stop", "device:a"), ("code", "list"), ("config", "set", "broker.max-packet", "2M"),
                  ("device", "remove", "a")):
        done = gw.cli("--quiet", *words)
        assert done.stdout == "" and done.stderr == "", done
    assert gw.cli("-q", "role", "list").stdout.splitlines()[1].startswith("r ")
    assert "there is no device" in gw.cli("-q", "device", "show", "a", check=False).stderr


def test_lists_end_at_the_limit_and_say_so(make_gateway):
    gw = make_gateway()
    for name in "abcde":
        gw.cli("device", "add", name)
    some = gw.cli("device", "list", "--limit", "2")
    assert [line.split()[0] for line in some.stdout.splitlines()[1:]] == ["a", "b"]
    assert some.stderr == "gatehouse: there are more than these 2\n"
    assert gw.cli("device", "list", "--limit", "5").stderr == ""
    assert [d["name"] for d in gw.json("device", "list", "--limit", "3")] == ["a", "b", "c"]
    for wrong in ("0", "-1", "many", "4294967296"):
        assert "must be a whole number" in gw.cli("device", "list", "--limit", wrong, check=False).stderr


def test_times_are_those_of_this_machine_but_for_programs(gateway):
    def started(*words, zone):
        done = subprocess.run([build() / "gatehouse", "--socket", gateway.socket, *words], env={"TZ": zone}, text=True,
                              capture_output=True)
        return re.search(r'(?:"started":"|, since )([^\s",]*)', done.stdout)[1]
    utc = started("status", "--utc", zone="Asia/Kolkata")
    assert utc.endswith("Z") and started("status", "--json", zone="Asia/Kolkata") == utc
    assert started("status", zone="UTC") == utc
    local = started("status", zone="Asia/Kolkata")
    listed = gateway.cli("cert", "list", "--limit", "1").stdout  # the zone of the tests' machine, and another
    there = subprocess.run([build() / "gatehouse", "--socket", gateway.socket, "cert", "list", "--limit", "1"],
                           env={"TZ": "Asia/Kolkata"}, text=True, capture_output=True).stdout
    assert "+05:30" in there and "+05:30" not in listed
    gateway.cli("device", "add", "clock", "--note", "2026-11-26T12:00:00Z", "--kind", "2026-11-26T12:00:00Z")
    shown = subprocess.run([build() / "gatehouse", "--socket", gateway.socket, "device", "show", "clock"],
                           env={"TZ": "Asia/Kolkata"}, text=True, capture_output=True).stdout
    assert shown.count("2026-11-26T12:00:00Z") == 2, "what somebody wrote is no time"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+05:30", local)
    assert datetime.fromisoformat(local) == datetime.fromisoformat(utc.replace("Z", "+00:00"))


# -- wrong words

@pytest.mark.parametrize("words, text", [
    (("device", "show", ""), "NAME is empty: device name"),
    (("security", "mute", "", "because"), "FINDING is empty: as security check names it"),
    (("device", "add", "x", "--bundle", ""), "--bundle is empty: makes a key here"),
    (("acl", "allow", "any", "publish", "a", "--network", ""), "--network is empty: only for clients in this network"),
    (("code", "add", "x", "--ttl", "soon"), '--ttl "soon": must be a time such as 90s, 12h or 30d'),
    (("code", "add", "x", "--uses", "-1"), '--uses "-1": must be a whole number'),
    (("code", "add", "x", "--uses", ""), '--uses "": must be a whole number'),
    (("device", "list", "--order", "backwards"), '"backwards" is no order; allowed are asc and desc'),
    (("acl", "allow", "any", "publish", "a", "--qos", "zero or one"), "allowed are 0, 1 and 2, or several of them"),
    (("event", "acknowledge", "--note", "x"), "say which: the NUMBER of one event"),
    (("event", "acknowledge", "1", "--name", "acl.denied"), "say which: the NUMBER of one event"),
    (("admin", "add", "a b", "viewer"), '"a b" is no name of an administrator: allowed are 1 to 64 of'),
])
def test_a_wrong_word_is_named_with_what_is_right(gateway, words, text):
    says(gateway, *words, code=USAGE, text=text, input=PASSWORD + "\n")


def test_groups_and_roles_of_a_device_are_taken_away(gateway):
    gateway.cli("role", "add", "some-role")
    gateway.cli("device", "add", "joiner", "--group", "a", "--group", "b", "--role", "some-role")
    gateway.cli("device", "set", "joiner", "--group", "", "--role", "")
    device = gateway.json("device", "show", "joiner")
    assert device["groups"] == device["roles"] == []


def test_codes_for_devices_that_cannot_be_made_name_the_device(gateway):
    gateway.cli("device", "add", "codeless", "--group", "codeless")
    says(gateway, "enrol", "devices", "--group", "codeless", "--profile", "none-such", code=USAGE,
         text='gatehouse: codeless: there is no profile "none-such"')
