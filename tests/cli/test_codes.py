# SPDX-License-Identifier: Apache-2.0
"""gatehouse code and request: what a person and a program read, exit codes, what errors say, what is kept."""

import pathlib
import re
import subprocess

import pytest

from gateway import wait_until

USAGE, REFUSED, UNREACHABLE, NOT_FOUND, CONFLICT = 2, 3, 4, 5, 6
CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{8}(?:-[0-9A-HJKMNP-TV-Z]{8}){3}\b")


def fails(gw, *words, code, says):
    done = gw.cli(*words, check=False)
    assert done.returncode == code and says in done.stderr, done
    assert done.stderr.startswith("gatehouse: ") and done.stdout == ""


def fingerprint(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=pem, text=True,
                          capture_output=True, check=True)
    return done.stdout.strip().partition("=")[2]


def test_the_text_for_a_person(gateway):
    text = gateway.cli("code", "add", "pump-1").stdout
    root = pathlib.Path(gateway.root_ca).read_text()
    assert text.startswith("Enrolment code for pump-1, until ")
    assert len(set(CODE.findall(text))) == 1
    assert fingerprint(root) in text
    for word in ("curl ", "openssl req ", "mosquitto_pub ", f"127.0.0.1:{gateway.enrol}/.well-known/est/simpleenroll",
                 f"-p {gateway.mqtts} ", "/simplereenroll", "gatehouse-enrol:https://"):
        assert word in text, word


def test_the_code_is_told_once_and_kept_nowhere(gateway):
    added = gateway.json("code", "add", "secret-1", "--note", "for the cellar")
    code = added["code"]
    assert CODE.fullmatch(code)
    assert added["qr"] == (f"gatehouse-enrol:https://127.0.0.1:{gateway.enrol}/#t={code}"
                           f"&fp=sha256:{added['root_fingerprint']}")
    listed = [c for c in gateway.json("code", "list") if c["name"] == "secret-1"]
    assert len(listed) == 1 and listed[0]["state"] == "valid" and listed[0]["note"] == "for the cellar"
    assert "code" not in listed[0] and not listed[0]["device_exists"]
    gateway.json("event", "list")  # writes what is pending
    for form in (code, code.replace("-", "")):
        for path in pathlib.Path(gateway.state).rglob("*"):
            assert not path.is_file() or form.encode() not in path.read_bytes(), path
        assert form not in gateway.log_text()


def test_options_of_a_code(gateway):
    gateway.cli("role", "add", "metering")
    added = gateway.json("code", "add", "--pattern", "meter-*", "--uses", "500", "--ttl", "7d",
                         "--network", "10.0.0.0/8", "--group", "meters", "--role", "metering",
                         "--kind", "meter", "--profile", "manual", "--host", "gw.example")
    assert (added["pattern"], added["uses_left"], added["network"]) == ("meter-*", 500, "10.0.0.0/8")
    assert (added["groups"], added["roles"], added["kind"]) == (["meters"], ["metering"], "meter")
    assert added["profile"] == "manual" and added["url"] == f"https://gw.example:{gateway.enrol}"
    text = gateway.cli("code", "add", "--pattern", "valve-*").stdout
    assert "/CN=valve-1" in text and "its own name" in text


def test_a_device_with_its_code(gateway):
    text = gateway.cli("device", "add", "pump-2", "--code").stdout
    assert text.startswith("Enrolment code for pump-2, ")
    assert [c["device_exists"] for c in gateway.json("code", "list") if c["name"] == "pump-2"] == [True]
    fails(gateway, "device", "add", "pump-3", "--code", "--csr", "x", code=USAGE, says="either --code")


def test_a_newer_code_replaces_the_older_ones(gateway):
    def states():
        return [c["state"] for c in gateway.json("code", "list") if c["name"] == "lost-1"]

    assert gateway.json("code", "add", "lost-1")["replaced"] == 0
    text = gateway.cli("code", "add", "lost-1").stdout
    assert "1 older code for lost-1 counts no longer (--keep would have kept it)." in text
    assert states() == ["valid", "replaced"]
    assert "older code" not in gateway.cli("code", "add", "lost-1", "--keep").stdout
    gateway.cli("device", "add", "lost-1")  # codes for the name are those of the device from then on
    assert gateway.json("code", "add", "lost-1")["replaced"] == 2
    assert states() == ["valid", "replaced", "replaced", "replaced"]
    for _ in range(2):
        assert gateway.json("code", "add", "--pattern", "lost-*")["replaced"] == 0
    assert states()[0] == "valid"


def test_remove(gateway):
    number = gateway.json("code", "add", "gone")["id"]
    assert gateway.cli("code", "remove", number).stdout == f"code {number}: removed\n"
    assert "gone" not in gateway.cli("code", "list").stdout
    fails(gateway, "code", "remove", number, code=NOT_FOUND, says=f"there is no enrolment code {number}")


@pytest.mark.parametrize("words, code, says", [
    ([], USAGE, "give either the name of a device or a pattern"),
    (["a", "--pattern", "b*"], USAGE, "not both"),
    (["a b"], USAGE, '"a b" is no name of a device'),
    (["--pattern", "abc"], USAGE, "is no pattern"),
    (["a", "--ttl", "0"], USAGE, "allowed are 1 to 31622400 seconds"),
    (["a", "--ttl", "soon"], USAGE, "must be a time such as"),
    (["a", "--ttl", "9999d"], USAGE, "ttl is 863913600; it must be between"),
    (["a", "--uses", "0"], USAGE, "uses is 0"),
    (["a", "--network", "10.0.0.1/8"], USAGE, "is no network"),
    (["a", "--profile", "gold"], USAGE, 'there is no profile "gold"'),
    (["a", "--role", "nobody"], USAGE, 'there is no role "nobody"'),
    (["a", "--host", "a;b"], USAGE, "not a host name or an address"),
])
def test_errors_of_add(gateway, words, code, says):
    fails(gateway, "code", "add", *words, code=code, says=says)


def test_a_device_that_is_there_keeps_its_groups(gateway):
    gateway.cli("device", "add", "old-1")
    fails(gateway, "code", "add", "old-1", "--group", "x", code=USAGE, says="device set")


def test_codes_go_with_the_device(gateway):
    gateway.cli("device", "add", "old-2")
    gateway.cli("code", "add", "old-2")
    gateway.cli("device", "remove", "old-2")
    assert "old-2" not in gateway.cli("code", "list").stdout


def test_requests_that_are_not_there(gateway):
    assert gateway.cli("request", "list").stderr == "none\n"
    for verb in ("show", "approve", "deny"):
        fails(gateway, "request", verb, "17", code=NOT_FOUND, says="there is no request 17")


def test_one_request_or_all(gateway):
    for verb in ("approve", "deny"):
        fails(gateway, "request", verb, code=USAGE, says="the number of a request, or --all")
        fails(gateway, "request", verb, "1", "--all", code=USAGE, says="the number of a request, or --all")
        done = gateway.cli("request", verb, "--all")
        assert (done.stdout, done.stderr) == ("", "none\n")


def test_who_made_it_is_recorded(gateway):
    def noted():  # events of one name are counted beyond a rate
        gateway.cli("code", "add", "noted")
        event = gateway.json("event", "list", "--name", "enrol.code-added", "--last", "1")[0]
        return event if event["detail"].get("name") == "noted" else None

    assert "uid" in wait_until(noted)["actor"]


def test_profiles(gateway):
    text = gateway.cli("profile", "list").stdout
    assert "device" in text and "90 d 0 h" in text and "as the authority" in text
    done = gateway.cli("profile", "set", "short", "--lifetime", "2d", "--note", "for guests")
    assert done.stdout == "short: changed\n"
    short = [p for p in gateway.json("profile", "list") if p["name"] == "short"][0]
    assert (short["lifetime"], short["grace"], short["overlap"]) == (172800, 2592000, 604800)
    gateway.cli("profile", "set", "short", "--grace", "0")
    short = [p for p in gateway.json("profile", "list") if p["name"] == "short"][0]
    assert (short["lifetime"], short["grace"], short["note"]) == (172800, 0, "for guests")
    assert gateway.json("code", "add", "guest-1", "--profile", "short")["profile"] == "short"
    assert gateway.cli("profile", "remove", "short").stdout == "short: removed\n"
    fails(gateway, "profile", "remove", "short", code=NOT_FOUND, says='there is no profile "short"')
    fails(gateway, "profile", "remove", "device", code=REFUSED, says='the profile "device" is needed')
    fails(gateway, "profile", "set", "none", code=USAGE, says="a new one needs a lifetime")
    fails(gateway, "profile", "set", "device", "--lifetime", "60", code=USAGE, says="lifetime is 60 s; allowed are 0")
    fails(gateway, "profile", "set", "cacerts", "--lifetime", "2d", code=USAGE, says="is an operation of EST")
    fails(gateway, "profile", "set", "a b", "--lifetime", "2d", code=USAGE, says="no name of a profile")
