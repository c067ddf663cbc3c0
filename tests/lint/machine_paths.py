# SPDX-License-Identifier: Apache-2.0
"""Nothing of the machine on which somebody happened to work."""

import re

from tree import Finding

WHAT = "no home folder, no build machine's path, no package registry's host"

# Written in pieces, so that this file does not find itself.
PLACES = re.compile(r"(?<![\w.$}/-])/(" r"home|work|Users|root|mnt)" r"/[\w.-]+|(?<![\w.])/tmp" r"/gh\b")
HOSTS = re.compile(r"\b(deb\.deb" r"ian\.org|registry\.npm" r"js\.org|py" r"pi\.org|prox" r"y\.golang\.org"
                   r"|crates" r"\.io)\b")


def check(tree):
    for path in tree.files:
        if path.startswith("tests/fuzz/corpus/"):
            continue
        for number, line in tree.lines(path):
            place, host = PLACES.search(line), HOSTS.search(line)
            if place:
                yield Finding(path, number, f"'{place.group(0)}' exists on one machine only")
            if host:
                yield Finding(path, number, f"'{host.group(0)}': name packages, not their registry")


BAD = [
    ({"tests/x": "\ncd /ho" "me/someone/gatehouse\n"}, "tests/x:2: '/ho" "me/someone'"),
    ({"README.md": "see /wo" "rk/main\n"}, "exists on one machine only"),
    ({"packaging/x": "http://deb.deb" "ian.org/debian\n"}, "not their registry"),
]
GOOD = [{"README.md": "ProtectHome=yes, $root/work/x, daemon/home/x, a/root/b, /run/gatehouse\n"}]
