# SPDX-License-Identifier: Apache-2.0
"""A path in prose is a promise to the reader."""

import glob
import os
import re

from tree import Finding

WHAT = "every path that documents, man pages and comments name exists"

FOLDERS = "daemon|db|certs|ctl|webui|packaging|tests"
PATH = re.compile(rf"(?<![\w./$<>{{}}-])((?:{FOLDERS})/[\w./*?\[\]{{}},@+-]+|\.ci/[\w./-]+)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A stand-in such as NAME, X or NNNN is not a path.
STAND_IN = re.compile(r"(^|[/_.-])[A-Z]+([/_.-]|$)|\b(X|N+)\b")
REAL_NAME = re.compile(r"(^|/)(README\.md|MANIFEST|Makefile\.(inc|am)|LICENSE|CHANGELOG|SECURITY)")


def prose(tree, path):
    """Pairs of line number and the prose of that line."""
    if path.endswith((".md", ".adoc", ".in")) or re.search(r"\.[1-8]$", path):
        yield from tree.lines(path)
        return
    in_comment = False
    for number, line in tree.lines(path):
        if path.endswith(("Makefile.inc", ".am")):
            if line.startswith("#"):
                yield number, line
            continue
        start = 0 if in_comment else line.find("/*")
        if start >= 0:
            yield number, line[start:]
            in_comment = "*/" not in line[start:]


def braces(path):
    m = re.search(r"\{([^{}]*)\}", path)
    if not m:
        return [path]
    return [p for word in m.group(1).split(",") for p in braces(path[:m.start()] + word + path[m.end():])]


def paths_in(path, text):
    for m in PATH.finditer(text):
        yield from braces(m.group(1).rstrip(".,-"))
    if path.endswith(".md"):
        for m in LINK.finditer(text):
            if "://" not in m.group(1) and not m.group(1).startswith("mailto:"):
                yield os.path.normpath(os.path.join(os.path.dirname(path), m.group(1)))


def check(tree):
    makefiles = "\n".join(re.sub(r"(?m)^#.*", "", tree.text(f)) for f in tree.files
                          if f.endswith(("Makefile.inc", ".am")))
    documents = [f for f in tree.files if f.endswith((".md", ".adoc", "Makefile.inc", ".am", ".c", ".h"))
                 or re.search(r"\.[1-8](\.in)?$", f)]
    for path in documents:
        for number, text in prose(tree, path):
            for named in paths_in(path, text):
                if STAND_IN.search(REAL_NAME.sub("", named)):
                    continue
                if glob.glob(tree.path(named)) or named.rstrip("/") in makefiles:
                    continue
                yield Finding(path, number, f"'{named}' does not exist")


BAD = [
    ({"README.md": "\nsee `daemon/gone.c`.\n"}, "README.md:2: 'daemon/gone.c' does not exist"),
    ({"README.md": "[design](doc/design.md)\n"}, "'doc/design.md' does not exist"),
    ({"daemon/Makefile.inc": "# made from daemon/x.def\n"}, "'daemon/x.def' does not exist"),
    ({"daemon/a.c": "int x;\n/* a\n * see db/y.c */\n"}, "daemon/a.c:3: 'db/y.c' does not exist"),
    ({"packaging/man/gatehouse.1": "see tests/{run,walk}\n", "tests/run": ""},
     "'tests/walk' does not exist"),
]
GOOD = [
    {"README.md": "`tests/run`, tests/*.sh, daemon/NAME/x.c; [run](tests/run) [web](https://x.org/tests/z)\n",
     "tests/run": "", "tests/a.sh": "",
     "daemon/a.c": 'char *p = "db/none";\n/* made: daemon/x.h */\n',
     "daemon/Makefile.inc": "BUILT_SOURCES += daemon/x.h\n"},
]
