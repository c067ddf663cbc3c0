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

from api import Api
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
    link.putheader("Expect", "100-continue")
    link.endheaders()
    assert link.sock.recv(100).startswith(b"HTTP/1.1 100 ")  # the head has been read
    link.send(body[:5])
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


# -- who may connect

def test_a_narrower_allow_from_ends_who_is_connected(served):
    d = served
    here, there = dial(d.admin), dial(d.admin, source="127.0.0.9")
    assert ask(here, "admin").status == ask(there, "admin").status == 200
    first = here.sock
    d.config["admin"]["allow-from"] = "127.0.0.1"
    reload(d, READ_AGAIN)
    assert there.sock.recv(1) == b""
    assert ask(here, "admin").status == 200 and here.sock is first
    assert not serves(d.admin, "admin", source="127.0.0.9")
    d.config["admin"]["allow-from"] = "127.0.0.0/8"
    reload(d, READ_AGAIN)
    until(d, lambda: serves(d.admin, "admin", source="127.0.0.9"), "the other address again")


def test_a_stream_ends_with_its_right(served):
    d = served
    d.cli("admin", "add", "ann", "admin", input=PASSWORD + "\n")
    who = browser(d, "127.0.0.9")
    link = who.connection(60)
    link.request("GET", "/api/v1/stream", headers={"Cookie": who.cookie})
    stream = link.getresponse()
    assert stream.status == 200
    d.config["admin"]["allow-from"] = "127.0.0.1"
    reload(d, READ_AGAIN)
    try:
        while stream.read1(4096):
            pass
    except (ConnectionError, ssl.SSLError, http.client.IncompleteRead):
        pass  # its end, without a word


# -- nobody shuts himself out

PASSWORD = "a long enough secret"


def browser(d, source):
    who = Api(d.admin, d.state / "pub" / "roots.pem", source=source)
    who.context = anyone()
    who.login("ann", PASSWORD)
    return who


@pytest.fixture
def settable(daemon):
    """A gateway whose file does not say where the interface is: it may be changed from there."""
    d = daemon
    del d.config["admin"]
    d.state.mkdir()
    (d.state / "settings.conf").write_text(f"[admin]\nbind = 127.0.0.1:{d.admin}\n")
    d.start()
    d.await_ready()
    d.cli("admin", "add", "ann", "admin", input=PASSWORD + "\n")
    yield d
    assert d.stop() == 0


def change(who, key, value, **more):
    status, answer = who.call("PUT", f"/config/{key}", {"value": value, **more})
    return status, answer


def value_of(d, key):
    return d.cli("config", "show", key).stdout


def test_the_own_address_is_left_out_only_on_trial(settable):
    d, who = settable, browser(settable, "127.0.0.9")
    status, answer = change(who, "admin.allow-from", "127.0.0.1")
    assert status == 400 and "does not let in 127.0.0.9, where you are" in answer["detail"], answer
    assert "confirm-within" in answer["detail"]
    assert change(who, "admin.allow-from", "127.0.0.0/8")[0] == 200  # it lets him in
    status, answer = change(who, "admin.allow-from", "127.0.0.1", **{"confirm-within": 2})
    assert status == 200 and "127.0.0.9" in answer["warning"] and answer["token"]
    assert not serves(d.admin, "admin", source="127.0.0.9")
    until(d, lambda: serves(d.admin, "admin", source="127.0.0.9"), "the way back")
    assert "127.0.0.0/8" in value_of(d, "admin.allow-from")


def test_the_control_socket_is_never_left_out(settable):
    settable.cli("config", "set", "admin.allow-from", "192.0.2.1")
    assert not serves(settable.admin, "admin")


def test_the_own_address_of_the_interface_goes_only_on_trial(settable):
    d, who, (new,) = settable, browser(settable, "127.0.0.1"), free_ports(1)
    status, answer = change(who, "admin.bind", f"127.0.0.1:{new}")
    assert status == 400 and f"does not listen on 127.0.0.1:{d.admin} any more" in answer["detail"]
    status, answer = change(who, "admin.bind", f"127.0.0.1:{new}", **{"confirm-within": 300})
    assert status == 200 and answer["token"]
    until(d, lambda: serves(new, "admin"), "the new address")
    assert refuses(d.admin)
    moved = browser_at(who, new)  # the cookie goes along: it does not know of ports
    assert moved.call("POST", "/config/confirm", {"token": answer["token"]})[0] == 200
    assert str(new) in value_of(d, "admin.bind") and refuses(d.admin)
    status, answer = change(moved, "admin.bind", f"127.0.0.1:{d.admin}", **{"confirm-within": 1})
    assert status == 200
    until(d, lambda: serves(new, "admin") and refuses(d.admin), "the address that was kept")


def browser_at(who, port):
    who.port = port
    return who
