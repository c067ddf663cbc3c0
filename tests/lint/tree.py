# SPDX-License-Identifier: Apache-2.0
"""The files that the checks look at, and the few things that several of them need to know of C.

A tree is what git tracks below a folder; where there is no git (a tarball), every file that no
build has made.
"""

import os
import re
import subprocess
from typing import NamedTuple

MADE_BY_A_BUILD = re.compile(
    r"(^|/)(build|build-[^/]*|_build|_inst|autom4te\.cache|build-aux|m4|node_modules|__pycache__|\.[^/]+)/"
    r"|(^|/)(configure|aclocal\.m4|config\.h\.in|Makefile\.in)$|\.pyc$|~$"
)


class Finding(NamedTuple):
    """One line for the person who has to repair it."""

    path: str
    line: int
    why: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.why}"


class Tree:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self._text = {}
        self.files = sorted(f for f in self._list() if os.path.isfile(self.path(f)))

    def _list(self):
        if os.path.exists(os.path.join(self.root, ".git")):
            listed = subprocess.run(
                ["git", "-c", "safe.directory=*", "-C", self.root,
                 "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                stdout=subprocess.PIPE, check=True)
            return set(listed.stdout.decode().split("\0")) - {""}
        found = []
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not MADE_BY_A_BUILD.search(path) or path == ".ci/run":
                    found.append(path)
        return found

    def path(self, name):
        return os.path.join(self.root, name)

    def exists(self, name):
        return os.path.exists(self.path(name))

    def text(self, name):
        """The file as text; "" for what is not text (a fuzz corpus, a picture)."""
        if name not in self._text:
            with open(self.path(name), "rb") as f:
                data = f.read()
            try:
                self._text[name] = data.decode() if b"\0" not in data else ""
            except UnicodeDecodeError:
                self._text[name] = ""
        return self._text[name]

    def lines(self, name):
        """Pairs of line number and line."""
        return enumerate(self.text(name).split("\n"), 1)

    def c_files(self):
        return [f for f in self.files if f.endswith((".c", ".h"))]

    def product_c_files(self):
        return [f for f in self.c_files() if not f.startswith("tests/")]

    def scripts(self, interpreter):
        """Files whose first line names the interpreter ("python3", or "sh" for sh and bash)."""
        wanted = re.compile(r"^#!.*[/ ](ba|da)?sh\b" if interpreter == "sh"
                            else r"^#!.*\b" + interpreter)
        ending = {"sh": ".sh", "python3": ".py"}[interpreter]
        return [f for f in self.files
                if f.endswith(ending) or wanted.match(self.text(f).split("\n", 1)[0])]


_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def blank_out(text, comments_only=False):
    """C source with comments (and literals) replaced by blanks; every line keeps its number."""
    def blank(m):
        s = m.group(0)
        if s[0] in "\"'":
            return s if comments_only else s[0] + " " * (len(s) - 2) + s[0]
        return re.sub(r"[^\n]", " ", s)
    return _TOKEN.sub(blank, text)


class Function(NamedTuple):
    name: str
    line: int
    length: int
    body: str


def functions(text):
    """Functions of a C file in the house's format: their braces stand alone in the first column."""
    lines = blank_out(text).split("\n")
    found, opened = [], None
    for i, line in enumerate(lines):
        if line == "{" and opened is None:
            opened = i
        elif line.rstrip() == "}" and opened is not None:
            start = opened - 1
            while start > 0 and re.match(r"[\s]", lines[start]):
                start -= 1
            head = " ".join(lines[start:opened])
            name = re.search(r"(\w+)\s*\(", head)
            found.append(Function(name.group(1) if name else "?", start + 1, i - start + 1,
                                  "\n".join(lines[opened:i + 1])))
            opened = None
    return found
