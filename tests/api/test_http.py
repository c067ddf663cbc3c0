# SPDX-License-Identifier: Apache-2.0
"""The two web faces as a stranger would try them: heads that two readers would understand differently, paths, methods,
bodies and JSON that are not what they seem. Each gets an answer that says what is wrong, or an end; the memory comes
back."""

import json
import socket

import pytest

from api import Api
from gateway import Gateway, wait_until
from test_documents import has_own_allocator, resident

FACES = ["admin", "enrol"]


@pytest.fixture(scope="module")
def gw():
    with Gateway() as made:
        yield made


@pytest.fixture(scope="module")
def bearer(gw):
    token = gw.json("token", "add", "tester", "admin")["token"]
    return f"Authorization: Bearer {token}\r\n"


class Reply:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first else 0
        self.fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}

    def problem(self):
        assert self.fields["content-type"] == "application/problem+json", self.fields
        said = json.loads(self.body)
        assert said["status"] == self.status and said["type"] and said["title"], said
        return said["detail"]


@pytest.fixture(scope="module")
def send(gw):
    """send(bytes or text): all that comes back over a connection of its own until the server ends it."""
    callers = {face: Api(getattr(gw, face), gw.root_ca) for face in FACES}

    def exchange(data, face="admin"):
        who = callers[face]
        with who.context.wrap_socket(socket.create_connection((who.host, who.port), timeout=20),
                                     server_hostname=who.host) as s:
            got = b""
            try:
                s.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
                while (part := s.recv(65536)):
                    got += part
            except (ConnectionError, TimeoutError) as e:
                assert not isinstance(e, TimeoutError), f"neither an answer nor an end: {data[:200]}"
            return got

    return exchange


HOST = "Host: x\r\nConnection: close\r\n"


def get(path, more="", method="GET", version="HTTP/1.1"):
    return f"{method} {path} {version}\r\n{HOST}{more}\r\n"


def post(body, more="", path="/api/v1/codes"):
    return f"POST {path} HTTP/1.1\r\n{HOST}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


# -- heads

TWICE = ["Content-Length: 2", "Authorization: Bearer x", "Cookie: a=b", "Host: y", "X-Gatehouse-Page: x",
         "Idempotency-Key: x", "If-Match: 1", "Content-Type: application/json", "Origin: https://x"]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("field", TWICE)
def test_a_field_that_is_read_once_comes_once(send, face, field):
    """A proxy in front could read the other one."""
    head = get("/healthz", "".join(f"{f}\r\n" for f in (field, field) if not f.startswith("Host")), "POST")
    if field.startswith("Host"):
        head = get("/healthz", field + "\r\n")
    reply = Reply(send(head, face))
    assert reply.status == 400 and field.split(":")[0] in reply.body.decode() and "twice" in reply.body.decode()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("fields, status, words", [
    ("Content-Length: 2\r\nTransfer-Encoding: chunked", 400, "not both"),
    ("Transfer-Encoding: gzip, chunked", 501, "only chunked"), ("Transfer-Encoding: identity", 501, "only chunked"),
    ("Content-Length : 2", 400, "name of a field"), ("X y: z", 400, "name of a field"),
    ("Content-Length: +2", 400, ""), ("Content-Length: 2, 2", 400, ""), ("Content-Length: 0x2", 400, ""),
    ("Content-Length: -1", 400, ""), ("Content-Length: 99999999999999999999", 413, ""),
    ("X: " + "y" * 33000, 431, ""), ("Cookie: " + "; ".join(f"a{i}=b" for i in range(5000)), 431, ""),
    ("\r\n".join(f"X-{i}: y" for i in range(500)), 431, ""),
])
def test_heads_that_are_refused(send, face, fields, status, words):
    reply = Reply(send(get("/healthz", fields + "\r\n", "POST") + "{}", face))
    assert reply.status == status and words in reply.body.decode(), reply.body


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("head, status", [
    ("GET /healthz HTTP/1.0\r\n\r\n", 200),
    ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 400),  # without Host
    ("GET /healthz\r\n\r\n", 400), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (get("https://x/healthz"), 200), (get("HTTP://[::1]:8443/healthz?x"), 200),  # absolute form
    (get("/healthz", "User-Agent: \xff\xfe\r\n"), 200), (get("/healthz", "Expect: magic\r\n"), 200),
    (get("/healthz", "Range: bytes=0-1\r\n"), 200), (get("/healthz", method="HEAD"), 200),
    (get("/healthz", "Upgrade: websocket\r\n"), 200), (get("/healthz", method="G" * 5000), 405),
])
def test_forms_of_a_request(send, face, head, status):
    reply = Reply(send(head, face))
    assert reply.status == status
    assert status != 200 or reply.body == (b"" if head.startswith("HEAD") else b"ok\n")


@pytest.mark.parametrize("face", FACES)
def test_requests_in_a_row_are_answered_in_their_order(send, face):
    one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    got = send(one + one.replace("healthz", "readyz") + get("/healthz", method="HEAD"), face)
    assert got.count(b"HTTP/1.1 200 OK") == 3 and got.index(b"ok\n") < got.index(b"ready\n")


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "get"])
def test_methods_that_are_not_there(send, face, method):
    """And none that tells back what was sent."""
    reply = Reply(send(get("/healthz", "X-Secret: secret\r\n", method), face))
    assert reply.status == 405 and b"secret" not in reply.body and reply.fields["allow"] == "GET, HEAD"


def test_a_head_is_a_get_without_its_content(send, bearer):
    for path in ("/api/v1/status", "/api/v1/devices?limit=1", "/metrics", "/"):
        reply = Reply(send(get(path, bearer, "HEAD")))
        assert reply.status == 200 and reply.body == b"" and int(reply.fields["content-length"]) > 0, path
    assert Reply(send(get("/api/v1/status", method="HEAD"))).status == 401


# -- paths and queries


@pytest.mark.parametrize("path, status", [
    ("/api/v1/../v1/status", 404), ("/api/v1/status%00", 404), ("/api/v1/sta\0tus", 404), ("/api/v1/status/", 404),
    ("/api/v1//status", 404), ("/api/v1/status#x", 404), ("/../../etc/passwd", 200), ("/assets/../index.html", 404),
    ("/api/v1/devices/a%2fb", 404), ("/api/v1/devices/..%2f..%2fstatus", 404), ("/api/v1/devices/\xc3\xbc", 404),
    ("/api/v1/devices/%C0%AF", 400), ("/api/v1/devices/%zz", 400), ("/api/v1/devices/%", 400),
    ("/api/v1/devices/" + "x" * 20000, 400), ("http://elsewhere/api/v1/nothing", 404),
    ("/api/v1/devices?limit", 400), ("/api/v1/devices?&", 400), ("/api/v1/devices?limit=1?x", 400),
    ("/api/v1/devices?match=%zz", 400), ("/api/v1/devices?match=a%00b", 400), ("/api/v1/devices?m%61tch=a", 200),
    ("/api/v1/devices?limit=1&l%69mit=2", 400), ("/api/v1/devices?" + "&".join(f"a{i}=1" for i in range(200)), 400),
])
def test_paths_and_queries(send, bearer, path, status):
    reply = Reply(send(get(path, bearer)))
    if path.startswith("/../"):  # a page of the interface, or nothing: never a file of the machine
        assert b"root:" not in reply.body
        return
    assert reply.status == status
    if status != 200:
        assert reply.problem()


def test_a_thousand_arguments(gw, send, bearer):
    """More than the memory of a connection holds: it ends, and the others go on."""
    got = send(get("/api/v1/devices?" + "&".join(f"a{i}=1" for i in range(1000)), bearer))
    assert got == b"" or Reply(got).status in (400, 414, 431)
    assert Reply(send(get("/healthz"))).status == 200


# -- bodies


CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("chunks, status", [
    ("11\r\n{\"name\":\"chunk-1\"\r\n1;a=b\r\n}\r\n0\r\nX: y\r\n\r\n", 201), ("zz\r\n", 400), ("-1\r\n", 400),
    ("1\r\n{}\r\n0\r\n\r\n", 400),
])
def test_chunks(send, bearer, chunks, status):
    got = send(get("/api/v1/codes", bearer + CHUNKED, "POST") + chunks)
    assert got == b"" or Reply(got).status == status


def test_a_client_that_waits_for_100(send, bearer):
    got = send(post(b'{"name":"waits"}', bearer + "Expect: 100-continue\r\n"))
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201")


def test_a_body_where_none_belongs(send, bearer):
    assert Reply(send(get("/api/v1/devices", bearer + "Content-Length: 12\r\n") + '{"limit": 1}')).status == 200
    reply = Reply(send(get("/api/v1/codes/1", bearer + "Content-Length: 5\r\n", "DELETE") + '{"a"}'))
    assert reply.status == 400


@pytest.mark.parametrize("fields", ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded",
                                    "Content-Type: multipart/form-data; boundary=x",
                                    "Content-Type: application/json2", "Content-Encoding: gzip"])
def test_bodies_of_another_type(send, bearer, fields):
    """Those that a page of another origin may send without being asked are among them."""
    for path in ("/api/v1/codes", "/api/v1/bundles"):
        reply = Reply(send(post(b'{"name":"typed"}', bearer + fields + "\r\n", path)))
        assert reply.status == 415 and "application/json" in reply.problem()


@pytest.mark.parametrize("fields", ["", "Content-Type: application/json\r\n",
                                    "Content-Type: APPLICATION/JSON; charset=utf-8\r\n"])
def test_bodies_that_are_json(send, bearer, fields):
    assert Reply(send(post(b'{"name":"typed"}', bearer + fields))).status == 201


@pytest.mark.parametrize("body", [
    b"[" * 20000, b'{"name":' + b"[" * 4001 + b"]" * 4001 + b"}", b'{"ttl":NaN}', b'{"ttl":Infinity}',
    b'{"ttl":' + b"9" * 33 + b"}", b'{"ttl":1e5}', b'{"ttl":1e999}', b'{"ttl":1.0}', b'{"ttl":-1}', b'{"ttl":01}',
    b'{"ttl":"60"}', b'{"name":"a\\u0000b"}', b'{"name\\u0000x":"a"}', b'{"name":"\\ud800"}', b'{"name":"\xff"}',
    b'{"name":"a","name":"b"}', b'{"name":"a","n\\u0061me":"b"}', b"\xef\xbb\xbf{}", b"{}{}", b"{} x", b"'a'", b"{a:1}",
    b'{"name":"a",}', b"/**/{}", b"\0", b'{"uses":18446744073709551617}', b'{"":1}', b'{"groups":[["a"]]}',
    b'{"groups":{"a":1}}', b'{"name":' + b'"' + b"\\u00e4" * 40 + b'"}',
])
def test_json_that_is_refused(send, bearer, body):
    reply = Reply(send(post(body, bearer)))
    assert reply.status == 400
    reply.problem()


def test_the_memory_comes_back(gw, send, bearer):
    """After hundreds of requests of every kind the process is as large as it was."""
    def storm(n):
        for i in range(n):
            for data in (post(b"[" * 60000, bearer), post(b'{"name":"x' + b"y" * 60000 + b'"}', bearer),
                         get("/api/v1/devices?" + "&".join(f"a{j}=1" for j in range(200)), bearer),
                         get("/api/v1/openapi.json"), get("/healthz", "X: " + "y" * 33000 + "\r\n"),
                         get("/api/v1/status", f"Cookie: __Host-gatehouse={i}\r\n"), b"\xff" * 100 + b"\r\n\r\n"):
                send(data)

    admin = gw.processes()["admin"]
    storm(10)
    before = resident(admin)
    storm(40)
    if not has_own_allocator():
        wait_until(lambda: resident(admin) < before + (1 << 20), what="the memory of before")
