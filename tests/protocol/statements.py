#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/protocol/statements.csv: which tests show which normative statement of MQTT.

usage: tests/protocol/statements.py [--check]

The tests say it themselves: @pytest.mark.states("v3 3.1.0-2", "v5 3.1.0-2") names statements of
MQTT 3.1.1 and 5.0. With --check nothing is written; exit code 1 when the file is not what it would be.
"""

import ast
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
TABLE = FOLDER / "statements.csv"
STANDARDS = {"v3": "3.1.1", "v5": "5.0"}


def marks(tree):
    """(name of the test, id) of each statement that a test file names."""
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            for mark in function.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "states":
                    yield from ((function.name, argument.value) for argument in mark.args)


def order(identifier):
    return [int(n) for n in identifier.replace("-", ".").split(".")]


def table():
    shown = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for name, text in marks(ast.parse(path.read_text())):
            standard, identifier = text.split()
            shown.setdefault((STANDARDS[standard], identifier), []).append(f"{path.stem}::{name}")
    rows = [f"{standard},MQTT-{identifier},{' '.join(tests)}"
            for (standard, identifier), tests in sorted(shown.items(), key=lambda x: (x[0][0], order(x[0][1])))]
    return "\n".join(["standard,statement,tests", *rows, ""])


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(not TABLE.exists() or TABLE.read_text() != table())
    TABLE.write_text(table())


if __name__ == "__main__":
    main()
