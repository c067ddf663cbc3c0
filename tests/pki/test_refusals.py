# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an enrolment, over EST and with JSON: each has its status and an event that says why, the device
is not added, and a code that was not at fault is as good as before."""
import base64
import json

import pytest

from est import TYPE, Answer, Est
from gateway import Gateway, wait_until
from pki import Authority, openssl

CLIENT = {"extendedKeyUsage": "clientAuth", "keyUsage": "digitalSignature"}


@pytest.fixture(scope="module")
def est():
    """Of a gateway that keeps every refusal, however quickly the tests go."""
    with Gateway(set=["events.rate-per-source=100000"]) as gw:
        yield Est(gw)


class Attempt:
    """A request that would work: a case spoils one thing of it."""

    def __init__(self, est, name):
        self.est, self.name, self.key = est, name, est.key()
        self.csr = est.csr(self.key, name)
        self.code = self.good = est.code(name)
        self.raw = self.type = self.certificate = self.certificate_key = None

    def send(self, way):
        tls = {"certificate": self.certificate, "key": self.certificate_key}
        if way == "est":
            body = base64.b64encode(self.csr) if self.raw is None else self.raw
            return self.est.ask("POST", "simpleenroll", body, type=self.type or TYPE, user=self.name,
                                secret=self.code, **tls)
        said = {"csr": base64.b64encode(self.csr).decode(), **({"code": self.code} if self.code else {})}
        body = json.dumps(said) if self.raw is None else self.raw
        connection = self.est.connection(**tls)
        try:
            connection.request("POST", "/api/v1/enrol", body, {"Content-Type": self.type or "application/json"})
            return Answer(connection.getresponse())
        finally:
            connection.close()


def malformed(a):
    a.raw = b"{garbage"


def other_type(a):
    a.type = "text/html"


def oversize(a):
    a.raw = b"A" * 70000


def no_request(a):
    a.csr = b"\x30\x03\x02\x01\x00"


def false_signature(a):
    a.csr = a.csr[:-1] + bytes([a.csr[-1] ^ 1])


def weak_key(a):
    path = a.est.folder / "weak.key"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", path)
    a.csr = a.est.csr(path, a.name)


def name_that_is_none(a):
    a.csr = a.est.csr(a.key, "a/b")


def wrong_code(a):
    a.code = "0" * 32


def used_code(a):
    assert a.send("est").status == 200
    a.csr = a.est.csr(a.est.key(), a.name)


def replay(a):
    assert a.send("est").status == 200


def replaced_code(a):
    a.est.code(a.name)


def code_of_another_device(a):
    a.code = a.est.code(f"{a.name}-x")


def code_of_another_network(a):
    a.code = a.est.code(a.name, network="192.0.2.0/24", keep=True)


def foreign_key(a):
    other, key = f"{a.name}-owner", a.est.key()
    assert a.est.post("simpleenroll", a.est.csr(key, other), user=other, secret=a.est.code(other)).status == 200
    a.csr = a.est.csr(key, a.name)


def foreign_certificate(a):
    stranger = Authority(a.est.folder / f"{a.name}-ca", "Stranger").issue(a.name, CLIENT)
    a.code, a.certificate, a.certificate_key = None, stranger.certificate, stranger.key


CASES = [
    (malformed, 400), (other_type, 415), (oversize, 413), (no_request, 400), (false_signature, 400), (weak_key, 400),
    (name_that_is_none, 400), (wrong_code, 401), (used_code, 401), (replay, 401), (replaced_code, 401),
    (code_of_another_device, 403), (code_of_another_network, 403), (foreign_key, 409), (foreign_certificate, 403),
]
CODE_IS_SPENT = {used_code, replay, replaced_code}


@pytest.mark.parametrize("way", ["est", "rest"])
@pytest.mark.parametrize("case, status", CASES, ids=lambda v: getattr(v, "__name__", None))
def test_its_status_and_its_event(est, way, case, status):
    attempt = Attempt(est, f"{way}-{case.__name__.replace('_', '-')}")
    (est.folder / f"{attempt.name}-ca").mkdir()
    case(attempt)
    devices = {d["name"] for d in est.gateway.json("device", "list")}
    before = len(est.refusals())
    answer = attempt.send(way)
    assert answer.status == status, answer.body
    wait_until(lambda: len(est.refusals()) > before, what="the event")
    assert len(est.refusals()) == before + 1 and est.refusals()[-1]
    assert {d["name"] for d in est.gateway.json("device", "list")} == devices
    if case not in CODE_IS_SPENT:
        good = est.post("simpleenroll", est.csr(est.key(), attempt.name), user=attempt.name, secret=attempt.good)
        assert good.status == 200, good.text
