# SPDX-License-Identifier: Apache-2.0
"""One gateway for each file, and the ways in which other people's clients reach it."""

import pathlib
from typing import NamedTuple, Optional

import pytest

from gateway import Gateway
from told import PASSWORD, ROBOT, name

LISTENERS = ["tcp tls=off auth=password", "tls auth=password", "mtls auth=certificate",
             "ws protocol=websocket tls=off auth=password", "wss protocol=websocket auth=password",
             "wsm protocol=websocket auth=certificate"]


class Way(NamedTuple):
    """How a client connects: the listener's port, files of TLS, and a login."""

    kind: str
    port: int
    ca: Optional[pathlib.Path]
    cert: Optional[pathlib.Path]
    key: Optional[pathlib.Path]
    login: bool


@pytest.fixture(scope="module")
def gateway():
    with Gateway(listeners=LISTENERS) as gw:
        gw.robot = gw.bundle(ROBOT)
        gw.cli("device", "set", ROBOT, "--password", input=f"{PASSWORD}\n")
        gw.cli("acl", "allow", f"device:{ROBOT}", "all", f"{ROBOT}/#")
        yield gw


@pytest.fixture
def way(gateway):
    """way(kind): one of the LISTENERS."""
    def choose(kind):
        secure, certificate = kind not in ("tcp", "ws"), kind in ("mtls", "wsm")
        return Way(kind, gateway.listeners[kind], gateway.root_ca if secure else None,
                   gateway.robot / "device.crt" if certificate else None,
                   gateway.robot / "device.key" if certificate else None, not certificate)

    return choose


@pytest.fixture
def topic():
    """A topic that no other test has, and that the device may use."""
    return f"{ROBOT}/{name()}"
