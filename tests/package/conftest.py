# SPDX-License-Identifier: Apache-2.0
"""Packages as `make deb` makes them of this build, once for all tests of the folder."""

import shutil

import pytest

from gateway import build
from machine import call, plain_environment


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.when == "call":
        item.succeeded = report.passed


@pytest.fixture(scope="session")
def deb(tmp_path_factory):
    """The package gatehouse."""
    to = tmp_path_factory.mktemp("deb")
    call("make", "-C", build(), "deb", f"DEB_DIR={to}", env=plain_environment())
    (package,) = to.glob("gatehouse_*.deb")
    return package


@pytest.fixture(scope="session")
def newer_deb(deb, tmp_path_factory):
    """The same under a higher version: dpkg sees an upgrade."""
    tree = tmp_path_factory.mktemp("newer")
    call("dpkg-deb", "--raw-extract", deb, tree / "tree")
    control = tree / "tree/DEBIAN/control"
    text = control.read_text()
    version = next(line for line in text.splitlines() if line.startswith("Version: "))
    control.write_text(text.replace(version, "Version: 999.0-1"))
    call("dpkg-deb", "--root-owner-group", "--build", tree / "tree", tree / "gatehouse_999.0-1.deb")
    shutil.rmtree(tree / "tree")
    return tree / "gatehouse_999.0-1.deb"
