# SPDX-License-Identifier: Apache-2.0
"""clang-format decides, and one version of it, so that it decides one thing."""

import os
import re
import shutil
import subprocess

from tree import Finding

VERSION = 14
WHAT = f"C files are as clang-format {VERSION} writes them"

OWN_STYLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".clang-format")


def program():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name):
            version = subprocess.run([name, "--version"], stdout=subprocess.PIPE, text=True).stdout
            if re.search(rf"version {VERSION}\.", version):
                return name
    return None


def check(tree):
    name = program()
    files = tree.c_files() + [f for f in tree.files if f.endswith(".cc")]
    if not name:
        yield Finding(".clang-format", 1, f"clang-format {VERSION} is not installed")
    if not name or not files:
        return
    told = subprocess.run([name, "--dry-run", f"--style=file:{OWN_STYLE}", *files], cwd=tree.root,
                          stderr=subprocess.PIPE, text=True)
    seen = set()
    for m in re.finditer(r"^(.*?):(\d+):\d+: (?:warning|error): ", told.stderr, re.M):
        if m.group(1) not in seen:
            seen.add(m.group(1))
            yield Finding(m.group(1), int(m.group(2)), f"clang-format would change it: run {name} -i")


BAD = [({"daemon/a.c": "int x;\nint  y ;\n"}, "daemon/a.c:2: clang-format would change it")]
GOOD = [{"daemon/a.c": "int f(void)\n{\n\treturn 0;\n}\n"}]
