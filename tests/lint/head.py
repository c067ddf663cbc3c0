# SPDX-License-Identifier: Apache-2.0
"""The first thing that a reader of a file meets."""

import re

from tree import Finding

WHAT = "every source file starts with its licence and says what it is for"

LICENCE = "SPDX-License-Identifier: Apache-2.0"


def head_lines(text):
    """Lines of prose between the licence and the end of the first comment."""
    comment = text.split("*/", 1)[0].split("\n")[1:]
    return [line for line in comment if re.search(r"\w{2}", line)]


def check_c(tree, path):
    text = tree.text(path)
    if not text.startswith(f"/* {LICENCE}\n"):
        yield Finding(path, 1, f"the first line is not '/* {LICENCE}'")
    elif not head_lines(text):
        yield Finding(path, 2, "the head comment says nothing: purpose, owner, thread, standards")


def check(tree):
    for path in tree.files:
        if path.endswith((".c", ".h", ".def")):
            yield from check_c(tree, path)
    for path in sorted(set(tree.scripts("sh") + tree.scripts("python3"))):
        first = tree.text(path).split("\n")[:2]
        if first != [""] and f"# {LICENCE}" not in first:
            yield Finding(path, 1, f"neither of the first two lines is '# {LICENCE}'")


BAD = [
    ({"daemon/net/a.c": "int x;\n"}, "daemon/net/a.c:1: the first line is not"),
    ({"daemon/net/a.c": f"/* {LICENCE} */\nint x; /* see */\n"}, "the first line is not"),
    ({"daemon/net/a.h": f"/* {LICENCE}\n *\n */\n"}, "says nothing"),
    ({"tests/x": "#!/bin/sh\ntrue\n"}, "tests/x:1: neither"),
    ({"tests/x.py": "import os\n"}, "tests/x.py:1: neither"),
]
GOOD = [
    {"daemon/net/a.c": f"/* {LICENCE}\n *\n * Sockets.\n */\n",
     "tests/x": f"#!/bin/sh\n# {LICENCE}\n", "tests/x.py": f"# {LICENCE}\n", "tests/y.py": ""},
]
