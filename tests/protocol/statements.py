#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/protocol/statements.csv: which tests show which normative statement of MQTT.

usage: tests/protocol/statements.py [--check]

The tests say it themselves: @pytest.mark.states("v3 3.1.0-2", "v5 3.1.0-2") names statements of
MQTT 3.1.1 and 5.0. standard.csv lists all that there are, with a reason for those that no test can
show of this server. With --check nothing is written; exit code 1, and lines that say why, when the
file is not what it would be, when a statement has neither a test nor a reason, or has both, or when
a test names one that is not there.
"""

import ast
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
TABLE, STANDARD = "statements.csv", "standard.csv"
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


def shown_by(folder):
    """{(standard, statement): tests}."""
    shown = {}
    for path in sorted(folder.glob("test_*.py")):
        for name, text in marks(ast.parse(path.read_text())):
            standard, identifier = text.split()
            shown.setdefault((STANDARDS[standard], identifier), []).append(f"{path.stem}::{name}")
    return shown


def table(shown):
    rows = [f"{standard},MQTT-{identifier},{' '.join(tests)}"
            for (standard, identifier), tests in sorted(shown.items(), key=lambda x: (x[0][0], order(x[0][1])))]
    return "\n".join(["standard,statement,tests", *rows, ""])


def wrong(folder):
    """What is to be said against the tests and the table in this folder."""
    shown, reasons = shown_by(folder), {}
    for row in (folder / STANDARD).read_text().splitlines()[1:]:
        standard, statement, why = row.split(",")
        reasons[standard, statement.removeprefix("MQTT-")] = why
    for statement in sorted(set(reasons) | set(shown)):
        text = " MQTT-".join(statement)
        if statement not in reasons:
            yield f"{text} is not in {STANDARD}, but {shown[statement][0]} names it"
        elif statement not in shown and not reasons[statement]:
            yield f"no test shows {text}"
        elif statement in shown and reasons[statement]:
            yield f"{shown[statement][0]} shows {text}, and {STANDARD} says why none could"
    if not (folder / TABLE).exists() or (folder / TABLE).read_text() != table(shown):
        yield f"{TABLE} is not up to date: run tests/protocol/statements.py"


def main():
    if sys.argv[1:] != ["--check"]:
        (FOLDER / TABLE).write_text(table(shown_by(FOLDER)))
    errors = list(wrong(FOLDER))
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
