# SPDX-License-Identifier: Apache-2.0
"""Programs of npm that tests run, each in the version of its lock file, installed once beside the build."""
import shutil
import subprocess

from gateway import TESTS, build


def install(name):
    """The folder with the node_modules of tests/interop/NAME."""
    folder = build() / "tests" / "interop" / name
    source = TESTS / "interop" / name
    lock = folder / "package-lock.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not lock.exists() or lock.read_bytes() != (source / lock.name).read_bytes():
        shutil.copy(source / "package.json", folder)
        shutil.copy(source / lock.name, lock)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode:
            lock.unlink()
        assert done.returncode == 0, done.stdout + done.stderr
    return folder
