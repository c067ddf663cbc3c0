# SPDX-License-Identifier: Apache-2.0
"""PKI tests: openssl and certtool judge what the product made, and make what it judges.

The programs under test are built by `make check` in the build tree that GATEHOUSE_BUILD names."""
import os
import pathlib
import subprocess

import pytest


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("GATEHOUSE_BUILD", os.getcwd()))


@pytest.fixture
def run(tmp_path):
    """Runs a command in the test's directory; returns (exit code, standard output and error)."""

    def run_it(*argv, check=True):
        done = subprocess.run([str(a) for a in argv], cwd=tmp_path, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if check:
            assert done.returncode == 0, f"{argv}: {done.stdout}"
        return done.returncode, done.stdout

    return run_it
