# SPDX-License-Identifier: Apache-2.0
"""Listeners that come, go and change while the gateway serves: who is connected stays, and who may not
stay is told why."""

import json
import os
import signal
import socket
import ssl
import threading

import pytest

import mqtt
import transport
from daemon import free_ports
from gateway import wait_until
from test_lifecycle import connect

READ_AGAIN = "configuration read again"


def until(d, condition, what):
    """As wait_until, while the service manager takes what the gateway tells: it stops at a full socket."""
    def heard():
        while d.hear():
            pass
        return condition()
    return wait_until(heard, what=what)


def reload(d, line=READ_AGAIN):
    before = len(d.log_lines(line))
    d.write()
    d.process.send_signal(signal.SIGHUP)
    until(d, lambda: len(d.log_lines(line)) > before, f"'{line}' in the log")


def dial(port, client_id, version=mqtt.V5, **connect):
    c = mqtt.Client.tcp(port, version)
    c.connect(client_id, **connect)
    return c


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return False
    except ConnectionRefusedError:
        return True


def names_in_store(d, name):
    """Of the descriptors that the service manager keeps for this listener, one for each worker."""
    return until(d, lambda: len(found := sorted(n for n in d.fds if n.startswith(name + "/"))) == 2 and found,
                 f"the sockets of {name} in the store")


@pytest.fixture
def served(daemon):
    daemon.config["broker"]["workers"] = 2
    daemon.start()
    daemon.await_ready()
    yield daemon
    assert daemon.stop() == 0


def test_one_comes_and_goes(served):
    d, (port,) = served, free_ports(1)
    first = connect(d, "first")
    d.config["listener extra"] = {"bind": f"127.0.0.1:{port}", "tls": "off", "auth": "anonymous", "max-packet": "2K"}
    reload(d)
    second = dial(port, "second")
    assert second.connack.props["maximum_packet_size"] == 2048
    assert names_in_store(d, "extra") == [f"extra/127.0.0.1_{port}/{i}" for i in range(2)]
    addresses = json.loads(d.cli("status", "--json").stdout)["listeners"]
    assert [(x["address"], x["protocol"]) for x in addresses if x["name"] == "extra"] == [(f"127.0.0.1:{port}", "mqtt")]
    os.kill(d.processes()["broker"], signal.SIGKILL)
    wait_until(lambda: d.log_lines("broker serves again"), 15, "another broker")
    first, second = connect(d, "first"), dial(port, "second")
    del d.config["listener extra"]
    reload(d)
    until(d, lambda: refuses(port), "the end of the listener")
    first.ping()
    second.ping()  # who is connected stays
    connect(d, "third").disconnect()
    until(d, lambda: not any(n.startswith("extra/") for n in d.fds), "the end in the store")
    assert "extra" not in d.cli("status").stdout
    second.disconnect()


def test_it_moves_to_another_address(served):
    d, (port,) = served, free_ports(1)
    old = d.mqtt
    stays = connect(d, "stays")
    d.config["listener mqtt"]["bind"] = f"127.0.0.1:{old}, 127.0.0.1:{port}"
    reload(d)
    dial(port, "a").disconnect()
    dial(old, "b").disconnect()
    d.config["listener mqtt"]["bind"] = f"127.0.0.1:{port}"
    reload(d)
    until(d, lambda: refuses(old), "the end of the old address")
    dial(port, "c").disconnect()
    stays.ping()


def test_over_its_own_address(served):
    """From one address of the machine to all: the two sockets stand on the same port for a moment."""
    d = served
    stays = connect(d, "stays")
    d.config["listener mqtt"].update({"bind": f"0.0.0.0:{d.mqtt}", "allow-from": "127.0.0.0/8"})
    reload(d)

    def elsewhere():
        wire = transport.TcpWire(d.mqtt, address="127.0.0.2")
        mqtt.Client(wire, mqtt.V5).connect("elsewhere")
        wire.close()
        return True
    assert elsewhere()
    stays.ping()


def test_another_name_refuses_nobody(served):
    """The socket goes on under the new name: whoever connects meanwhile is served."""
    d = served
    stays = connect(d, "stays")
    stop, served_n, refused = threading.Event(), [], []

    def keep_connecting():
        while not stop.is_set():
            try:
                connect(d, "again").disconnect()
                served_n.append(1)
            except (OSError, AssertionError) as e:
                refused.append(e)
                return
    thread = threading.Thread(target=keep_connecting)
    thread.start()
    wait_until(lambda: len(served_n) > 10 or refused, what="connections before")
    for old, new in (("mqtt", "plain"), ("plain", "other")):
        d.config[f"listener {new}"] = d.config.pop(f"listener {old}")
        reload(d)
        before = len(served_n)
        wait_until(lambda: len(served_n) > before + 10 or refused, what="connections afterwards")
    stop.set()
    thread.join()
    assert not refused
    stays.ping()
    assert names_in_store(d, "other") == [f"other/127.0.0.1_{d.mqtt}/{i}" for i in range(2)]


def kicked(d, client_id):
    return [json.loads(x)["reason"] for x in d.cli("event", "list", "--name", "client.kicked", "--json").stdout
            .splitlines() if json.loads(x)["client_id"] == client_id]


def test_a_login_that_is_asked_for_now(served):
    """Who has not shown it is closed and told; who has stays."""
    d = served
    d.cli("device", "add", "pump", "--password", input="a long password\n")
    d.config["listener mqtt"]["auth"] = "password"
    d.config["listener open"] = {"bind": f"127.0.0.1:{free_ports(1)[0]}", "tls": "off", "auth": "anonymous"}
    nobody = connect(d, "nobody")
    reload(d)
    nobody.expect_disconnect(0x98)  # administrative action
    assert wait_until(lambda: kicked(d, "nobody"), what="the event") == ["the listener asks for a password now"]
    pump = dial(d.mqtt, "pump", username="pump", password="a long password")
    d.config["broker"]["max-packet"] = "2K"
    d.config["listener mqtt"]["max-connections-per-address"] = "5"
    reload(d)
    pump.ping()
    d.config["listener mqtt"]["auth"] = "anonymous"
    reload(d)
    pump.ping()
    d.config["listener mqtt"].update({"auth": "any", "tls": "on"})
    reload(d)
    pump.expect_disconnect(0x98)
    assert wait_until(lambda: kicked(d, "pump"), what="the event") == ["the listener takes only TLS now"]


def test_another_protocol(served):
    d = served
    old = connect(d, "old")
    d.config["listener mqtt"]["protocol"] = "websocket"
    reload(d)

    def web():
        try:
            return mqtt.Client(transport.WebSocketWire(transport.TcpWire(d.mqtt)), mqtt.V5)
        except (AssertionError, ConnectionError):
            return None  # it came to the listener of before
    new = wait_until(web, what="WebSocket")
    new.connect("new")
    old.ping()


def test_a_new_one_with_tls(served):
    """It serves with the gateway's certificate as soon as it is there."""
    d, (port,) = served, free_ports(1)
    d.cli("config", "set", "listener.extra.bind", f"127.0.0.1:{port}")
    context = ssl.create_default_context(cafile=str(d.state / "pub" / "roots.pem"))
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as s:
        assert s.version() == "TLSv1.3"
    d.cli("config", "set", "listener.extra.bind", "")
    until(d, lambda: refuses(port), "the end of the listener")


def test_an_address_that_is_taken(served):
    """It is named, by SIGHUP and by config set, and nothing changes."""
    d = served
    old = connect(d, "old")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = d.cli("config", "set", "listener.extra.bind", f"127.0.0.1:{port}", check=False)
        assert done.returncode == 2
        assert f"127.0.0.1:{port} is in use by another program" in done.stderr, done.stderr
        assert "extra" not in d.cli("config", "list").stdout
        d.config["listener extra"] = {"bind": f"127.0.0.1:{port}"}
        d.config["listener mqtt"]["bind"] = f"127.0.0.1:{free_ports(1)[0]}"
        reload(d, "the gateway goes on with the old one")
        assert d.log_lines(f'error .*listener "extra": the address 127.0.0.1:{port} is in use by another program')
    old.ping()
    connect(d, "new").disconnect()
    assert "config.refused" in d.cli("event", "list").stdout
