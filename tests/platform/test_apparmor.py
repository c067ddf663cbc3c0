# SPDX-License-Identifier: Apache-2.0
"""The AppArmor profile: its parser takes it, and it allows every file that a gateway opens in its life, says strace.
Whether the kernel enforces it is another matter, and not for a machine without AppArmor to say."""

import json
import os
import re
import signal
import subprocess

import pytest

from daemon import Daemon
from gateway import build, wait_until

PROFILE = build() / "packaging" / "apparmor" / "gatehoused"
STATE = re.search(r"^  (\S+)/\{,\*\*\} rwk,$", PROFILE.read_text(), re.M).group(1)  # of this build
PLACES = {"state": STATE, "run": "/run/gatehouse"}
FILE_CALL = re.compile(r"^\d+ +(open|openat|unlink|unlinkat|rename|renameat|mkdir|chown|chmod)\((.*)")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


def preprocessed():
    done = subprocess.run(["apparmor_parser", "-p", PROFILE], capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


def alternatives(text):
    """{a,b{c,d}} becomes (?:a|b(?:c|d)) in the way of a regular expression; the rest is escaped."""
    out, depth, i = "", 0, 0
    while i < len(text):
        c = text[i]
        if text.startswith("**", i):
            out, i = out + ".+", i + 1
        elif c == "*":
            out += "[^/]+"
        elif c == "?":
            out += "[^/]"
        elif c == "[":
            end = text.index("]", i)
            out, i = out + text[i:end + 1], end
        elif c == "{":
            out, depth = out + "(?:", depth + 1
        elif c == "}":
            out, depth = out + ")", depth - 1
        elif c == "," and depth:
            out += "|"
        else:
            out += re.escape(c)
        i += 1
    return out


class Rules:
    """The file rules of the profile, as far as it and the abstraction `base` use the language."""

    def __init__(self, text):
        self.variables = {}
        for name, value in re.findall(r"^@\{(\w+)\}\s*\+?=\s*(.+)$", text, re.M):
            self.variables.setdefault(name, []).extend(value.split())
        self.allowed = [(re.compile(alternatives(p)), perms) for p, perms in self.rules(text)]

    def rules(self, text):
        for path, perms in re.findall(r"^\s*(?:owner\s+)?\"?([@/][^\s\"]*)\"?\s+([rwkmiaxlpu]+),", text, re.M):
            for expanded in self.expand(path):
                yield re.sub("/+", "/", expanded), perms

    def expand(self, path):
        found = re.search(r"@\{(\w+)\}", path)
        if not found:
            return [path]
        return [e for value in self.variables.get(found.group(1), [])
                for e in self.expand(path[:found.start()] + value + path[found.end():])]

    def allow(self, path, perm):
        return any(perm in perms and rule.fullmatch(path) for rule, perms in self.allowed)


@pytest.fixture(scope="module")
def rules():
    return Rules(preprocessed())


def test_the_parser_takes_it():
    done = subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", PROFILE], capture_output=True,
                          text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("Cache read/write disabled")]
    assert done.returncode == 0 and said == [], done


def test_the_matcher_knows_what_is_denied(rules):
    """A matcher that allows everything would make the next test worthless."""
    assert rules.allow(f"{STATE}/vault/root.key", "w") and rules.allow("/etc/localtime", "r")
    for path, perm in (("/etc/shadow", "r"), ("/srv/other/key", "r"), ("/etc/gatehouse/gatehouse.conf", "w"),
                       ("/usr/bin/sh", "x"), ("/var/lib/other/x", "r"), ("/etc/passwd", "w"), ("/tmp/x", "w")):
        assert not rules.allow(path, perm), path


def trace_of(d, tmp_path):
    """The calls of a whole life: first start, requests, a listener's own certificate, a backup, reload, stop."""
    trace = tmp_path / "trace"
    d.own_certificate()
    d.start(wrapper=["strace", "-f", "-qq", "-y", "-s", "300", "-o", trace, "-e", "trace=%file"])
    d.await_ready()
    d.cli("device", "add", "pump", "--code")
    d.cli("setup-code")
    d.cli("config", "set", "broker.max-payload", "100K")
    d.cli("ca", "backup", d.dir / "backup", input="a long passphrase\n")
    traced = int(open(f"/proc/{d.process.pid}/task/{d.process.pid}/children").read().split()[0])
    os.kill(traced, signal.SIGHUP)
    wait_until(lambda: "reloaded" in d.log_text(), seconds=30, what="the reload")
    os.kill(traced, signal.SIGTERM)
    assert d.wait() == 0
    return trace.read_text()


def opened(trace, d):
    """(path where the package has it, "r" or "w") of every file that was there or was made."""
    for line in trace.splitlines():
        call = FILE_CALL.match(line)
        if not call or "= -1 ENOENT" in line:
            continue
        folder = re.match(r"(?:AT_FDCWD<[^>]*>|\d+<([^>]*)>), ", call.group(2))
        base = folder.group(1) if folder and folder.group(1) else ""
        for path in re.findall(r'"([^"]+)"', call.group(2)):
            path = os.path.normpath(path if path[0] == "/" else f"{base}/{path}")
            for name, place in PLACES.items():
                path = re.sub(rf"^{re.escape(str(d.dir / name))}(?=/|$)", place, path)
            path = re.sub(rf"^{re.escape(str(d.dir))}/", "/etc/gatehouse/", path)
            is_open = call.group(1).startswith("open")
            yield path, "w" if not is_open or WRITES.search(call.group(2)) else "r"


def test_it_allows_what_a_gateway_opens(rules, tmp_path):
    d = Daemon()
    try:
        seen = set(opened(trace_of(d, tmp_path), d))
    finally:
        d.close()
    files = {p for p, _ in seen}
    assert {f"{STATE}/vault/root.key", f"{STATE}/store/registry.db", "/run/gatehouse/control.sock",
            "/etc/gatehouse/own.key", "/etc/gatehouse/gatehouse.conf"} <= files
    # What is above or beside the package's places here, and the link to the program, which it may run.
    ours = re.compile(r"^(/tmp(/|$)|/run/gatehouse$|/etc/gatehouse$|/proc/self/exe$)|^" + STATE + "$")
    denied = sorted((p, perm) for p, perm in seen if not rules.allow(p, perm) and not ours.match(p))
    assert denied == [], json.dumps(denied, indent=1)
