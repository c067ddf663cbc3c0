# SPDX-License-Identifier: Apache-2.0
"""A feature is a file and a table row, not a conditional."""

import re

from tree import Finding, blank_out

PER_THOUSAND = 3
WHAT = f"at most {PER_THOUSAND} #if in 1000 lines of the product, each file with #pragma once"

CONDITIONAL = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b")


def check(tree):
    lines, found = 0, []
    for path in tree.product_c_files():
        text = blank_out(tree.text(path)).split("\n")
        lines += len(text)
        found += [(path, i) for i, line in enumerate(text, 1) if CONDITIONAL.match(line)]
        if path.endswith(".h") and "#pragma once" not in text:
            yield Finding(path, 1, "a header starts with #pragma once")
    allowed = max(PER_THOUSAND, PER_THOUSAND * lines // 1000)
    if len(found) > allowed:
        for path, line in found:
            yield Finding(path, line, f"one of {len(found)} conditionals in {lines} lines, "
                                      f"{allowed} are allowed: use a file or a table row")


BAD = [
    ({"daemon/net/a.c": "\n#ifdef A\n#endif\n" * 4}, "daemon/net/a.c:2: one of 4 conditionals"),
    ({"daemon/net/a.h": "int x;\n"}, "a header starts with #pragma once"),
]
GOOD = [
    {"daemon/net/a.c": "#ifdef A\n#endif\n" * 3},
    {"daemon/net/a.c": "int x;\n" * 2000 + "# if A\n#endif\n" * 6, "daemon/net/a.h": "#pragma once\n"},
    {"tests/unit/a.c": "#ifdef A\n#endif\n" * 30},
]
