# SPDX-License-Identifier: Apache-2.0
"""What protocol and interop tests share beside connections: names, strangers' certificates, and the
events that the gateway tells."""

import itertools
import json
import subprocess
import threading

from gateway import build

ROBOT, PASSWORD = "robot", "correct horse battery staple"  # a device and its password
OPEN = "open tls=off auth=anonymous"  # a listener for tests of the standard alone

_numbers = itertools.count(1)


def name():
    """A client identifier, device or topic level that no other test has."""
    return f"c{next(_numbers)}"


def openssl(*words, cwd):
    subprocess.run(["openssl", *map(str, words)], cwd=cwd, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(folder, who, subject=None):
    """who.key and who.crt, signed by itself."""
    openssl("req", "-x509", *P256, "-days", "30", "-keyout", f"{who}.key", "-out", f"{who}.crt",
            "-subj", subject or f"/CN={who}", cwd=folder)


def leaf(folder, who, ca, *extensions):
    """who.key and who.crt, issued by the authority ca of this folder."""
    openssl("req", "-new", *P256, "-keyout", f"{who}.key", "-subj", f"/CN={who}", "-out", f"{who}.csr", cwd=folder)
    (folder / "extensions").write_text("".join(f"{x}\n" for x in extensions))
    openssl("x509", "-req", "-in", f"{who}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "30", "-extfile", "extensions", "-out", f"{who}.crt", cwd=folder)


class Events:
    """What `gatehouse event list --follow` tells, from now on."""

    def __init__(self, gateway):
        self.process = subprocess.Popen(
            [str(build() / "gatehouse"), "--socket", gateway.socket, "--json", "event", "list", "--follow",
             "--last", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.seen = []
        self.more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.more:
                self.seen.append(json.loads(line))
                self.more.notify_all()

    def _find(self, start, kind, fields):
        for e in self.seen[start:]:
            flat = {**e["detail"], **e}
            if e["event"] == kind and all(flat.get(k) == v for k, v in fields.items()):
                return flat
        return None

    def expect(self, act, kind, **fields):
        """Does act() and waits for its event. Of many events of one kind within a second the last are
        only counted; then it is done again. Gives fields and details of the event in one dictionary."""
        start = len(self.seen)
        for _ in range(10):
            act()
            with self.more:
                if self.more.wait_for(lambda: self._find(start, kind, fields), 2):
                    return self._find(start, kind, fields)
        raise AssertionError(f"no event {kind} with {fields}, but {self.seen[start:]}")

    def close(self):
        self.process.terminate()
        self.process.wait()
