# SPDX-License-Identifier: Apache-2.0
"""EST while the authority changes: a new root beside the old one, a locked key, a root of someone else, and
certificates that have expired."""

import contextlib
import pathlib
import sqlite3
import ssl
import time

import pytest

from est import Est
from gateway import wait_until
from pki import Authority, Leaf, open_mqtt, openssl


def subjects(est):
    told = est.get("cacerts").certificates()
    return [openssl("x509", "-noout", "-subject", data=pem.encode()).strip() for pem in told]


def test_a_new_root(make_gateway, tmp_path):
    """Devices learn of it before it counts; one that knows only the old root renews all the same."""
    est = Est(make_gateway())
    old = est.get("cacerts").certificates()[0]
    est.root = tmp_path / "old.pem"
    est.root.write_text(old)
    certificate, key = est.enrol("pump-1")
    est.gateway.cli("ca", "rollover", "start")
    told = wait_until(lambda: (c := est.get("cacerts").certificates()) and len(c) > 2 and c, what="the new root")
    assert told[0] == old  # it is the one in use
    assert len({openssl("x509", "-noout", "-fingerprint", data=pem.encode()) for pem in told}) == len(told)
    est.gateway.cli("ca", "rollover", "switch")
    wait_until(lambda: est.get("cacerts").certificates()[0] != old, what="the new root in front")
    renewed = est.post("simplereenroll", est.csr(key, "pump-1"), certificate=certificate, key=key)
    assert renewed.status == 200
    (pem,) = renewed.certificates()
    (tmp_path / "new.crt").write_text(pem)
    # Without the new root itself: openssl would take it for the end of a chain that it does not trust.
    (tmp_path / "told.pem").write_text("".join(est.get("cacerts").certificates()[1:]))
    openssl("verify", "-x509_strict", "-CAfile", est.root, "-untrusted", tmp_path / "told.pem", tmp_path / "new.crt")
    with open_mqtt(est.gateway.mqtts, est.root, Leaf(key, tmp_path / "new.crt", tmp_path / "new.crt"), "pump-1"):
        pass


def test_a_locked_key(make_gateway):
    """Nothing is issued and nothing used up; what is told is told as before."""
    est = Est(make_gateway())
    key, code = est.key(), est.code("pump-1")
    est.gateway.cli("ca", "lock", input="a good passphrase\na good passphrase\n")
    answer = est.post("simpleenroll", est.csr(key, "pump-1"), user="pump-1", secret=code)
    assert answer.status == 503 and int(answer.field("Retry-After")) >= 60 and "unlock" in answer.text
    assert len(est.get("cacerts").certificates()) == 2
    est.gateway.cli("ca", "unlock", input="a good passphrase\n")
    est.keep(est.post("simpleenroll", est.csr(key, "pump-1"), user="pump-1", secret=code))


@pytest.fixture
def works(make_gateway, tmp_path):
    """(est, a root that the gateway has taken for its next one and whose key is ours)"""
    est = Est(make_gateway())
    root = Authority(tmp_path, "Works Root")
    est.gateway.cli("ca", "csr", "--out", tmp_path / "issuing.csr")
    (tmp_path / "ext").write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nsubjectKeyIdentifier=hash\n"
                                  "keyUsage=critical,keyCertSign,cRLSign,digitalSignature\n"
                                  "authorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", tmp_path / "issuing.csr", "-CA", root.certificate, "-CAkey", root.key,
            "-CAcreateserial", "-days", 20, "-extfile", tmp_path / "ext", "-out", tmp_path / "issuing.crt")
    both = (tmp_path / "issuing.crt").read_text() + pathlib.Path(root.certificate).read_text()
    (tmp_path / "both.pem").write_text(both)
    est.gateway.cli("ca", "import", tmp_path / "both.pem")
    wait_until(lambda: any("Works Root" in s for s in subjects(est)), what="the authorities of now")
    return est, root


CLIENT = {"extendedKeyUsage": "clientAuth", "keyUsage": "digitalSignature"}


def test_a_server_is_no_client(works):
    """Under our own root, as those of broker, admin and enrol are."""
    est, root = works
    key = est.key()
    for purpose, words in (("serverAuth", "clientAuth"), (None, "extended key usage")):
        leaf = root.issue("pump-1", {"extendedKeyUsage": purpose, "keyUsage": "digitalSignature"})
        for operation in ("simpleenroll", "simplereenroll"):
            answer = est.post(operation, est.csr(key, "pump-1"), certificate=leaf.certificate, key=leaf.key)
            assert answer.status == 403 and words in answer.text, answer.text
    authority = root.issue("pump-1", {"basicConstraints": "critical,CA:TRUE", "extendedKeyUsage": "clientAuth",
                                      "keyUsage": "keyCertSign,digitalSignature"})
    answer = est.post("simpleenroll", est.csr(key, "pump-1"), certificate=authority.certificate, key=authority.key)
    assert answer.status == 403 and "authority" in answer.text
    assert not est.gateway.json("event", "list", "--name", "certificate.unknown")


def test_a_certificate_of_ours_that_nobody_issued(works):
    """The alarm for a stolen key: the signature is good, and the registry does not know it."""
    est, root = works
    leaf = root.issue("pump-1", CLIENT)
    for operation in ("simpleenroll", "simplereenroll"):
        answer = est.post(operation, est.csr(leaf.key, "pump-1"), certificate=leaf.certificate, key=leaf.key)
        assert answer.status == 403 and "did not issue" in answer.text
    alarms = est.gateway.json("event", "list", "--name", "certificate.unknown", "--severity", "critical")
    assert alarms and alarms[-1]["detail"]["fingerprint"] == leaf.fingerprint


def test_expired_certificates(make_gateway, tmp_path):
    """One that is over renews within the grace of its profile, and does nothing else."""
    gateway = make_gateway()
    gateway.stop()
    with contextlib.closing(sqlite3.connect(pathlib.Path(gateway.state) / "store" / "registry.db")) as db, db:
        db.execute("UPDATE profile SET lifetime = 1, grace = 3600 WHERE name = 'device'")
        db.execute("UPDATE profile SET lifetime = 1, grace = 0 WHERE name = 'manual'")
    gateway.start()
    est = Est(gateway)

    def short(name, profile):
        key = est.key()
        answer = est.post("simpleenroll", est.csr(key, name), user=name, secret=est.code(name, profile=profile))
        path = tmp_path / f"{name}.crt"
        path.write_text(answer.certificates()[0])
        end = ssl.cert_time_to_seconds(openssl("x509", "-in", path, "-noout", "-enddate").strip().split("=")[1])
        wait_until(lambda: time.time() > end + 1, what="its end")
        return path, key

    path, key = short("pump-1", "device")
    answer = est.post("simpleenroll", est.csr(key, "pump-1"), certificate=path, key=key)
    assert answer.status == 403 and "expired" in answer.text
    assert est.post("simplereenroll", est.csr(key, "pump-1"), certificate=path, key=key).status == 200
    path, key = short("pump-2", "manual")
    answer = est.post("simplereenroll", est.csr(key, "pump-2"), certificate=path, key=key)
    assert answer.status == 403 and "expired" in answer.text
