# SPDX-License-Identifier: Apache-2.0
"""The two faces of HTTPS, admin and enrol, change their addresses while the gateway serves: the old
address accepts nothing any more, and what is under way on it ends well."""

import http.client
import os
import re
import signal
import socket
import ssl

import pytest

from daemon import free_ports
from gateway import wait_until
from test_lifecycle import reload
from test_listeners import READ_AGAIN, refuses, until

FACES = ("admin", "enrol")
PATH = {"admin": "/healthz", "enrol": "/.well-known/est/cacerts"}


@pytest.fixture
def served(daemon):
    daemon.start()
    daemon.await_ready()
    yield daemon
    assert daemon.stop() == 0


def anyone():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def dial(port, host="127.0.0.1", source=None):
    return http.client.HTTPSConnection(host, port, context=anyone(), timeout=30,
                                       source_address=(source, 0) if source else None)


def ask(link, face):
    link.request("GET", PATH[face])
    answer = link.getresponse()
    answer.read()
    return answer


def serves(port, face, host="127.0.0.1", source=None):
    link = dial(port, host, source)
    try:
        return ask(link, face).status == 200
    except (ConnectionError, ssl.SSLError, http.client.RemoteDisconnected):
        return False
    finally:
        link.close()


def move(d, face, bind):
    d.config[face]["bind"] = bind
    reload(d, READ_AGAIN)


@pytest.mark.parametrize("face", FACES)
def test_it_moves(served, face):
    d, old, (new,) = served, getattr(served, face), free_ports(1)
    other = FACES[1 - FACES.index(face)]
    idle, elsewhere = dial(old), dial(getattr(d, other))
    assert ask(idle, face).status == ask(elsewhere, other).status == 200
    move(d, face, f"127.0.0.1:{new}")
    until(d, lambda: serves(new, face), "the new address")
    assert refuses(old)
    assert idle.sock.recv(1) == b""  # ended, and not for lack of an answer
    assert ask(elsewhere, other).status == 200  # the other face was not touched
    until(d, lambda: [n for n in d.fds if n.startswith(face)] == [f"{face}/127.0.0.1_{new}/0"], "the store's name")
    assert f"127.0.0.1:{new}" in d.cli("status").stdout
    os.kill(d.processes()[face], signal.SIGKILL)
    wait_until(lambda: d.log_lines(f"{face} serves again"), 15, "the process again")
    assert serves(new, face) and refuses(old)
    move(d, face, f"127.0.0.1:{old}")
    until(d, lambda: serves(old, face), "the old address again")
    assert refuses(new)
    assert not d.log_lines("restart: ")


def test_a_request_under_way_is_answered(served):
    d, (new,) = served, free_ports(1)
    body = b'{"name":"nobody","password":"none"}'
    link = dial(d.admin)
    link.putrequest("POST", "/api/v1/session")
    link.putheader("Content-Type", "application/json")
    link.putheader("Content-Length", str(len(body)))
    link.endheaders(body[:5])
    move(d, "admin", f"127.0.0.1:{new}")
    until(d, lambda: serves(new, "admin"), "the new address")
    assert refuses(d.admin)
    link.send(body[5:])
    answer = link.getresponse()
    answer.read()
    assert answer.status == 401 and answer.headers["Connection"] == "close"


def test_one_address_of_two_goes(served):
    """Connections of the one that stays know nothing of it."""
    d, (second,) = served, free_ports(1)
    move(d, "admin", f"127.0.0.1:{d.admin}, 127.0.0.1:{second}")
    until(d, lambda: serves(second, "admin"), "the second address")
    stays = dial(d.admin)
    assert ask(stays, "admin").status == 200
    first = stays.sock
    move(d, "admin", f"127.0.0.1:{d.admin}")
    until(d, lambda: refuses(second), "the end of the second")
    assert ask(stays, "admin").status == 200 and stays.sock is first


def test_the_same_port_of_another_address(served):
    d = served
    move(d, "admin", f"*:{d.admin}")
    until(d, lambda: serves(d.admin, "admin", "127.0.0.2"), "all addresses")
    move(d, "admin", f"127.0.0.1:{d.admin}")
    until(d, lambda: not serves(d.admin, "admin", "127.0.0.2"), "one address")
    assert serves(d.admin, "admin")


def test_both_change_places(served):
    d, new = served, free_ports(1)[0]
    d.config["admin"]["bind"], d.config["enrol"]["bind"] = f"127.0.0.1:{d.enrol}", f"127.0.0.1:{new}"
    reload(d, READ_AGAIN)
    until(d, lambda: serves(d.enrol, "admin") and serves(new, "enrol"), "the new places")


def test_a_face_is_closed_and_opened(served):
    d = served
    move(d, "enrol", "")
    until(d, lambda: refuses(d.enrol), "its end")
    move(d, "enrol", f"127.0.0.1:{d.enrol}")
    until(d, lambda: serves(d.enrol, "enrol"), "its return")


def test_an_address_that_is_taken_refuses_all_of_it(served):
    d = served
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        d.config["admin"]["bind"] = f"127.0.0.1:{port}"
        d.config["enrol"]["bind"] = ""
        reload(d, "the gateway goes on with the old one")
    assert d.log_lines(re.escape(f'"admin": the address 127.0.0.1:{port} is in use'))
    assert serves(d.admin, "admin") and serves(d.enrol, "enrol")
