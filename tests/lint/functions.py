# SPDX-License-Identifier: Apache-2.0
"""Short functions with few branches. A switch counts as one branch however many cases it has."""

import re

from tree import Finding, functions

LONGEST = 80
BRANCHES = 15
WHAT = f"functions of at most {LONGEST} lines and a cyclomatic complexity of at most {BRANCHES}"

BRANCH = re.compile(r"\b(if|for|while|switch)\b|&&|\|\||\?")


def complexity(function):
    return 1 + len(BRANCH.findall(function.body))


def check(tree):
    for path in tree.c_files():
        for f in functions(tree.text(path)):
            if f.length > LONGEST:
                yield Finding(path, f.line, f"{f.name} has {f.length} lines, more than {LONGEST}: "
                                            "split it or make a table of it")
            if complexity(f) > BRANCHES:
                yield Finding(path, f.line, f"{f.name} has a complexity of {complexity(f)}, more "
                                            f"than {BRANCHES}: split it or make a table of it")


def _function(lines, name="f"):
    return f"static int {name}(int a,\n\t     int b)\n{{\n" + "".join(lines) + "}\n"


BAD = [
    ({"daemon/base/a.c": _function(["\ta++;\n"] * 77)}, "daemon/base/a.c:1: f has 81 lines"),
    ({"daemon/base/a.h": "int x;\n" + _function(["\tif (a && b)\n\t\ta++;\n"] * 8, "g")},
     "daemon/base/a.h:2: g has a complexity of 17"),
]
GOOD = [
    {"daemon/base/a.c": _function(["\ta++;\n"] * 76)},
    {"daemon/base/a.c": _function(["\tif (a)\n\t\ta++; /* if && || ? */\n"] * 14)},
    {"daemon/base/a.c": _function(["\tputs(\"if && || ?\");\n"] * 20)},
]
