# SPDX-License-Identifier: Apache-2.0
"""Shell scripts are programs too."""

import re
import shutil
import subprocess

from tree import Finding

WHAT = "shell scripts are clean under shellcheck"


def check(tree):
    files = tree.scripts("sh")
    if not shutil.which("shellcheck"):
        yield Finding("tests/packages.test", 1, "shellcheck is not installed")
        return
    if not files:
        return
    told = subprocess.run(["shellcheck", "--external-sources", "--format=gcc", *files], cwd=tree.root,
                          stdout=subprocess.PIPE, text=True)
    for m in re.finditer(r"^(.*?):(\d+):\d+: (.*)", told.stdout, re.M):
        yield Finding(m.group(1), int(m.group(2)), m.group(3))


BAD = [({"tests/x": "#!/bin/sh\nrm $1\n"}, "tests/x:2: note: Double quote")]
GOOD = [{"tests/x": "#!/bin/bash\nrm -- \"$1\"\n"}]
