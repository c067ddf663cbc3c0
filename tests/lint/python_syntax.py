# SPDX-License-Identifier: Apache-2.0
"""Python and shell files that nothing else would read before the day they are needed."""

from tree import Finding

WHAT = "Python files compile, in lines of at most 120 characters"

WIDEST = 120


def check(tree):
    for path in tree.scripts("python3"):
        try:
            compile(tree.text(path), path, "exec", dont_inherit=True)
        except SyntaxError as e:
            yield Finding(path, e.lineno or 1, e.msg)
        for number, line in tree.lines(path):
            if len(line) > WIDEST:
                yield Finding(path, number, f"{len(line)} characters, more than {WIDEST}")


BAD = [
    ({"tests/x.py": "x = 1\nif x\n"}, "tests/x.py:2:"),
    ({"tests/x": "#!/usr/bin/python3\ndef f(:\n"}, "tests/x:2:"),
    ({"tests/x.py": "x = '" + "a" * 120 + "'\n"}, "126 characters"),
]
GOOD = [{"tests/x.py": "x = 1\n", "tests/y": "#!/bin/sh\nif\n"}]
