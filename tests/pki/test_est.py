# SPDX-License-Identifier: Apache-2.0
"""EST (RFC 7030, RFC 8951) on the enrolment port: what is told and taken, every refusal with its status and its
event, and what clients are known to stumble over."""

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from est import TYPE, Est, split_pem
from gateway import Gateway, wait_until
from pki import Authority, Leaf, open_mqtt, openssl


@pytest.fixture(scope="module")
def gateway():
    """Of which every refusal is kept, however quickly the tests go."""
    with Gateway(set=["events.rate-per-source=100000"]) as gw:
        yield gw


@pytest.fixture(scope="module")
def est(gateway):
    return Est(gateway)


@pytest.fixture(scope="module")
def numbers():
    return iter(range(1, 1000))


@pytest.fixture
def name(numbers):
    """Of a device that no other test has."""
    return f"pump-{next(numbers)}"


@pytest.fixture
def new(est, name):
    """(name, key, CSR, code) of a device that is to enrol."""
    key = est.key()
    return name, key, est.csr(key, name), est.code(name)


def told(est, words):
    """The newest refusal says so."""
    wait_until(lambda: est.refusals() and words in est.refusals()[-1], what=f"an event with {words!r}")


# -- what is told

def test_cacerts_begin_with_the_root(est, name):
    answer = est.get("cacerts")
    assert answer.status == 200 and answer.field("Content-Type") == "application/pkcs7-mime"
    root, issuing = answer.certificates()
    assert root == est.root.read_text()
    said = est.api("POST", "/api/v1/codes", name=name)["root_fingerprint"]
    printed = openssl("x509", "-noout", "-fingerprint", "-sha256", data=root.encode())
    assert printed.split("=")[1].strip().replace(":", "").lower() == said
    openssl("verify", "-x509_strict", "-CAfile", est.root, data=issuing.encode())


def test_csrattrs_ask_for_a_p256_key(est):
    answer = est.get("csrattrs")
    assert answer.status == 200 and answer.field("Content-Type") == "application/csrattrs"
    shown = openssl("asn1parse", "-inform", "DER", data=base64.b64decode(answer.body))
    assert re.findall(r"OBJECT +:(\S+)", shown) == ["id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256"]


def test_answers_have_a_length_and_a_small_head(est):
    """strongSwan reads no chunks, and the head in one piece of 1024 bytes."""
    answer = est.get("cacerts")
    assert int(answer.field("Content-Length")) == len(answer.body)
    assert not answer.field("Transfer-Encoding")
    assert sum(len(k) + len(v) + 4 for k, v in answer.fields.items()) < 900


def test_head_of_cacerts(est):
    answer = est.ask("HEAD", "cacerts")
    assert answer.status == 200 and answer.body == b"" and int(answer.field("Content-Length")) > 500


def test_labels_are_profiles(est, new):
    name, _, csr, _ = new
    assert est.get("device/cacerts").status == 200
    assert est.get("manual/csrattrs").status == 200
    assert est.get("nobody/cacerts").status == 404
    code = est.code(name, profile="manual")
    assert est.post("device/simpleenroll", csr, user=name, secret=code).status == 403
    assert est.post("nobody/simpleenroll", csr, user=name, secret=code).status == 404
    certificate = est.keep(est.post("manual/simpleenroll", csr, user=name, secret=code))
    until = openssl("x509", "-in", certificate, "-noout", "-enddate")
    assert int(until.split()[-2]) > 2030  # as long as the issuer


@pytest.mark.parametrize("method, operation, status, allow", [
    ("GET", "simpleenroll", 405, "POST"),
    ("PUT", "simpleenroll", 405, "POST"),
    ("DELETE", "simplereenroll", 405, "POST"),
    ("POST", "cacerts", 405, "GET, HEAD"),
    ("POST", "csrattrs", 405, "GET, HEAD"),
    ("POST", "fullcmc", 501, None),
    ("POST", "serverkeygen", 501, None),
    ("GET", "simpleenrol", 404, None),
    ("GET", "", 404, None),
    ("GET", "cacerts/cacerts", 404, None),
    ("GET", "a/b/cacerts", 404, None),
    ("GET", "%63acerts", 404, None),
])
def test_what_is_not_there(est, method, operation, status, allow):
    answer = est.ask(method, operation, b"" if method != "GET" else None)
    assert answer.status == status and answer.field("Allow") == allow
    assert answer.field("Content-Type") == "text/plain; charset=utf-8" and answer.text.endswith("\n")


# -- base64, as clients write and read it

def lines(csr, ending, width=64):
    text = base64.b64encode(csr)
    return b"".join(text[i:i + width] + ending for i in range(0, len(text), width))


FORMS = {
    "one line": base64.b64encode,
    "LF": lambda csr: lines(csr, b"\n"),
    "CRLF": lambda csr: lines(csr, b"\r\n", 76),
    "blanks": lambda csr: lines(csr, b" \t\n", 5),
    "no padding": lambda csr: base64.b64encode(csr).rstrip(b"="),
    "DER": lambda csr: csr,
    "PEM": lambda csr: b"-----BEGIN CERTIFICATE REQUEST-----\n" + lines(csr, b"\n") +
           b"-----END CERTIFICATE REQUEST-----\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_body_is_taken(est, new, form):
    name, _, csr, code = new
    encoding = {"Content-Transfer-Encoding": "base64"}  # RFC 8951: it says nothing
    est.keep(est.ask("POST", "simpleenroll", FORMS[form](csr), user=name, secret=code, fields=encoding))


@pytest.mark.parametrize("agent, lines", [(None, 1), ("curl/7.88.1", 1), ("Cisco libest 3.2.0p", 12)])
def test_lines_are_for_libest(est, agent, lines):
    """libest cannot read a long line, strongSwan cannot read a line break."""
    answer = est.get("cacerts", fields={"User-Agent": agent} if agent else {})
    got = answer.text.splitlines()
    assert len(got) >= lines and (lines > 1 or not answer.text.endswith("\n"))
    assert lines == 1 or all(len(x) == 64 for x in got[:-1])
    assert answer.field("Content-Transfer-Encoding") == "base64"
    assert len(answer.certificates()) == 2


# -- TLS

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls(est, new, version):
    """libest knows no 1.3."""
    name, key, csr, code = new
    certificate = est.keep(est.post("simpleenroll", csr, user=name, secret=code, version=version))
    est.keep(est.post("simplereenroll", csr, version=version, certificate=est.chain(certificate), key=key))


def test_a_certificate_without_its_issuer_is_enough(est, new):
    name, key, csr, code = new
    certificate = est.keep(est.post("simpleenroll", csr, user=name, secret=code))
    est.keep(est.post("simplereenroll", csr, certificate=certificate, key=key))


# -- who asks

def test_a_connection_goes_on_after_401(est, new):
    """libest tries without a secret first, and again on the same connection."""
    name, _, csr, code = new
    c = est.connection()
    body = base64.b64encode(csr)
    first = est.send(c, "POST", "simpleenroll", body)
    assert first.status == 401 and first.field("WWW-Authenticate").startswith("Basic realm=")
    socket_of_first = c.sock
    second = est.send(c, "POST", "simpleenroll", body, user=name, secret=code)
    assert second.status == 200 and c.sock is socket_of_first
    c.close()


def test_a_secret_in_plain_in_the_request(est, name):
    csr = est.csr(est.key(), name, attributes=[f"challengePassword = {est.code(name)}"])
    est.keep(est.post("simpleenroll", csr))


def test_nothing_to_show_is_no_event(est, new):
    before = len(est.refusals())
    assert est.post("simpleenroll", new[2]).status == 401
    told_before = est.post("simpleenroll", b"\x30\x00", user="x", secret="wrong")
    assert told_before.status == 400
    wait_until(lambda: len(est.refusals()) > before, what="the second one's event")
    assert len(est.refusals()) == before + 1


def test_a_code_in_the_wrong_field_is_in_no_log(est, new, gateway):
    code = new[3]
    before = len(est.refusals())
    assert est.post("simpleenroll", b"\x30\x00", user=code, secret="x").status == 400
    assert est.post("simpleenroll", new[2], user=code, secret="x").status == 401
    wait_until(lambda: len(est.refusals()) >= before + 2, what="both refusals")
    assert code not in gateway.log_text() and not any(code in str(e) for e in gateway.json("event", "list"))


def test_a_code_is_used_once(est, new):
    name, _, csr, code = new
    est.keep(est.post("simpleenroll", csr, user=name, secret=code))
    again = est.post("simpleenroll", est.csr(est.key(), name), user=name, secret=code)
    assert again.status == 401 and "used" in again.text and again.field("WWW-Authenticate")
    told(est, "used already")


def test_wrong_codes(est, new):
    name, _, csr, code = new
    wrong = ("Z" if code[0] != "Z" else "Y") + code[1:]
    assert est.post("simpleenroll", csr, user=name, secret=wrong).status == 401
    told(est, "wrong")
    for damaged in ("Basic !!!", "Basic bm9jb2xvbg=="):
        answer = est.post("simpleenroll", csr, fields={"Authorization": damaged})
        assert answer.status == 401 and answer.field("WWW-Authenticate")
    told(est, "Authorization field")
    assert est.post("simpleenroll", csr, fields={"Authorization": "Bearer abc"}).status == 401


def test_a_code_of_another_network(est, new):
    name, _, csr, _ = new
    answer = est.post("simpleenroll", csr, user=name, secret=est.code(name, network="192.0.2.0/24"))
    assert answer.status == 403
    told(est, "network")


def test_a_code_of_another_device(est, new, name):
    _, _, csr, code = new
    other = est.csr(est.key(), f"{name}-other")
    assert est.post("simpleenroll", other, user=name, secret=code).status in (400, 403)
    assert est.post("simpleenroll", csr, user=name, secret=code).status == 200  # it was not used up


def test_a_key_of_another_device(est, new, numbers):
    name, key, csr, code = new
    est.keep(est.post("simpleenroll", csr, user=name, secret=code))
    other = f"pump-{next(numbers)}"
    answer = est.post("simpleenroll", est.csr(key, other), user=other, secret=est.code(other))
    assert answer.status == 409
    told(est, "key")


# -- renewal

def test_a_new_key(est, name):
    certificate, key = est.enrol(name)
    new_key = est.key("P-384")
    answer = est.post("simplereenroll", est.csr(new_key, name), certificate=certificate, key=key)
    renewed = est.keep(answer)
    with open_mqtt(est.gateway.mqtts, est.root, Leaf(new_key, renewed, est.chain(renewed)), name):
        pass


def test_a_renewal_keeps_the_name(est, name):
    """By value: openssl writes UTF8String, the certificate has PrintableString."""
    certificate, key = est.enrol(name)
    uri = re.search(r"URI:(\S+)", openssl("x509", "-in", certificate, "-noout", "-ext", "subjectAltName"))[1]
    shown = openssl("asn1parse", "-in", certificate)
    assert "PRINTABLESTRING" in shown and "UTF8STRING" in openssl("asn1parse", "-inform", "DER",
                                                                  data=est.csr(key, name))

    def renew(csr):
        return est.post("simplereenroll", csr, certificate=certificate, key=key)

    assert renew(est.csr(key, f"{name}-b")).status == 400
    told(est, "subject of the request")
    assert renew(est.csr(key, name, extensions=["subjectAltName = URI:urn:uuid:0"])).status == 400
    told(est, "alternative name")
    assert renew(est.csr(key, name, attributes=["1.3.6.1.5.5.7.7.36 = x"])).status == 400
    told(est, "cannot change the name")
    est.keep(renew(est.csr(key, name, extensions=[f"subjectAltName = URI:{uri}"])))


def test_a_renewal_needs_the_certificate(est, name):
    _, key = est.enrol(name)
    answer = est.post("simplereenroll", est.csr(key, name), user=name, secret=est.code(name))
    assert answer.status == 403
    told(est, "current certificate")


def test_a_certificate_is_for_its_own_device(est, name):
    certificate, key = est.enrol(name)
    answer = est.post("simpleenroll", est.csr(est.key(), f"{name}-b"), certificate=certificate, key=key)
    assert answer.status == 403


def test_a_revoked_certificate(est, name):
    certificate, key = est.enrol(name)
    est.gateway.cli("cert", "revoke", "--device", name)
    for operation in ("simplereenroll", "simpleenroll"):
        answer = est.post(operation, est.csr(key, name), certificate=certificate, key=key)
        assert answer.status == 403 and "revoked" in answer.text
    told(est, "revoked")


def test_foreign_and_forged_certificates(est, name, tmp_path):
    certificate, key = est.enrol(name)
    client = {"extendedKeyUsage": "clientAuth", "keyUsage": "digitalSignature"}
    stranger = Authority(tmp_path, "Stranger").issue(name, client)
    answer = est.post("simpleenroll", est.csr(key, name), certificate=stranger.certificate, key=stranger.key)
    assert answer.status == 403 and "issuer is unknown" in answer.text
    told(est, "not accepted")
    server = Authority(tmp_path, "Other").issue(name, {"extendedKeyUsage": "serverAuth"})
    answer = est.post("simpleenroll", est.csr(key, name), certificate=server.certificate, key=server.key)
    assert answer.status == 403 and "clientAuth" in answer.text
    # A bad certificate is not made good by a code.
    answer = est.post("simpleenroll", est.csr(key, name), certificate=server.certificate, key=server.key,
                      user=name, secret=est.code(name))
    assert answer.status == 403


def test_nobody_needs_a_certificate_to_read(est, tmp_path):
    stranger = Authority(tmp_path, "Stranger").issue("x", {"extendedKeyUsage": "clientAuth"})
    assert est.get("cacerts", certificate=stranger.certificate, key=stranger.key).status == 200


# -- bodies and requests that are refused

@pytest.mark.parametrize("type", ["text/plain", "application/pkcs7-mime", "application/pkcs10x", None])
def test_other_content_types(est, new, type):
    name, _, csr, code = new
    answer = est.post("simpleenroll", csr, user=name, secret=code, type=type)
    assert answer.status == 415
    told(est, "Content-Type")


def test_a_content_type_with_parameters(est, new):
    name, _, csr, code = new
    est.keep(est.post("simpleenroll", csr, user=name, secret=code, type="Application/PKCS10; charset=utf-8"))


BODIES = {
    "nothing": b"", "blanks": b" \r\n", "no base64": b"hello, world", "a bit too much": b"MIIB====",
    "base64 of text": base64.b64encode(b"hello"), "a NUL": b"MII\0B", "an empty sequence": base64.b64encode(b"\x30\0"),
    "a cut one": "cut", "one and a tail": "tail", "a certificate": "certificate", "two": "two",
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies_that_are_no_request(est, new, what):
    name, key, csr, code = new
    body = {"cut": base64.b64encode(csr[:-5]), "tail": base64.b64encode(csr + b"\0"),
            "two": base64.b64encode(csr + csr),
            "certificate": est.root.read_bytes()}.get(BODIES[what], BODIES[what])
    answer = est.ask("POST", "simpleenroll", body, user=name, secret=code)
    assert answer.status == 400 and answer.field("Content-Type").startswith("text/plain")
    told(est, "no certificate request")
    assert est.post("simpleenroll", csr, user=name, secret=code).status == 200  # the code is as it was


@pytest.mark.parametrize("what, words", [
    ("SHA-1", "signed with"), ("signature", "proof of possession"), ("no name", "common name"),
    ("a name with a slash", "name"), ("RSA 1024", "RSA"), ("P-521", "P-521"),
])
def test_requests_that_are_refused(est, new, what, words):
    name, key, csr, code = new
    made = {
        "SHA-1": lambda: est.csr(key, name, "-sha1"),
        "signature": lambda: csr[:-1] + bytes([csr[-1] ^ 1]),
        "no name": lambda: est.csr(key, None),
        "a name with a slash": lambda: est.csr(key, "a/b"),
        "RSA 1024": lambda: weak(est, ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"], name),
        "P-521": lambda: weak(est, ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], name),
    }[what]()
    answer = est.post("simpleenroll", made, user=name, secret=code)
    assert answer.status == 400, answer.text
    assert words in answer.text
    told(est, words)


def weak(est, algorithm, name):
    path = est.folder / "weak.key"
    openssl("genpkey", "-algorithm", *algorithm, "-out", path)
    return est.csr(path, name)


def raw(est, data):
    """Bytes over TLS; all that comes back until the server closes."""
    with est.context().wrap_socket(socket.create_connection(("127.0.0.1", est.gateway.enrol), 20),
                                   server_hostname="localhost") as s:
        s.sendall(data)
        got = b""
        while True:
            try:
                part = s.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return got
            got += part


HEAD = ("POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
        "Authorization: Basic OmNvZGU=\r\nConnection: close\r\n")


def test_a_body_that_says_it_is_too_large(est):
    """Who asks first is told before it sends; who sends at once is heard to the end, else it would not listen."""
    length = f"Content-Length: {16 * 1024 + 1}\r\n"
    got = raw(est, (HEAD + length + "Expect: 100-continue\r\n\r\n").encode())
    assert got.startswith(b"HTTP/1.1 413 ") and b"text/plain" in got
    told(est, "too large")
    got = raw(est, (HEAD + length + "\r\n").encode() + b"A" * (16 * 1024 + 1))
    assert got.startswith(b"HTTP/1.1 413 ")
    got = raw(est, (HEAD + f"Content-Length: {2 ** 63}\r\n\r\n").encode())
    assert got.split()[1] in (b"413", b"400")


@pytest.mark.parametrize("size", [17 * 1024, 200 * 1024, 1000 * 1024])
def test_the_answer_to_a_large_body_arrives(est, size):
    for _ in range(5):
        assert est.ask("POST", "simpleenroll", b"A" * size, user="x", secret="y").status == 413


def test_a_body_without_an_end_is_cut_off(est):
    """After a megabyte nobody listens any more."""
    chunk = b"10000\r\n" + b"A" * 65536 + b"\r\n"
    with est.context().wrap_socket(socket.create_connection(("127.0.0.1", est.gateway.enrol), 20),
                                   server_hostname="localhost") as s:
        s.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            for _ in range(1024):
                s.sendall(chunk)


def test_a_body_that_grows_too_large(est):
    chunk = b"1000\r\n" + b"A" * 4096 + b"\r\n"
    before = len([r for r in est.refusals() if "too large" in r])
    got = raw(est, (HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode() + 5 * chunk + b"0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413 ")
    wait_until(lambda: len([r for r in est.refusals() if "too large" in r]) == before + 1, what="its event")


def test_a_body_of_the_largest_size_is_read(est):
    got = raw(est, (HEAD + f"Content-Length: {16 * 1024}\r\n\r\n").encode() + b"A" * 16 * 1024)
    assert got.startswith(b"HTTP/1.1 400 ")


def test_chunks_are_taken(est, new):
    name, _, csr, code = new
    body = base64.b64encode(csr)
    parts = (body[i:i + 50] for i in range(0, len(body), 50))
    c = est.connection()
    word = base64.b64encode(f"{name}:{code}".encode()).decode()
    c.request("POST", "/.well-known/est/simpleenroll", parts, {"Content-Type": TYPE, "Authorization": f"Basic {word}"},
              encode_chunked=True)
    assert c.getresponse().status == 200
    c.close()


# -- channel binding

@pytest.mark.parametrize("right", [True, False])
def test_tls_unique(est, name, right):
    """RFC 7030, 3.5: the challengePassword of a client that is careful."""
    c = est.connection(version=ssl.TLSVersion.TLSv1_2)
    c.connect()
    binding = c.sock.get_channel_binding("tls-unique")
    assert len(binding) == 12
    binding = binding if right else bytes([binding[0] ^ 1]) + binding[1:]
    csr = est.csr(est.key(), name, attributes=[f"challengePassword = {base64.b64encode(binding).decode()}"])
    answer = est.send(c, "POST", "simpleenroll", base64.b64encode(csr), user=name, secret=est.code(name))
    c.close()
    assert answer.status == (200 if right else 400)
    if not right:
        told(est, "another TLS session")


@pytest.mark.parametrize("right", [True, False])
def test_tls_exporter(est, name, right):
    """RFC 9266: with TLS 1.3, as openssl exports it."""
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"localhost:{est.gateway.enrol}", "-tls1_3", "-CAfile", est.root,
         "-ign_eof", "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    binding = b""
    for line in client.stdout:
        if line.strip().startswith(b"Keying material: "):
            binding = bytes.fromhex(line.split()[-1].decode())
            break
    assert len(binding) == 32
    binding = binding if right else binding[::-1]
    csr = est.csr(est.key(), name, attributes=[f"challengePassword = {base64.b64encode(binding).decode()}"])
    body = base64.b64encode(csr)
    word = base64.b64encode(f"{name}:{est.code(name)}".encode())
    head = HEAD.replace("OmNvZGU=", word.decode()) + f"Content-Length: {len(body)}\r\n\r\n"
    client.stdin.write(head.encode() + body)
    client.stdin.flush()
    answer = client.stdout.read()
    client.stdin.close()
    client.wait(20)
    assert (b"HTTP/1.1 200 " if right else b"HTTP/1.1 400 ") in answer


# -- settings

def test_a_person_decides(make_gateway):
    est = Est(make_gateway(set=["enrol.approval=anyone"]))
    csr = est.csr(est.key(), "pump-1")
    for _ in range(2):  # asking again changes nothing
        answer = est.post("simpleenroll", csr)
        assert answer.status == 202 and int(answer.field("Retry-After")) > 0 and answer.body == b""
    (waiting,) = est.api("GET", "/api/v1/requests")["items"]
    assert waiting["name"] == "pump-1"
    est.api("POST", f"/api/v1/requests/{waiting['id']}/approve")
    est.keep(est.post("simpleenroll", csr))


def test_the_gateway_makes_keys_where_it_is_told_to(make_gateway):
    est = Est(make_gateway(set=["enrol.server-keygen=on", "enrol.approval=anyone"]))
    for kind in ("P-256", "RSA"):
        name = f"pump-{kind.lower()}"
        code = est.code(name)
        csr = est.csr(est.key(kind), name)
        # Nobody waits for a key that would be forgotten.
        assert est.post("serverkeygen", csr).status in (401, 403)
        asks = est.csr(est.key(kind), name, attributes=["1.2.840.113549.1.9.16.2.37 = x"])
        assert est.post("serverkeygen", asks, user=name, secret=code).status == 400
        answer = est.post("serverkeygen", csr, user=name, secret=code)
        assert answer.status == 200, answer.text
        boundary = re.fullmatch(r"multipart/mixed; boundary=(\S+)", answer.field("Content-Type"))[1]
        before, key, certificate, after = answer.text.split(f"--{boundary}")
        assert before == "" and after == "--\r\n"
        head, key = key.split("\r\n\r\n")
        assert "Content-Type: application/pkcs8" in head and "Content-Transfer-Encoding: base64" in head
        head, certificate = certificate.split("\r\n\r\n")
        assert "application/pkcs7-mime; smime-type=certs-only" in head and "Encoding: base64" in head
        if kind == "RSA":
            assert len(key.strip()) > 256  # libest takes none that is shorter
        der = base64.b64decode(certificate)
        (pem,) = split_pem(openssl("pkcs7", "-inform", "DER", "-print_certs", data=der))
        est.folder.joinpath("made.crt").write_text(pem)
        made_key = est.folder / "made.key"
        made_key.write_text(openssl("pkey", "-inform", "DER", data=base64.b64decode(key)))
        public = openssl("pkey", "-in", made_key, "-pubout")
        assert public == openssl("x509", "-noout", "-pubkey", data=pem.encode())
        est.verify(est.folder / "made.crt")
        leaf = Leaf(made_key, est.folder / "made.crt", est.chain(est.folder / "made.crt"))
        with open_mqtt(est.gateway.mqtts, est.root, leaf, name):
            pass


def test_a_binding_can_be_demanded(make_gateway):
    est = Est(make_gateway(set=["enrol.require-binding=on"]))
    shown = openssl("asn1parse", "-inform", "DER", data=base64.b64decode(est.get("csrattrs").body))
    assert "challengePassword" in shown
    answer = est.post("simpleenroll", est.csr(est.key(), "pump-1"), user="", secret=est.code("pump-1"))
    assert answer.status == 400 and "channel binding" in answer.text
    c = est.connection(version=ssl.TLSVersion.TLSv1_2)
    c.connect()
    word = base64.b64encode(c.sock.get_channel_binding("tls-unique")).decode()
    csr = est.csr(est.key(), "pump-2", attributes=[f"challengePassword = {word}"])
    answer = est.send(c, "POST", "simpleenroll", base64.b64encode(csr), user="x", secret=est.code("pump-2"))
    assert answer.status == 200
    c.close()


def json_request(est, c, csr, code):
    c.request("POST", "/api/v1/enrol", json.dumps({"csr": base64.b64encode(csr).decode(), "code": code}),
              {"Content-Type": "application/json"})
    answer = c.getresponse()
    return answer.status, json.loads(answer.read())


def bound(c, wrong=False):
    c.connect()
    binding = c.sock.get_channel_binding("tls-unique")
    binding = binding[::-1] if wrong else binding
    return [f"challengePassword = {base64.b64encode(binding).decode()}"]


def test_a_demanded_binding_holds_for_json_too(make_gateway):
    """Or whoever stole a code would just enrol the other way."""
    est = Est(make_gateway(set=["enrol.require-binding=on"]))
    c = est.connection(version=ssl.TLSVersion.TLSv1_2)
    status, answer = json_request(est, c, est.csr(est.key(), "pump-1"), est.code("pump-1"))
    assert status == 400 and answer["field"] == "csr" and "channel binding" in answer["detail"]
    c.close()
    c = est.connection(version=ssl.TLSVersion.TLSv1_2)
    status, answer = json_request(est, c, est.csr(est.key(), "pump-2", attributes=bound(c)), est.code("pump-2"))
    assert status == 201 and answer["device"] == "pump-2", answer
    c.close()


def test_a_wrong_binding_is_refused_in_json(est, name):
    c = est.connection(version=ssl.TLSVersion.TLSv1_2)
    status, answer = json_request(est, c, est.csr(est.key(), name, attributes=bound(c, wrong=True)), est.code(name))
    assert status == 400 and "another TLS session" in answer["detail"]
    c.close()


def test_the_store_comes_back(make_gateway):
    gw = make_gateway()
    est = Est(gw)
    os.kill(gw.processes()["store"], signal.SIGKILL)
    wait_until(lambda: "store" in gw.processes() and gw.cli("status", check=False).returncode == 0, 30, "the store")
    wait_until(lambda: est.get("cacerts").status == 200, 20, "the authorities")
    est.enrol("pump-1")
