# SPDX-License-Identifier: Apache-2.0
"""Every normative statement of MQTT has its test; see tests/protocol/statements.py."""

import importlib.util
import pathlib

from tree import Finding

WHAT = "every statement of MQTT 3.1.1 and 5.0 has a test, or a reason for having none"

FOLDER = "tests/protocol"
PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "protocol" / "statements.py"


def program():
    spec = importlib.util.spec_from_file_location("protocol_statements", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(tree):
    path = f"{FOLDER}/standard.csv"
    if not tree.exists(path):
        yield Finding(path, 1, "does not exist")
        return
    for error in program().wrong(pathlib.Path(tree.path(FOLDER))):
        yield Finding(f"{FOLDER}/statements.csv", 1, error)


HEAD = "standard,statement,not for a test because\n"
ONE = "3.1.1,MQTT-1.0.0-1,\n"
TEST = '@states("v3 1.0.0-1")\ndef test_a():\n    pass\n'
ROW = "standard,statement,tests\n3.1.1,MQTT-1.0.0-1,test_x::test_a\n"


def sample(standard, test, rows):
    return {f"{FOLDER}/standard.csv": HEAD + standard, f"{FOLDER}/test_x.py": test, f"{FOLDER}/statements.csv": rows}


BAD = [
    (sample(ONE + "5.0,MQTT-1.0.0-2,\n", TEST, ROW), "no test shows 5.0 MQTT-1.0.0-2"),
    (sample("", TEST, ROW), "3.1.1 MQTT-1.0.0-1 is not in standard.csv"),
    (sample("3.1.1,MQTT-1.0.0-1,it binds the client\n", TEST, ROW), "says why none could"),
    (sample(ONE, TEST.replace("test_a", "test_b"), ROW), "is not up to date"),
    ({"README.md": ""}, "does not exist"),
]
GOOD = [sample(ONE, TEST, ROW), sample(ONE + "5.0,MQTT-1.0.0-2,it binds the client\n", TEST, ROW)]
