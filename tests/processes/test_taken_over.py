# SPDX-License-Identifier: Apache-2.0
"""A process that was taken over tells lies about its peers to the parent."""

import ctypes
import os
import pathlib
import re
import socket
import struct

import pytest

from gateway import wait_until

PIDFD_OPEN, PIDFD_GETFD = 434, 438  # the same on every architecture
LINK_FD = 3  # where a child finds its parent
TABLES = pathlib.Path(__file__).resolve().parents[2] / "daemon"
libc = ctypes.CDLL(None, use_errno=True)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can speak for another process")


def number(table, row):
    """Place of a row MSG(NAME or PROCESS_NAME in a table or enumeration of the sources."""
    text = (TABLES / table).read_text()
    names = re.findall(r"^MSG\((\w+),", text, re.M) or re.findall(r"^\tPROCESS_(\w+)", text, re.M)
    return names.index(row)


class Voice:
    """The link of a running process to the parent, spoken into by somebody else."""

    def __init__(self, pid):
        process = libc.syscall(PIDFD_OPEN, pid, 0)
        fd = libc.syscall(PIDFD_GETFD, process, LINK_FD, 0)
        assert process >= 0 and fd >= 0, os.strerror(ctypes.get_errno())
        os.close(process)
        self.socket = socket.socket(fileno=fd)

    def accuse(self, process):
        what = b"was seen by nobody"
        body = struct.pack("<BI", number("base/processes.h", process.upper()), len(what)) + what
        self.socket.send(struct.pack("<HHIQI", number("ipc/messages.def", "MISBEHAVED"), 0, len(body), 0, 0) + body)



def test_it_can_name_only_its_peers(daemon):
    daemon.start()
    daemon.await_ready()
    before = daemon.processes()
    Voice(before["ctl"]).accuse("vault")
    wait_until(lambda: daemon.log_lines("ctl accused a process that it has no link to"), what="its end")
    wait_until(lambda: daemon.processes().get("ctl") not in (None, before["ctl"]), what="a new ctl")
    assert daemon.processes()["vault"] == before["vault"]
    assert daemon.stop() == 0


def test_it_is_believed_a_few_times_only(daemon):
    daemon.start()
    daemon.await_ready()
    enrol = daemon.processes()["enrol"]
    voice = Voice(enrol)
    for i in range(3):
        before = daemon.processes()["store"]
        voice.accuse("store")
        wait_until(lambda: daemon.processes().get("store") not in (None, before), what="a new store")
        assert len(daemon.log_lines("store was seen by nobody: treated as taken over")) == i + 1
    before = daemon.processes()["store"]
    voice.accuse("store")
    wait_until(lambda: daemon.processes().get("enrol") not in (None, enrol), what="a new enrol")
    assert daemon.log_lines("enrol accused others too often: treated as taken over")
    assert daemon.processes()["store"] == before
    assert daemon.stop() == 0
