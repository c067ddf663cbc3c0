# SPDX-License-Identifier: Apache-2.0
"""Help, manual pages and completion: complete, the same, and without faults."""

import os
import re
import shlex
import socket as sockets
import subprocess

import pytest

from gateway import TESTS, build, wait_until
from mqtt import Client

ROOT = TESTS.parent


def gatehouse(*words):
    return subprocess.run([build() / "gatehouse", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def commands():
    """(noun, verb) of every command, from the list of all."""
    lines = [line for line in gatehouse("help", "all").stdout.splitlines() if line[2] != " "]
    return [tuple((line[2:21].split() + [""])[:2]) for line in lines]


COMMANDS = commands()


def test_there_are_commands():
    nouns = {noun for noun, _ in COMMANDS}
    assert {"status", "device", "cert", "role", "acl", "client", "event", "config", "setup-code"} <= nouns


def test_the_list_of_commands_is_whole():
    table = (ROOT / "ctl" / "commands.def").read_text()
    assert set(re.findall(r'^CMD\(\w+, "([^"]*)", "([^"]*)"', table, re.M)) == set(COMMANDS)


@pytest.mark.parametrize("noun, verb", COMMANDS)
def test_every_command_has_help(noun, verb):
    words = [noun, verb] if verb else [noun]
    done = gatehouse(*words, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert gatehouse("help", *words).stdout == done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Usage: gatehouse {' '.join(words)}")
    assert len(lines[2]) > 10 and max(map(len, lines)) <= 80
    for placeholder in re.findall(r" \[?([A-Z-]+)\]?(?= |$)", lines[0].replace("[OPTION]...", "")):
        assert any(line.startswith(f"  {placeholder} ") for line in lines[3:]), placeholder


@pytest.mark.parametrize("noun, verb", COMMANDS)
def test_the_example_of_a_command_is_taken_as_written(noun, verb, tmp_path):
    text = gatehouse(*filter(None, (noun, verb)), "--help").stdout
    line = text[text.index("\nExample:\n"):].splitlines()[2].strip()
    words = shlex.split(line.partition(" >")[0])
    words = words[1:] if words[0] == "sudo" else words
    assert words[:3][:2 + bool(verb)] == ["gatehouse", noun, verb][:2 + bool(verb)]
    # Without a gateway, and without a file: what is wrong then is not the command line.
    done = subprocess.run([build() / "gatehouse", "--socket", tmp_path / "none", *words[1:]], cwd=tmp_path, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    assert "see gatehouse" not in done.stderr and "Usage:" not in done.stderr, done.stderr


@pytest.mark.parametrize("noun", sorted({n for n, v in COMMANDS if v}))
def test_every_noun_has_help(noun):
    for done in (gatehouse(noun, "--help"), gatehouse("help", noun)):
        assert done.returncode == 0
        lines = [line.split()[:2] for line in done.stdout.splitlines() if line[2] != " "]
        assert lines == [[n, v] for n, v in COMMANDS if n == noun]


def test_the_help_is_grouped_names_all_and_fits_a_terminal():
    lines = gatehouse("--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80 and gatehouse("help").stdout.splitlines() == lines
    assert "Devices and certificates:" in lines
    told = [line.split()[0] for line in lines[:lines.index("Help:")] if re.match(r"  \S", line)]
    assert len(told) == len(set(told)) and set(told) == {noun for noun, _ in COMMANDS}


def test_the_help_is_as_wide_as_is_asked_for_within_reason():
    def widest(columns):
        done = subprocess.run([build() / "gatehouse", "help", "all"], env={"COLUMNS": columns}, capture_output=True,
                              text=True)
        return max(len(line) for line in done.stdout.splitlines())
    assert widest("60") <= 60 and 80 < widest("1000") <= 100 and widest("many") <= 80


def test_no_command_is_a_question_for_help():
    done = gatehouse()
    assert done.returncode == 2 and done.stdout.startswith("Usage: gatehouse")


def test_the_version_is_told_in_two_ways():
    assert gatehouse("version").stdout == gatehouse("--version").stdout != ""


# -- manual pages

PAGES = {"gatehouse.1": build() / "packaging" / "man" / "gatehouse.1",
         "gatehoused.8": ROOT / "packaging" / "man" / "gatehoused.8",
         "gatehouse.conf.5": build() / "packaging" / "man" / "gatehouse.conf.5"}


def man(name):
    found = [p for p in (PAGES[name], *build().rglob(name)) if p.exists()]
    assert found, f"{name} is not built"
    return found[0]


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_renders_without_warnings(name):
    done = subprocess.run(["groff", "-tman", "-Tutf8", "-ww", "-P-cbou", man(name)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert re.search(r"^NAME\n", done.stdout, re.M) and len(done.stdout) > 2000
    assert "\\f" not in done.stdout


def page(name):
    return subprocess.run(["groff", "-t", "-man", "-Tascii", "-P-cbou", "-rLL=200n", man(name)], capture_output=True,
                          text=True).stdout


def test_the_page_of_the_command_line_fits_a_terminal():
    done = subprocess.run(["groff", "-t", "-man", "-Tascii", "-P-cbou", "-rLL=78n", man("gatehouse.1")], text=True,
                          capture_output=True)
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def test_the_page_of_the_command_line_has_every_command():
    text = re.sub(r"\s+", " ", page("gatehouse.1"))
    for noun, verb in COMMANDS:
        assert f"gatehouse {noun} {verb}".strip() in text
        for option in re.findall(r"^  (--[a-z-]+)", gatehouse(noun, verb, "--help").stdout if verb
                                 else gatehouse(noun, "--help").stdout, re.M):
            assert option in text


def test_commands_that_the_page_tells_exist_as_written():
    text = page("gatehouse.1")
    told = re.findall(r"^ {11}gatehouse (.*)$", text[text.index("\nHOW A DEVICE ENROLS\n"):], re.M)
    told += re.findall(r"^ {7}gatehouse (.*)$", text[text.index("\nEXAMPLES\n"):], re.M)
    assert len(told) > 30
    for line in told:
        words = shlex.split(line.partition(" | ")[0])
        noun, verb = (words[0], words[1]) if (words[0], words[1]) in COMMANDS else (words[0], "")
        assert (noun, verb) in COMMANDS, line
        known = gatehouse(*filter(None, (noun, verb)), "--help").stdout
        for option in (w for w in words if w.startswith("--") and w != "--json"):
            assert re.search(rf"^  {option} ", known, re.M), line
        required = re.findall(r"^Usage: (.*)$", known, re.M)[0].split("[")[0].split()[2 + bool(verb):]
        assert len([w for w in words if not w.startswith("--")]) >= len(required) + 1 + bool(verb), line


def test_the_page_of_the_configuration_has_the_table_of_limits():
    text = page("gatehouse.conf.5")
    table = text[text.index("\nLIMITS\n"):text.index("\nFILES\n")]
    for setting, default, before, reason in [
            ("max-connections-per-address", "256", "10", "One machine must not take all places"),
            ("max-connections", "16384", "1024", "An idle TLS connection costs"),
            ("max-payload", r"0 \(none\)", "4096", "Keeps one device's mistake"),
            ("publish-rate-per-device", "20000", "none", "One device that runs wild")]:
        assert re.search(rf"^ *{setting} +{default} +{before}\n *{reason}", table, re.M), setting


def test_the_page_of_the_daemon_has_every_option_and_process():
    text = page("gatehoused.8")
    done = subprocess.run([build() / "gatehoused", "--help"], capture_output=True, text=True)
    for option in re.findall(r"(--[a-z-]+)", done.stdout):
        assert option in text, option
    for word in ("SIGTERM", "SIGHUP", "NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "EXIT STATUS", "FILES",
                 "broker", "admin", "enrol", "ctl", "store", "vault"):
        assert word in text, word
    probes = subprocess.run([build() / "gatehoused", "--config", "/dev/null", "--probe", "list"], capture_output=True,
                            text=True).stdout
    assert probes == "" or all(line.split()[0] in text for line in probes.splitlines())


# -- completion

def complete(*words, socket="/nonexistent"):
    """What bash offers behind these words, the last of which is being typed."""
    script = ROOT / "packaging" / "completion" / "gatehouse"
    code = ('source "$1"; PATH=$2:$PATH; shift 2; COMP_WORDS=(gatehouse "$@"); COMP_CWORD=$#; '
            'COMP_LINE="gatehouse $*"; COMP_POINT=${#COMP_LINE}; _gatehouse; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-uc", code, "bash", script, build(), *words], capture_output=True, text=True,
                          env={**os.environ, "GATEHOUSE_SOCKET": str(socket)})
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout.split()


def test_completion_of_nouns_and_verbs():
    assert set(complete("")) >= {noun for noun, _ in COMMANDS} | {"--json", "--socket"}
    assert complete("dev") == ["device"]
    assert complete("device", "list", "--state", "n") == ["never"]
    assert complete("device", "list", "--sort", "s") == ["seen", "state"]
    assert sorted(complete("device", "")) == sorted(v for n, v in COMMANDS if n == "device")
    assert complete("help", "device", "sh") == ["show"]
    assert complete("acl", "al") == ["allow"]


@pytest.mark.parametrize("noun, verb", COMMANDS)
def test_completion_of_options(noun, verb):
    words = [noun, verb] if verb else [noun]
    offered = set(complete(*words, "--"))
    options = set(re.findall(r"^  (--[a-z0-9-]+)", gatehouse(*words, "--help").stdout, re.M))
    assert options | {"--json", "--help"} <= offered


def test_completion_of_what_the_gateway_knows(make_gateway):
    gw = make_gateway()
    gw.cli("role", "add", "pump")
    gw.cli("device", "add", "pump-1", "--group", "pumps", "--role", "pump")
    gw.cli("device", "add", "panel")
    rule = str(gw.json("acl", "allow", "any", "publish", "a")["id"])
    def names(*words):
        return complete(*words, socket=gw.socket)
    assert names("device", "show", "p") == ["pump-1", "panel"] or names("device", "show", "p") == ["panel", "pump-1"]
    assert names("device", "show", "pu") == names("code", "add", "--role", "x", "pu") == ["pump-1"]
    assert names("device", "add", "pu") == []
    assert names("device", "set", "panel", "--group", "") == ["pumps"]
    assert names("device", "set", "panel", "--role", "") == ["pump"]
    # Bash has what stands before the colon already.
    assert names("acl", "list", "d") == ["device:"] and names("acl", "list", "device:pu") == ["pump-1"]
    assert names("learn", "start", "role:") == ["pump"] and "any" not in names("learn", "start", "")
    assert names("acl", "allow", "any", "rec") == ["receive"]
    assert rule in names("acl", "remove", "")
    assert names("config", "set", "broker.max-pack") == ["broker.max-packet"]
    assert names("event", "list", "--severity", "e") == ["error"]
    assert names("--json", "device", "show", "pa") == ["panel"]


def test_completion_offers_no_command_that_a_device_chose(make_gateway):
    gw = make_gateway(listeners=["open tls=off auth=anonymous"])
    names = ["x-good", "x;touch${IFS}bad", "x$(id)", "x`id`", "x|id", "x>bad", "x'", "x*", "--socket=/tmp/x",
             "x\u009b31m"]
    clients = [Client.tcp(gw.listeners["open"]) for _ in names]
    for client, name in zip(clients, names):
        client.connect(name)
    wait_until(lambda: len(gw.json("client", "list")) == len(names))
    assert complete("client", "show", "x", socket=gw.socket) == ["x-good"]
    assert complete("client", "show", "", socket=gw.socket) == ["x-good"]
    for client in clients:
        client.close()


def test_completion_without_a_gateway_is_quiet_and_does_not_wait(tmp_path):
    """complete() itself asserts that nothing is on standard error."""
    assert complete("device", "show", "p") == []
    with sockets.socket(sockets.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen(8)
        assert complete("device", "show", "p", socket=tmp_path / "deaf") == []


def test_completion_with_options_in_between(tmp_path):
    assert "add" in complete("--json", "device", "")
    assert "add" in complete("--socket", "/x", "device", "")
    assert complete("device", "add", "--bun") == ["--bundle"]
    (tmp_path / "folder").mkdir()
    assert complete("device", "add", "x", "--bundle", f"{tmp_path}/fol") == [f"{tmp_path}/folder"]


def test_completion_is_valid_bash():
    script = ROOT / "packaging" / "completion" / "gatehouse"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
