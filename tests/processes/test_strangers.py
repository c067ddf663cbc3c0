# SPDX-License-Identifier: Apache-2.0
"""A stranger on every socket: random bytes, another protocol, half a greeting, silence, and the control
socket in the hands of somebody who means no good. Nobody crashes, nobody else notices."""

import json
import os
import random
import socket
import ssl
import struct
import subprocess
import threading

import pytest

import mqtt
from gateway import build, wait_until
from transport import TlsWire

LISTENERS = ["mqtts", "mqtt", "wss", "admin", "enrol"]
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
HELLO = bytes.fromhex(  # the beginning of a TLS ClientHello that never ends
    "16030100f4010000f00303" + "ab" * 32 + "20" + "cd" * 32)
CONNECT = mqtt.connect("stranger", version=mqtt.V5)


def random_bytes(n):
    return random.Random(n).randbytes(n)


GREETINGS = {
    "nothing": b"", "one-byte": b"\x16", "random": random_bytes(4000), "zeros": b"\0" * 4000, "http": HTTP,
    "ssh": SSH, "half-hello": HELLO, "connect": CONNECT, "half-connect": CONNECT[:7],
    "long-line": b"GET /" + b"a" * 200000, "proxy": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
}


def dial(gw, where):
    if where == "control":
        s = socket.socket(socket.AF_UNIX)
        s.connect(gw.socket)
    else:
        s = socket.create_connection(("127.0.0.1", getattr(gw, where)))
    s.settimeout(15)
    return s


def say(s, data):
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it was enough already


def drain(s):
    """Reads to the end: how much came. The server closes; that it does not is an error."""
    n = 0
    try:
        while data := s.recv(65536):
            n += len(data)
    except ConnectionResetError:
        pass
    finally:
        s.close()
    return n


@pytest.fixture(scope="module")
def witness(plant):
    """A device that is connected all the time, and must not notice anything."""
    c = plant.connect("pump-1")
    yield c
    c.ping()
    assert all(p["restarts"] == 0 for p in plant.states().values())
    c.disconnect()


@pytest.mark.parametrize("greeting", GREETINGS)
@pytest.mark.parametrize("where", LISTENERS + ["control"])
def test_a_greeting_that_does_not_belong_here(plant, witness, where, greeting):
    s = dial(plant.gw, where)
    say(s, GREETINGS[greeting])
    drain(s)
    witness.ping()


@pytest.mark.parametrize("where", LISTENERS)
def test_many_that_say_nothing(plant, witness, where):
    """Half-open ones are bounded and given up; real clients get in meanwhile."""
    crowd = [dial(plant.gw, where) for _ in range(200)]
    witness.ping()
    plant.connect("panel").disconnect()
    for s in crowd:
        s.close()
    witness.ping()


@pytest.mark.parametrize("where", LISTENERS + ["control"])
def test_many_that_are_reset(plant, witness, where):
    for i in range(100):
        s = dial(plant.gw, where)
        try:
            s.sendall(random_bytes(100 + i))
        except OSError:
            pass
        if where != "control":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    witness.ping()


def test_tls_where_none_is_spoken(plant, witness):
    context = ssl.create_default_context(cafile=str(plant.bundles["panel"] / "ca.crt"))
    with pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(dial(plant.gw, "mqtt"), server_hostname="localhost")
    witness.ping()


def test_http_over_tls_on_the_mqtt_port(plant, witness):
    wire = TlsWire(plant.gw.mqtts, ca=plant.bundles["panel"] / "ca.crt")
    wire.send(HTTP)
    try:
        assert wire.socket.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        pass
    witness.ping()


def test_mqtt_over_tls_on_the_https_ports(plant, witness):
    for port in (plant.gw.admin, plant.gw.enrol):
        assert not https(plant.gw, port, CONNECT + b"\r\n\r\n").startswith(b"\x20")
    witness.ping()


# -- the web processes

def https(gw, port, request):
    wire = TlsWire(port, ca=gw.root_ca)
    wire.send(request)
    wire.socket.settimeout(15)
    answer = b""
    try:
        while data := wire.socket.recv(65536):
            answer += data
    except (ssl.SSLError, ConnectionError):
        pass
    wire.close()
    return answer


@pytest.mark.parametrize("where", ["admin", "enrol"])
def test_strangers_get_health_checks_and_no_more(plant, where):
    port = getattr(plant.gw, where)

    def get(path, method="GET"):
        return https(plant.gw, port, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert get("/healthz").startswith(b"HTTP/1.1 200 OK\r\n") and get("/healthz").endswith(b"\r\n\r\nok\n")
    assert get("/readyz").endswith(b"\r\n\r\nready\n")
    assert get("/healthz", "HEAD").startswith(b"HTTP/1.1 200") and get("/healthz", "HEAD").endswith(b"\r\n\r\n")
    assert get("/healthz", "POST").startswith(b"HTTP/1.1 405") and b"Allow: GET, HEAD" in get("/healthz", "DELETE")
    refused = b"401" if where == "admin" else b"404"
    for path in ("/api/v1/status", "/api/v1/devices", "/metrics"):
        assert get(path).split(b" ")[1] == refused, path
    for path in ("/api/v1/", "/api/v1/nothing", "/x.txt", "/healthz/..txt", "*.", "/../../etc/passwd."):
        assert get(path).split(b" ")[1] in (b"404", b"400"), path


def test_readiness_follows_the_store(make_plant):
    """healthz: this process lives; readyz: it can also do its work."""
    plant = make_plant()

    def get(path):
        return https(plant.gw, plant.gw.admin, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    store = plant.kill("store")
    # Until it is back the answer is 503; how long that takes is not said.
    seen = wait_until(lambda: get("/readyz") if plant.gw.processes().get("store") != store else None)
    assert seen.split(b" ")[1] in (b"200", b"503")
    wait_until(lambda: get("/readyz").startswith(b"HTTP/1.1 200"), what="readiness")
    assert get("/healthz").startswith(b"HTTP/1.1 200")


# -- the control socket

def exchange(gw, request):
    s = dial(gw, "control")
    try:
        s.sendall(request)
    except OSError:
        pass
    answer = b""
    try:
        while data := s.recv(65536):
            answer += data
    except ConnectionResetError:
        pass
    s.close()
    return answer


def api(gw, method, path, body=None, headers=()):
    """(status, body as JSON or None, head)"""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(data)}")
    head, _, rest = exchange(gw, "\r\n".join(lines).encode() + b"\r\n\r\n" + data).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest) if rest[:1] in b"{[" and rest else None, head.decode()


WRONG = [
    ("GET", "/api/v1/nothing", None, 404, "no such resource"),
    ("PATCH", "/api/v1/status", None, 405, "does not know this method"),
    ("POST", "/api/v1/devices", b"{", 400, "not JSON"),
    ("POST", "/api/v1/devices", b"[]", 400, "must be a JSON object"),
    ("POST", "/api/v1/devices", b'{"name": "a", "name": "b"}', 400, "not JSON"),
    ("POST", "/api/v1/devices", {}, 400, "name is missing"),
    ("POST", "/api/v1/devices", {"name": 5}, 400, "name must be text"),
    ("POST", "/api/v1/devices", {"name": "x" * 65}, 400, "65 bytes long; at most 64"),
    ("POST", "/api/v1/devices", {"name": "a", "colour": "red"}, 400, 'no argument named "colour"'),
    ("POST", "/api/v1/devices", {"name": "a", "groups": "b"}, 400, "groups must be a list"),
    ("POST", "/api/v1/devices", {"name": "a", "groups": ["x"] * 65}, 400, "65 entries"),
    ("POST", "/api/v1/devices", {"name": "a", "groups": [""]}, 400, "entry 1 of groups"),
    ("POST", "/api/v1/devices?groups=a", {"name": "a"}, 400, "belongs into the body"),
    ("POST", "/api/v1/devices", {"name": "a", "csr": "nonsense"}, 400, ""),
    ("PATCH", "/api/v1/devices/pump-1", {"name": "pump-2"}, 400, "given twice"),
    ("PATCH", "/api/v1/devices/pump-1", {"enabled": "yes"}, 400, "true or false"),
    ("GET", "/api/v1/devices?limit=many", None, 400, "whole number"),
    ("GET", "/api/v1/devices?limit=1001", None, 400, "between 0 and 1000"),
    ("GET", "/api/v1/devices?limit=1&limit=2", None, 400, "given twice"),
    ("GET", "/api/v1/devices?" + "&".join(["match=a"] * 200), None, 400, "given twice"),
    ("GET", "/api/v1/devices/%zz", None, 400, ""),
    ("GET", "/api/v1/devices/%ff", None, 400, "UTF-8"),
    ("GET", "/api/v1/devices/%00", None, 400, "UTF-8"),
    ("GET", "/api/v1/devices/nobody", None, 404, "nobody"),
    ("GET", "/api/v1/certificates/zz", None, 400, ""),
    ("DELETE", "/api/v1/acl/abc", None, 400, "whole number"),
    ("DELETE", "/api/v1/acl/999999", None, 404, ""),
]


@pytest.mark.parametrize("method, path, body, status, detail", WRONG, ids=range(len(WRONG)))
def test_requests_that_are_wrong(plant, method, path, body, status, detail):
    got, problem, head = api(plant.gw, method, path, body)
    assert got == status, problem
    assert "Content-Type: application/problem+json" in head
    assert problem["status"] == status and detail in problem["detail"], problem


def test_a_body_too_large(plant):
    assert api(plant.gw, "POST", "/api/v1/devices", b"x" * 70000)[0] == 413
    chunks = b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    head = b"POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(plant.gw, head + chunks)
    assert answer.startswith(b"HTTP/1.1 413")


NOT_HTTP = [
    b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\n", b"GET /api/v1/status HTTP/1.1\r\n\r\n",
    b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"\0" * 1000, random_bytes(5000),
]


@pytest.mark.parametrize("request_", NOT_HTTP, ids=range(len(NOT_HTTP)))
def test_http_that_is_none(plant, witness, request_):
    s = dial(plant.gw, "control")
    say(s, request_)
    drain(s)
    assert plant.gw.json("status")["version"]
    witness.ping()


def test_many_requests_at_once(plant):
    """More than the store answers in one turn, and callers that do not wait for their answers."""
    errors = []

    def ask():
        try:
            for _ in range(20):
                assert api(plant.gw, "GET", "/api/v1/devices")[0] == 200
                s = dial(plant.gw, "control")
                s.sendall(b"GET /api/v1/events?last=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
                s.close()
        except (AssertionError, OSError) as e:
            errors.append(e)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert plant.states()["ctl"]["restarts"] == 0


def test_a_stop_while_requests_wait(make_plant):
    """Callers that wait for events are answered, and the gateway ends in order."""
    plant = make_plant()
    waiting = [dial(plant.gw, "control") for _ in range(20)]
    last = plant.gw.json("event", "list")[-1]["seq"]
    for s in waiting:
        s.sendall(f"GET /api/v1/events?since={last + 100}&wait=30000 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    busy = threading.Event()

    def hammer():
        while not busy.is_set():
            try:
                exchange(plant.gw, b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            except OSError:
                return

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    plant.gw.stop()  # an abort of any process fails here
    busy.set()
    for t in threads:
        t.join()
    for s in waiting:
        s.settimeout(5)
        drain(s)
    assert "killed by signal" not in plant.gw.log_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_else_may_not_use_the_control_socket(plant):
    """The socket's owner, group and mode say who is an administrator."""
    def as_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    command = [str(build() / "gatehouse"), "--socket", plant.gw.socket, "device", "list"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=as_nobody)
    assert done.returncode == 3 and "you may not use" in done.stderr, done
