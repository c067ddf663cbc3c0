# SPDX-License-Identifier: Apache-2.0
"""Every command of gatehouse: the table for people, JSON for programs, exit codes, what errors say."""

import json
import os
import re
import select
import signal
import socket
import subprocess

import pytest

import mqtt
from gateway import build, wait_until

OK, FAILED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND, CONFLICT = range(7)


@pytest.fixture(scope="module")
def gw(gateway):
    """Devices pump-1 (certificate, in the group pumps) and meter (password), a role, rules."""
    gateway.bundle("pump-1", "--group", "pumps", "--kind", "pump", "--note", "in the cellar")
    gateway.cli("device", "add", "meter", "--password", input="a long password\n")
    gateway.cli("role", "add", "reader", "--note", "reads everything")
    gateway.cli("acl", "allow", "device:pump-1", "publish", "plant/${device}/#")
    gateway.cli("acl", "allow", "role:reader", "subscribe", "plant/#", "--priority", "5")
    return gateway


def run(gw, *words, **options):
    return gw.cli(*words, check=False, **options)


def fails(gw, *words, code, says, **options):
    """It ends with this code and one line that says this; nothing on standard output."""
    done = run(gw, *words, **options)
    assert done.returncode == code, done
    assert done.stdout == "" or code == USAGE
    assert done.stderr.startswith("gatehouse: ") and says in done.stderr, done.stderr


def table(gw, *words):
    """[{title: cell}] of a table for people; columns are apart by two blanks."""
    lines = gw.cli(*words).stdout.splitlines()
    titles = re.split(r" {2,}", lines[0].strip())
    starts = [lines[0].index(t) for t in titles]
    ends = starts[1:] + [None]
    return [{t: line[a:b].strip() for t, a, b in zip(titles, starts, ends)} for line in lines[1:]]


# -- lists: a table, and one JSON object a line

@pytest.mark.parametrize("noun, titles, row", [
    ("device", {"NAME", "STATE", "LAST SEEN", "KIND"}, {"NAME": "pump-1", "KIND": "pump", "GROUPS": "pumps"}),
    ("cert", {"FINGERPRINT", "DEVICE", "STATUS"}, {"DEVICE": "pump-1", "STATUS": "good"}),
    ("role", {"NAME", "NOTE"}, {"NAME": "reader", "NOTE": "reads everything"}),
    ("acl", {"ID", "PRIORITY", "EFFECT", "SUBJECT", "FILTER"}, {"SUBJECT": "role:reader", "PRIORITY": "5"}),
    ("config", {"KEY", "VALUE", "SET IN"}, {"KEY": "broker.max-packet", "VALUE": "1M"}),
])
def test_lists(gw, noun, titles, row):
    rows = table(gw, noun, "list")
    assert titles <= set(rows[0])
    assert any(row.items() <= r.items() for r in rows), rows
    done = gw.cli(noun, "list", "--json")
    assert done.stderr == ""
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(objects) == len(rows) and all(isinstance(x, dict) for x in objects)


def test_a_list_of_nothing(gw):
    done = gw.cli("device", "list", "--match", "no such device")
    assert (done.stdout, done.stderr) == ("", "none\n")
    assert gw.cli("device", "list", "--match", "no such device", "--json").stdout == ""


def test_filters_of_lists(gw):
    assert [d["name"] for d in gw.json("device", "list", "--group", "pumps")] == ["pump-1"]
    assert [d["name"] for d in gw.json("device", "list", "--match", "et")] == ["meter"]
    assert {c["device"] for c in gw.json("cert", "list", "--device", "pump-1")} == {"pump-1"}
    assert gw.json("cert", "list", "--device", "pump-1", "--expiring", "1d") == []
    assert "broker-p256" in {c["name"] for c in gw.json("cert", "list", "--expiring", "57w")}
    assert [r["subject"] for r in gw.json("acl", "list", "role:reader")] == ["role:reader"]


def test_a_list_of_several_pages(gw):
    """The gateway answers a hundred rows at a time; the command asks until it has all."""
    for i in range(250):
        gw.cli("device", "add", f"page-{i:03}")
    names = [d["name"] for d in gw.json("device", "list", "--match", "page-")]
    assert names == [f"page-{i:03}" for i in range(250)]
    assert len(table(gw, "device", "list", "--match", "page-")) == 250
    names = [d["name"] for d in gw.json("device", "list", "--match", "page-", "--sort", "name", "--order", "desc")]
    assert names == [f"page-{249 - i:03}" for i in range(250)]


def test_lists_are_sorted(gw):
    def names(*words):
        return [d["name"] for d in gw.json("device", "list", "--match", "sorted-", "--sort", *words)]

    gw.cli("device", "add", "sorted-c", "--kind", "b")
    gw.cli("device", "add", "sorted-a", "--kind", "c")
    gw.bundle("sorted-b", "--kind", "a")
    assert names("kind") == ["sorted-b", "sorted-c", "sorted-a"]
    assert names("kind", "--order", "desc") == ["sorted-a", "sorted-c", "sorted-b"]
    assert names("certificate") == ["sorted-b", "sorted-a", "sorted-c"]
    ends = {r["NAME"]: r["ENDS"] for r in table(gw, "device", "list", "--sort", "created", "--match", "sorted-")}
    assert ends["sorted-a"] == "-" and ends["sorted-b"].startswith("20"), ends
    assert names("seen") == ["sorted-a", "sorted-b", "sorted-c"]  # none ever was
    assert names("state") == ["sorted-b", "sorted-a", "sorted-c"]  # never connected, cannot connect
    assert names("state", "--order", "desc") == ["sorted-c", "sorted-a", "sorted-b"]


def test_lists_are_narrowed(gw):
    def names(*words):
        return [r["NAME"] for r in table(gw, "device", "list", "--match", "narrow-", *words)]

    gw.bundle("narrow-a", "--kind", "pump")
    gw.bundle("narrow-b", "--kind", "fan")
    gw.cli("device", "add", "narrow-c", "--kind", "fan")
    gw.cli("device", "add", "narrow-d")
    gw.cli("device", "set", "narrow-d", "--disabled")
    assert names("--kind", "fan") == ["narrow-b", "narrow-c"]
    assert names("--state", "never") == ["narrow-a", "narrow-b"]
    assert names("--state", "never", "--kind", "fan", "--sort", "seen") == ["narrow-b"]
    assert names("--state", "barred") == ["narrow-c"]
    assert names("--state", "disabled") == ["narrow-d"]
    first = gw.cli("device", "list", "--state", "never", "--match", "narrow-").stdout.splitlines()
    assert first[0].split()[:4] == ["NAME", "STATE", "LAST", "SEEN"] and len(first[1].rstrip()) <= 80, first
    shown = gw.cli("device", "show", "narrow-a").stdout
    assert re.search(r"^state +never$", shown, re.M) and re.search(r"^last seen +-$", shown, re.M), shown


# -- objects

@pytest.mark.parametrize("words, parts", [
    (("device", "show", "pump-1"), ["name", "pump-1", "in the cellar", "FINGERPRINT", "plant/${device}/#"]),
    (("role", "show", "reader"), ["reader", "reads everything", "plant/#"]),
    (("config", "show", "broker.max-packet"), ["broker.max-packet", "1M", "default"]),
    (("ca", "show"), ["AUTHORITY", "root", "issuing", "Gatehouse CA"]),
    (("status",), ["Gatehouse ", "all serve", "PROCESS", "vault", "serving", "LISTENER", "mqtts", "GiB free of"]),
])
def test_objects(gw, words, parts):
    text = gw.cli(*words).stdout
    for part in parts:
        assert part in text
    done = gw.cli(*words, "--json")
    assert len(done.stdout.splitlines()) == 1 and isinstance(json.loads(done.stdout), dict)


def test_the_status_at_one_glance(gw):
    with mqtt.Client.tls(gw.mqtts, mqtt.V5, bundle=gw.dir / "bundles" / "pump-1") as c:
        c.connect("counted")
        assert c.publish("plant/pump-1/x", b"1", qos=1) in (0, 0x10)
        connected = r"^Devices +[1-9]\d* of \d+ connected; [1-9]\d* connections?\b"
        wait_until(lambda: re.search(connected, gw.cli("status").stdout, re.M), what="the connection")
    wait_until(lambda: re.search(r"^Messages +[1-9]\d* in", gw.cli("status").stdout, re.M), what="the message")
    # The gateway of a test has plain listeners: that is found.
    lines = gw.cli("status").stdout.splitlines()
    facts = {line[:13].strip(): line[14:] for line in lines[:lines.index("")]}
    assert facts["Processes"] == "all serve" and re.match(r"\d+ good", facts["Certificates"])
    assert re.fullmatch(r"\d+ of 100: .*\(gatehouse security check\)", facts["Security"])
    assert facts["Settings"].endswith("/gatehouse.conf") and "Each second" not in facts
    assert max(len(line) for line in lines[:lines.index("")]) <= 80
    assert "Each second " in gw.cli("status", "--rate").stdout
    counters = gw.cli("status", "--counters").stdout
    assert re.search(r"^  connections.accepted +[1-9]", counters, re.M) and "limit.max-packet" not in counters


def test_what_nobody_has_looked_at_is_in_the_status(make_gateway):
    gw = make_gateway()
    assert "To be looked at" not in gw.cli("status").stdout
    gw.bundle("pump-1")
    with mqtt.Client.tls(gw.mqtts, mqtt.V5, bundle=gw.dir / "bundles" / "pump-1") as c:
        c.connect("pump-1")
        assert c.publish("not/allowed", b"x", qos=1) == 0x87
    said = wait_until(lambda: [x for x in gw.cli("status").stdout.split("\n") if "acl.denied" in x], what="the event")
    gw.cli("event", "acknowledge", re.search(r"seq=(\d+)", said[0])[1])
    assert "To be looked at" not in gw.cli("status").stdout


def test_values_of_an_object_end_without_an_empty_line(gw):
    assert not gw.cli("device", "show", "pump-1").stdout.endswith("\n\n")


def test_a_certificate_by_its_names(gw):
    row = gw.json("cert", "list", "--device", "pump-1")[0]
    for name in (row["fingerprint"], row["fingerprint"][:8], row["serial"], row["fingerprint"].upper()):
        assert gw.json("cert", "show", name)["fingerprint"] == row["fingerprint"], name
    assert "pump-1" in gw.cli("cert", "show", row["serial"]).stdout


# -- changes

def test_a_devices_life(gw):
    assert gw.cli("device", "add", "life").stdout.startswith("life: added; it cannot connect before ")
    fails(gw, "device", "add", "life", code=CONFLICT, says="life")
    gw.cli("device", "set", "life", "--group", "a", "--group", "b", "--role", "reader", "--kind", "lamp",
           "--note", "n")
    shown = gw.json("device", "show", "life")
    assert sorted(shown["groups"]) == ["a", "b"]
    assert (shown["roles"], shown["kind"], shown["note"]) == (["reader"], "lamp", "n")
    gw.cli("device", "set", "life", "--group", "c")
    assert gw.json("device", "show", "life")["groups"] == ["c"]
    gw.cli("device", "set", "life", "--disabled")
    assert gw.json("device", "show", "life")["enabled"] is False
    gw.cli("device", "set", "life", "--enabled")
    assert gw.json("device", "show", "life")["enabled"] is True
    assert "life" in gw.cli("device", "remove", "life").stdout
    fails(gw, "device", "show", "life", code=NOT_FOUND, says="life")
    fails(gw, "device", "remove", "life", code=NOT_FOUND, says="life")


def test_a_roles_life(gw):
    gw.cli("role", "add", "temp")
    fails(gw, "role", "add", "temp", code=CONFLICT, says="temp")
    gw.cli("role", "set", "temp", "--new-name", "lasting", "--note", "x")
    assert gw.json("role", "show", "lasting")["note"] == "x"
    fails(gw, "role", "show", "temp", code=NOT_FOUND, says="temp")
    gw.cli("acl", "allow", "role:lasting", "all", "x")
    gw.cli("role", "remove", "lasting")
    assert "role:lasting" not in gw.cli("acl", "list").stdout


def test_rules(gw):
    gw.cli("device", "add", "ruled")
    said = gw.cli("acl", "deny", "device:ruled", "receive", "a/+/b", "--priority", "-7").stdout
    number = re.search(r"rule (\d+)", said).group(1)
    row = gw.json("acl", "list", "device:ruled")[0]
    assert (row["id"], row["effect"], row["priority"], row["actions"]) == (int(number), "deny", -7, ["receive"])
    gw.cli("acl", "allow", "any", "all", "public/#")
    assert gw.json("acl", "list", "any")[0]["actions"] == ["publish", "subscribe", "receive"]
    gw.cli("acl", "remove", number)
    assert gw.json("acl", "list", "device:ruled") == []
    fails(gw, "acl", "remove", number, code=NOT_FOUND, says=number)


@pytest.mark.parametrize("words, says", [
    (("acl", "allow", "nobody", "publish", "x"), "nobody"),
    (("acl", "allow", "any", "fly", "x"), "fly"),
    (("acl", "allow", "any", "publish", "a/#/b"), "#"),
    (("acl", "allow", "any", "publish", ""), "filter"),
    (("acl", "allow", "any", "publish", "a/${colour}"), "colour"),
    (("acl", "allow", "any", "publish", "x", "--priority", "1001"), "between -1000 and 1000"),
    (("acl", "allow", "any", "publish", "x", "--priority", "high"), "between -1000 and 1000"),
    (("acl", "allow", "any", "publish"), "missing argument FILTER"),
    (("acl", "remove", "abc"), "whole number"),
    (("device", "add", "two words"), "two words"),
    (("device", "add", "-x"), "-x"),
    (("device", "add", ""), "name"),
    (("device", "add", "x" * 65), "64"),
    (("device", "add", "a", "b"), "unexpected argument b"),
    (("device", "add", "a", "--colour", "red"), "unknown option --colour"),
    (("device", "add", "a", "--group"), "a value is missing after --group"),
    (("device", "add", "a", "--password=x"), "takes no value"),
    (("device", "set", "meter"), "nothing to change"),
    (("device", "set", "meter", "--enabled", "--disabled"), "only one of the two"),
    (("device", "add", "a", "--bundle", "/tmp/x", "--csr", "/tmp/y"), "either --bundle or --csr"),
    (("device", "add", "a", "--csr", "/nonexistent"), "No such file"),
    (("cert", "add", "meter"), "--bundle DIR or --csr FILE"),
    (("cert", "revoke"), "either"),
    (("cert", "revoke", "12", "--device", "meter"), "either"),
    (("device", "list", "--sort", "colour"), "allowed are name, kind, created, certificate, seen, state"),
    (("device", "list", "--order", "up"), "allowed are asc and desc"),
    (("device", "list", "--state", "asleep"), "allowed are connected, away, never, barred, disabled"),
    (("cert", "list", "--expiring", "soon"), "must be a time such as 90s, 12h or 30d"),
    (("event", "list", "--last", "many"), "must be a whole number"),
    (("event", "list", "--severity", "loud"), "loud"),
    (("config", "set", "broker.max-packet", "1"), "max-packet"),
    (("nothing",), 'no command "nothing"'),
    (("device", "fly"), '"device" has no "fly"'),
    (("device",), '"device" needs one of'),
])
def test_wrong_calls(gw, words, says):
    fails(gw, *words, code=USAGE, says=says)


@pytest.mark.parametrize("words", [
    ("device", "show", "nobody"), ("device", "set", "nobody", "--disabled"), ("device", "remove", "nobody"),
    ("cert", "show", "00112233"), ("cert", "revoke", "00112233"), ("cert", "revoke", "--device", "nobody"),
    ("cert", "list", "--device", "nobody"), ("role", "show", "nobody"), ("role", "remove", "nobody"),
    ("client", "show", "nobody"), ("client", "remove", "nobody"), ("config", "show", "broker.nothing"),
    ("acl", "allow", "device:nobody", "publish", "x"),
])
def test_what_is_not_there(gw, words):
    done = run(gw, *words)
    if words[:2] == ("cert", "list") and done.returncode == OK:
        assert done.stderr == "none\n"
        return
    assert done.returncode == NOT_FOUND, done
    assert done.stdout == "" and done.stderr.startswith("gatehouse: ")


# -- passwords

def login(gw, password):
    c = mqtt.Client.tls(gw.mqtts, mqtt.V5, ca=gw.root_ca)
    c.send(mqtt.connect("meter", version=mqtt.V5, username="meter", password=password))
    reason = c.receive().reason
    c.close()
    return reason


def test_passwords_from_standard_input(gw):
    assert login(gw, b"a long password") == 0
    gw.cli("device", "set", "meter", "--password", input="another password")
    assert login(gw, b"a long password") == 0x86
    assert login(gw, b"another password") == 0
    gw.cli("device", "set", "meter", "--no-password")
    assert login(gw, b"another password") == 0x86
    gw.cli("device", "set", "meter", "--password", input="a long password\nwhat follows is not read\n")
    assert login(gw, b"a long password") == 0


@pytest.mark.parametrize("text, says", [
    ("short\n", "5 bytes; 8 to 511"), ("", "0 bytes"), ("\n", "0 bytes"), ("x" * 512 + "\n", "more than 511 bytes"),
    ("x" * 5000 + "\n", "more than 511 bytes"),
], ids=["short", "nothing", "empty", "long", "endless"])
def test_passwords_that_are_none(gw, text, says):
    fails(gw, "device", "set", "meter", "--password", code=USAGE, says=says, input=text)
    assert login(gw, b"a long password") == 0


def on_terminal(gw, lines, *words):
    """Runs it on a terminal of its own, answers its questions: (exit code, what was seen there)."""
    master, slave = os.openpty()
    process = subprocess.Popen([build() / "gatehouse", "--socket", gw.socket, *words], stdin=slave, stdout=slave,
                               stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""
    for line in lines:
        while not seen.endswith(b": "):
            seen += os.read(master, 1000)
        os.write(master, line.encode() + b"\n")
        seen += b"|"
    try:
        while data := os.read(master, 1000):
            seen += data
    except OSError:
        pass  # the end of a terminal
    os.close(master)
    return process.wait(30), seen.decode()


def test_passwords_are_not_shown(gw):
    code, seen = on_terminal(gw, ["secret words", "secret words"], "device", "set", "meter", "--password")
    assert code == OK and "secret" not in seen, seen
    assert login(gw, b"secret words") == 0
    code, seen = on_terminal(gw, ["secret words", "other words"], "device", "set", "meter", "--password")
    assert code == USAGE and "not the same" in seen
    gw.cli("device", "set", "meter", "--password", input="a long password")


def test_passwords_are_nowhere(gw):
    """Neither in the log nor in the events nor in the audit."""
    assert "a long password" not in gw.log_text()
    assert "a long password" not in gw.cli("event", "list", "--last", 1000, "--json").stdout
    for path in os.listdir(os.path.join(gw.state, "store")):
        with open(os.path.join(gw.state, "store", path), "rb") as f:
            assert b"a long password" not in f.read(), path


# -- clients and events

def test_clients(gw):
    gw.cli("acl", "allow", "device:pump-1", "subscribe", "plant/#")
    c = mqtt.Client.tls(gw.mqtts, mqtt.V5, bundle=gw.dir / "bundles" / "pump-1")
    c.connect("strange id/#+")
    row = wait_until(lambda: gw.json("client", "list", "--device", "pump-1"), what="the client in the list")[0]
    assert (row["client_id"], row["device"], row["listener"]) == ("strange id/#+", "pump-1", "mqtts")
    shown = gw.json("client", "show", "strange id/#+")
    assert shown["client_id"] == "strange id/#+"
    assert "strange id/#+" in gw.cli("client", "list").stdout
    gw.cli("client", "remove", "strange id/#+")
    c.expect_disconnect(0x98)
    wait_until(lambda: not gw.json("client", "list"), what="an empty list")


def test_events(gw):
    events = gw.json("event", "list", "--last", 1000)
    numbers = [e["seq"] for e in events]
    assert numbers == sorted(numbers) and len(set(numbers)) == len(numbers)
    assert len(gw.json("event", "list", "--last", 3)) == 3
    assert {e["event"] for e in gw.json("event", "list", "--name", "device")} <= {
        e["event"] for e in events if e["event"].startswith("device")}
    assert all(e["device"] == "pump-1" for e in gw.json("event", "list", "--device", "pump-1"))
    assert not [e for e in gw.json("event", "list", "--severity", "error") if e["severity"] in ("info", "notice")]
    line = gw.cli("event", "list", "--name", "device.added", "--last", 1).stdout
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z +notice +device\.added ", line)
    for mistyped in ("device.addded", "devic", "device.", ""):
        fails(gw, "event", "list", "--name", mistyped, code=USAGE, says="no event is named")


def test_following_events(gw):
    """Each event as it comes, also when the command waits for a long time in between."""
    follow = subprocess.Popen([build() / "gatehouse", "--socket", gw.socket, "event", "list", "--follow", "--json",
                               "--name", "device.added"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = []
    for i in range(3):
        while True:
            # It may still be on its way to its first question: what came before that is not shown.
            name = f"followed-{i}-{len(seen)}-{os.urandom(4).hex()}"
            gw.cli("device", "add", name)
            if line_within(follow.stdout, 2):
                seen.append(json.loads(follow.stdout.readline()))
                break
    assert all(e["event"] == "device.added" for e in seen)
    assert [e["seq"] for e in seen] == sorted({e["seq"] for e in seen})
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=10)
    assert follow.returncode == -signal.SIGINT


def line_within(stream, seconds):
    return bool(select.select([stream], [], [], seconds)[0])


def test_following_ends_with_the_gateway(make_gateway):
    gw = make_gateway()
    follow = subprocess.Popen([build() / "gatehouse", "--socket", gw.socket, "event", "list", "--follow"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: gw.json("event", "list"), what="events")
    gw.stop()
    _, err = follow.communicate(timeout=30)
    assert follow.returncode == UNREACHABLE and err.startswith("gatehouse: ")


def test_a_setup_code(gw):
    done = gw.cli("setup-code")
    assert re.search(r"Setup code: \S{8,}\nValid until \S+, for one use", done.stdout)
    code = gw.json("setup-code")["code"]
    assert code not in done.stdout
    assert code not in gw.log_text()


# -- the program itself

def gatehouse(*words, env=None, **options):
    return subprocess.run([build() / "gatehouse", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**{k: v for k, v in os.environ.items() if k != "GATEHOUSE_SOCKET"}, **(env or {})},
                          **options)


def test_where_the_socket_is(gw, tmp_path):
    assert gatehouse("status", env={"GATEHOUSE_SOCKET": gw.socket}).returncode == OK
    assert gatehouse("status", f"--socket={gw.socket}").returncode == OK
    assert gatehouse("--socket", gw.socket, "status", env={"GATEHOUSE_SOCKET": "/nonexistent"}).returncode == OK
    for path in ("/nonexistent/socket", str(tmp_path / ("x" * 120)), str(tmp_path)):
        done = gatehouse("--socket", path, "status")
        assert done.returncode == UNREACHABLE and path in done.stderr
    for words in (["--socket"], ["status", "--socket"], ["--socket="], ["--socket=", "status"]):
        done = gatehouse(*words)
        assert done.returncode == USAGE and "--socket needs the path" in done.stderr, words
    assert "command is missing" in gatehouse("--socket", gw.socket).stderr


def test_a_gateway_that_is_none(tmp_path):
    """Whoever listens there says something else, or nothing."""
    for answer in (b"", b"hello\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nnot json"):
        path = str(tmp_path / f"s{len(answer)}")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        process = subprocess.Popen([build() / "gatehouse", "--socket", path, "status"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        peer, _ = server.accept()
        peer.recv(1000)
        peer.sendall(answer)
        peer.close()
        _, err = process.communicate(timeout=30)
        assert process.returncode == UNREACHABLE and err.startswith("gatehouse: "), answer
        server.close()


def test_options_stand_anywhere_before_the_dashes(gw):
    assert json.loads(gatehouse("--json", "--socket", gw.socket, "device", "show", "pump-1").stdout)["name"] == "pump-1"
    assert json.loads(gatehouse("device", "--json", "show", "pump-1", "--socket", gw.socket).stdout)["name"] == "pump-1"
    done = gatehouse("--socket", gw.socket, "device", "show", "--", "--json")
    assert done.returncode == NOT_FOUND or "--json" in done.stderr


def test_output_that_cannot_be_written(gw):
    with open("/dev/full", "w") as full:
        done = subprocess.run([build() / "gatehouse", "--socket", gw.socket, "device", "list"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == FAILED and "cannot write" in done.stderr


def test_text_that_is_not_utf8(gw):
    done = subprocess.run([build() / "gatehouse", "--socket", gw.socket, "device", "add", b"\xff"],
                          capture_output=True)
    assert done.returncode == USAGE and b"UTF-8" in done.stderr


def test_version():
    assert re.fullmatch(r"gatehouse \d+\.\d+\.\d+\S*\n", gatehouse("--version").stdout)


@pytest.mark.parametrize("words, says", [
    (("device", "add", "x", "--host", "gw.example"), "--host goes with --bundle, or with"),
    (("cert", "add", "x", "--csr", "f", "--host", "gw.example"), "--host goes with --bundle, or with"),
    (("device", "add", "x", "--legacy"), "goes with --p12"),
    (("device", "add", "x", "--out", "f"), "that --csr asks for"),
    (("acl", "allow", "device:x", "publish"), "missing argument FILTER"),
    (("acl", "allow", "device:x", "publish"), "Usage: gatehouse acl allow SUBJECT ACTION FILTER [OPTION]...\n"),
    (("learn", "show", "pump-1"), "who learns, \"pump-1\": write device:NAME or role:NAME"),
    (("acl", "remove", "1", "--id", "2"), "It has no options."),
    (("event", "list", "--limit", "3"), "Its options: --follow, --last, --device"),
    (("acl", "allow", "publish", "device:x", "a/b"), '"publish" is no subject'),
    (("ca", "rollover", "foo"), "they are start, status, switch, finish and abort"),
])
def test_what_does_not_go_together(gw, words, says):
    fails(gw, *words, code=USAGE, says=says)


def test_no_events(gw):
    done = gw.cli("event", "list", "--name", "ca.compromised")
    assert (done.stdout, done.stderr) == ("", "none\n")
    assert gw.cli("event", "list", "--name", "ca.compromised", "--json").stderr == ""


def test_a_session_that_is_not_there(gw):
    fails(gw, "session", "remove", "99", code=NOT_FOUND, says="there is no session 99\n")
