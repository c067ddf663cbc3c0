# SPDX-License-Identifier: Apache-2.0
"""The number of tests that must pass; see tests/run."""

import subprocess

from tree import Finding

WHAT = "the counts in tests/MANIFEST never shrink"

PATH = "tests/MANIFEST"


def counts(text):
    """{set: count}, and the line number of each."""
    found, where = {}, {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split("#")[0].split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]], where[words[0]] = int(words[1]), number
    return found, where


def history(tree):
    """Every earlier text of the file; none where there is no git."""
    if not tree.exists(".git"):
        return
    git = ["git", "-c", "safe.directory=*", "-C", tree.root]
    log = subprocess.run(git + ["log", "--format=%H", "--", PATH], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    for commit in log.stdout.split():
        old = subprocess.run(git + ["show", f"{commit}:{PATH}"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        yield old.stdout


def check(tree):
    if not tree.exists(PATH):
        yield Finding(PATH, 1, "does not exist")
        return
    now, where = counts(tree.text(PATH))
    for name in ("fast", "full"):
        if name not in now:
            yield Finding(PATH, 1, f"has no line '{name} COUNT'")
    highest = {}
    for old in history(tree):
        for name, count in counts(old)[0].items():
            highest[name] = max(count, highest.get(name, 0))
    for name, count in highest.items():
        if now.get(name, 0) < count:
            yield Finding(PATH, where.get(name, 1), f"{name} was {count} and is {now.get(name, 0)}: "
                                                    "tests may be added, not lost")


BAD = [
    ([{PATH: "fast 10\nfull 20\n"}, {PATH: "fast 10\nfull 19\n"}], f"{PATH}:2: full was 20 and is 19"),
    ([{PATH: "fast 10\nfull 20\n"}, {PATH: "fast 11\nfull 20\n"}, {PATH: "fast 10\nfull 20\n"}],
     "fast was 11 and is 10"),
    ({PATH: "fast 10\n"}, "has no line 'full COUNT'"),
    ({"README.md": ""}, "does not exist"),
]
GOOD = [
    [{PATH: "fast 10\nfull 20\n"}, {PATH: "# more\nfast 11\nfull 20\n"}],
    {PATH: "fast 1\nfull 2\n"},
]
