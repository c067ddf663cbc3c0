# SPDX-License-Identifier: Apache-2.0
"""The command line of gatehoused, and what it says about configurations: every error names file, line,
key, value and what is allowed, all of them at once, and nothing is started."""

import json
import os
import re
import subprocess

import pytest

from daemon import free_ports


def test_config(daemon, text):
    """gatehoused --test-config on this text: (exit code, lines of standard error without their time)."""
    daemon.path.write_text(text)
    done = daemon.run("--test-config", write=False)
    lines = [re.sub(r"^\S+ error +parent: ", "", x) for x in done.stderr.splitlines()]
    return done.returncode, [x.replace(str(daemon.path), "FILE") for x in lines], done.stdout


test_config.__test__ = False


@pytest.mark.parametrize("text, line", [
    ("[broker]\nworkers = 99\n", "FILE:2: [broker] workers = 99: must be 0 to 64, a whole number"),
    ("[broker]\nmax-packt = 2M\n", "FILE:2: [broker] max-packt = 2M: unknown key; did you mean max-packet?"),
    ("[brokr]\n", "FILE:1: [brokr]: unknown section; did you mean [broker]?"),
    ("[broker]\nworkers\n",
     "FILE:2: workers: this is neither [section] nor key = value nor a comment after # or ;"),
    ("[log]\nlevel = loud\n", r"FILE:2: \[log\] level = loud: .*error.*warning.*notice.*info.*debug"),
    ("[gateway]\nsandbox = maybe\n", r"FILE:2: \[gateway\] sandbox = maybe: .*on.*off"),
    ("[listener a]\nbind = 1.2.3\n", r"FILE:2: \[listener a\] bind = 1.2.3: .*"),
    ("[listener a]\nbind = 127.0.0.1:99999\n", r"FILE:2: \[listener a\] bind = 127.0.0.1:99999: .*65535.*"),
    ("[listener a]\nbind = 127.0.0.1:1\ntls = off\nauth = certificate\n",
     r"FILE:3: \[listener a\] tls = off: .*auth = certificate.*write tls = on.*"),
    ("[listener a]\nbind = 127.0.0.1:1\ntls = off\nauth = password\ntickets = off\n",
     r"FILE:5: \[listener a\] tickets = off: means nothing with tls = off; .*"),
    ("[broker]\nconnect-timeout = 5 parsecs\n", r"FILE:2: \[broker\] connect-timeout = 5 parsecs: .*"),
])
def test_an_error_says_where_and_what(daemon, text, line):
    code, lines, _ = test_config(daemon, text)
    assert code == 2
    assert len(lines) == 1
    assert lines[0] == line or re.fullmatch(line, lines[0]), lines[0]


def test_all_errors_at_once(daemon):
    code, lines, _ = test_config(daemon, "[broker]\nworkers = 99\nmax-packet = 1\n[log]\nlevel = loud\n")
    assert code == 2 and len(lines) == 3


def test_a_good_one(daemon):
    done = daemon.run("--test-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{daemon.path}: the configuration is good (2 listeners)\n"
    assert not daemon.state.exists()


def test_a_file_that_is_not_there(daemon):
    done = daemon.run("--test-config", write=False)
    assert done.returncode == 2
    assert f"{daemon.path}: cannot be read: No such file or directory" in done.stderr


def test_a_wrong_file_starts_nothing(daemon):
    daemon.config["broker"]["workers"] = 99
    done = daemon.run()
    assert done.returncode == 2 and not daemon.state.exists()


def test_the_effective_configuration(daemon):
    """Every value with where it was set; it can be read again and gives the same."""
    daemon.config["broker"]["max-packet"] = "2M"
    done = daemon.run("--print-config", "-o", "broker.max-inflight=7")
    assert done.returncode == 0
    assert re.search(rf"# {daemon.path}:\d+\nmax-packet = 2M\n", done.stdout)
    assert re.search(r"# .*command.line.*\nmax-inflight = 7\n", done.stdout)
    assert "\nconnect-timeout = 5s\n" in done.stdout
    daemon.path.write_text(done.stdout)
    again = daemon.run("--print-config", write=False)
    assert (again.returncode, again.stderr) == (0, "")

    def values(text):
        return [x for x in text.splitlines() if not x.startswith("#")]
    assert values(again.stdout) == values(done.stdout)


@pytest.mark.parametrize("option, why", [
    ("broker.workers=99", "must be 0 to 64"), ("broker.nonsense=1", "unknown key"), ("broker.workers", "="),
    ("nonsense", "="),
])
def test_a_wrong_override(daemon, option, why):
    done = daemon.run("--test-config", "-o", option)
    assert done.returncode == 2 and why in done.stderr


@pytest.mark.parametrize("options, why", [
    (["--bogus"], "see gatehoused --help"), (["argument"], "unexpected argument: argument"),
    (["--config"], "requires an argument"), (["--process", "broker"], ""), (["--probe"], "requires an argument"),
])
def test_a_wrong_call(daemon, options, why):
    done = daemon.run(*options)
    assert done.returncode == 2 and why in done.stderr, done


def test_too_many_overrides(daemon):
    done = daemon.run("--test-config", *(["-o", "log.level=info"] * 257))
    assert done.returncode == 2 and "too many settings on the command line" in done.stderr


def test_help_and_version(daemon):
    text = daemon.run("--help").stdout
    for option in ("--config", "--set", "--test-config", "--print-config", "--probe", "--version", "Exit status"):
        assert option in text
    assert re.fullmatch(r"gatehoused \d+\.\d+\.\d+\S*\n", daemon.run("--version").stdout)


def test_output_that_cannot_be_written(daemon):
    daemon.write()
    with open("/dev/full", "w") as full:
        done = subprocess.run(daemon.command("--print-config"), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1


def test_a_setting_from_the_command_line_of_the_gateway(daemon):
    """config set: kept over a restart, back to the default with an empty value, never over the file."""
    daemon.config["broker"]["max-inflight"] = "8"
    daemon.start()
    daemon.await_ready()
    daemon.cli("config", "set", "broker.max-packet", "2M")
    assert "2M" in daemon.cli("config", "show", "broker.max-packet").stdout
    daemon.cli("setup-code")
    told = [json.loads(x) for x in daemon.cli("event", "list", "--json").stdout.splitlines()]
    changed = [e for e in told if e["event"] == "config.changed"]
    assert [e["detail"] for e in changed] == [{"key": "broker.max-packet", "value": "2M"}]
    assert "control socket" in changed[0]["actor"]
    assert [e["actor"] for e in told if e["event"] == "setup-code.made"] == [changed[0]["actor"]]
    refused = daemon.cli("config", "set", "broker.max-inflight", "9", check=False)
    assert refused.returncode == 3 and "change it there" in refused.stderr
    wrong = daemon.cli("config", "set", "broker.max-packet", "1", check=False)
    assert wrong.returncode == 2 and "max-packet" in wrong.stderr
    unknown = daemon.cli("config", "set", "broker.nonsense", "1", check=False)
    assert unknown.returncode == 5
    file_only = daemon.cli("config", "set", "gateway.state-dir", "/x", check=False)
    assert file_only.returncode == 3
    assert daemon.stop() == 0
    settings = daemon.state / "settings.conf"
    assert "max-packet = 2M" in settings.read_text() and os.stat(settings).st_mode & 0o077 == 0
    daemon.start()
    daemon.await_ready()
    assert "2M" in daemon.cli("config", "show", "broker.max-packet").stdout
    daemon.cli("config", "set", "broker.max-packet", "")
    assert "1M" in daemon.cli("config", "show", "broker.max-packet").stdout
    assert "max-packet" not in settings.read_text()
    assert daemon.stop() == 0


def test_the_file_is_read_again_by_a_command(daemon):
    """config reload: as SIGHUP, and it says what changed, what has to wait, or what is wrong."""
    daemon.config["broker"]["max-inflight"] = "8"
    daemon.start()
    daemon.await_ready()
    assert daemon.cli("config", "reload").stdout == "configuration read again: nothing changed\n"
    good = daemon.path.read_text()
    assert "workers = 1" in good
    daemon.path.write_text(good.replace("max-inflight = 8", "max-inflight = 9").replace("workers = 1", "workers = 2")
                           + f"[listener extra]\nbind = 127.0.0.1:{free_ports(1)[0]}\ntls = off\nauth = password\n")
    done = daemon.cli("config", "reload").stdout.splitlines()
    assert done[0] == "configuration read again"
    assert set(done[1].removeprefix("changed: ").split(", ")) == {
        "broker.max-inflight", "broker.workers", "listener.extra.bind", "listener.extra.tls", "listener.extra.auth"}
    assert done[2:] == ["take effect after a restart: broker.workers"]
    assert "9" in daemon.cli("config", "show", "broker.max-inflight").stdout
    daemon.path.write_text(good)
    answer = json.loads(daemon.cli("config", "reload", "--json").stdout)
    assert "listener.extra.bind" in answer["changed"] and answer["needs_restart"] == []
    daemon.path.write_text(good.replace("max-inflight = 8", "max-inflight = many"))
    wrong = daemon.cli("config", "reload", check=False)
    assert wrong.returncode == 2 and "max-inflight = many" in wrong.stderr
    assert "8" in daemon.cli("config", "show", "broker.max-inflight").stdout
    audit = daemon.cli("audit", "list").stdout
    assert "config.reload" in audit
    assert daemon.stop() == 0
