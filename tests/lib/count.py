# SPDX-License-Identifier: Apache-2.0
"""Counts tests for tests/run: prints "PASSED FAILED SKIPPED".

usage: count.py junit FILE | automake FOLDER | lines FILE

junit: a report of pytest. automake: the .trs and .log files of `make check`; of a cmocka program
every test counts, of any other program its exit. lines: lines that start with "ok " or "FAIL ".
"""

import os
import re
import sys
import xml.etree.ElementTree


def junit(path):
    passed = failed = skipped = 0
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def automake_program(trs):
    with open(trs, errors="replace") as f:
        results = re.findall(r"^:test-result: (\w+)", f.read(), re.M)
    with open(trs[:-4] + ".log", errors="replace") as f:
        log = f.read()
    good = all(r in ("PASS", "SKIP", "XFAIL") for r in results) and results
    if "[==========]" in log:
        passed = len(re.findall(r"^\[       OK \]", log, re.M))
        skipped = len(set(re.findall(r"^\[  SKIPPED \] (\w+)$", log, re.M)))
        failed = len(set(re.findall(r"^\[  FAILED  \] (\w+)$", log, re.M)))
        return passed, failed if good or failed else 1, skipped
    if not good:
        return 0, 1, 0
    return (0, 0, 1) if "SKIP" in results else (1, 0, 0)


def automake(folder):
    counts = [automake_program(os.path.join(where, name))
              for where, _, names in os.walk(folder) for name in names if name.endswith(".trs")]
    return tuple(sum(column) for column in zip(*counts)) or (0, 0, 0)


def lines(path):
    with open(path, errors="replace") as f:
        text = f.read()
    return len(re.findall(r"^ok ", text, re.M)), len(re.findall(r"^FAIL ", text, re.M)), 0


if __name__ == "__main__":
    print(*{"junit": junit, "automake": automake, "lines": lines}[sys.argv[1]](sys.argv[2]))
