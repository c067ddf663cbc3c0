# SPDX-License-Identifier: Apache-2.0
"""What is not done belongs in an issue, not in the tree."""

import re

from tree import Finding

WHAT = "no notes to oneself, no code that is switched off"

NOTE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
OFF = re.compile(r"^\s*#\s*if\s+0\b")


def check(tree):
    for path in tree.files:
        if path.startswith("tests/fuzz/corpus/"):
            continue
        for number, line in tree.lines(path):
            note = NOTE.search(line)
            if note:
                yield Finding(path, number, f"'{note.group(0)}': finish it or file an issue")
            if path.endswith((".c", ".h")) and OFF.match(line):
                yield Finding(path, number, "code that is switched off: delete it")


BAD = [
    ({"daemon/net/a.c": "int x;\n/* TO" "DO: y */\n"}, "daemon/net/a.c:2: 'TO" "DO'"),
    ({"tests/x.py": "# FIX" "ME\n"}, "'FIX" "ME'"),
    ({"daemon/net/a.c": "#if 0\n"}, "switched off"),
]
GOOD = [{"daemon/net/a.c": 'mkstemp("/run/aXXXXXX"); /* hacksaw */\n'}]
