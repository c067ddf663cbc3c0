# SPDX-License-Identifier: Apache-2.0
"""The table of statements says what the tests say."""

import subprocess
import sys

from gateway import TESTS


def test_the_table_is_up_to_date():
    program = TESTS / "protocol" / "statements.py"
    assert subprocess.run([sys.executable, program, "--check"]).returncode == 0, f"run {program}"
