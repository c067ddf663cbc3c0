# SPDX-License-Identifier: Apache-2.0
"""The package as a file: made of a checkout and of the release's tarball, the same bytes each time."""

import hashlib
import os
import pathlib
import subprocess

import pytest

from gateway import build
from machine import call, plain_environment

PROGRAMS = ("./usr/bin/", "./usr/sbin/", "./usr/libexec/gatehouse/")
pytestmark = pytest.mark.timeout(900)


def test_lintian_has_nothing_to_say(deb):
    (changes,) = deb.parent.glob("*.changes")
    said = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", changes], capture_output=True,
                          text=True)
    assert (said.returncode, said.stdout) == (0, ""), said.stderr


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_tarball_alone_gives_the_same_bytes(deb, tmp_path):
    """Elsewhere, by other habits of the user, and where npm would fail."""
    (tarball,) = deb.parent.glob("*.orig.tar.xz")
    call("tar", "-C", tmp_path, "-xf", tarball)
    (source,) = tmp_path.iterdir()
    traps = tmp_path / "traps"
    traps.mkdir()
    for name in ("npm", "node", "npx"):
        (traps / name).write_text("#!/bin/sh\necho 'npm is not for tarballs' >&2\nexit 1\n")
        (traps / name).chmod(0o755)
    to = tmp_path / "out"
    to.mkdir()
    env = plain_environment(PATH=f"{traps}:{os.environ['PATH']}", TZ="Asia/Tokyo", LC_ALL="C",
                            SOURCE_DATE_EPOCH="1000000000")
    call("sh", "-c", f"umask 077; ./configure --quiet && make deb DEB_DIR={to}", cwd=source, env=env)
    kinds = ("gatehouse_*.deb", "gatehouse-dbgsym_*.deb", "*.orig.tar.xz", "*.debian.tar.xz", "*.dsc")
    first, second = ({p.name: digest(p) for k in kinds for p in d.glob(k)} for d in (deb.parent, to))
    assert len(first) == len(kinds)
    assert second == first


def test_the_programs_are_hardened(deb, tmp_path):
    """Position independent, bound at the start, no executable stack, canaries and checked copies."""
    call("dpkg-deb", "--extract", deb, tmp_path)
    for name in ("usr/sbin/gatehoused", "usr/bin/gatehouse"):
        told = call("readelf", "--wide", "--headers", "--dynamic", "--dyn-syms", tmp_path / name)
        assert "DYN (Position-Independent Executable file)" in told
        assert "BIND_NOW" in told and "GNU_RELRO" in told
        stack = next(line for line in told.splitlines() if "GNU_STACK" in line)
        assert " RW " in stack and "RWE" not in stack
        assert "__stack_chk_fail" in told and "_chk@" in told


def test_everything_belongs_to_root_and_only_programs_run(deb):
    for line in call("dpkg-deb", "--contents", deb).splitlines():
        mode, owner, _, _, _, name = line.split(None, 5)
        assert owner == "root/root", line
        assert mode[0] == "d" or ("x" in mode) == name.startswith(PROGRAMS), line
        assert mode[5] == "-" and mode[8] == "-", line


def test_the_version_stands_in_one_place(deb):
    said = call("sed", "-n", r"s/^AC_INIT(\[gatehouse\],\[\([^]]*\)\].*/\1/p",
                pathlib.Path(__file__).parents[2] / "configure.ac").strip()
    assert call("dpkg-deb", "--field", deb, "Version").strip() == f"{said}-1"
    assert call(build() / "gatehoused", "--version").split()[1] == said
