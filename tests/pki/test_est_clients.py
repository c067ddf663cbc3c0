# SPDX-License-Identifier: Apache-2.0
"""Clients of EST that others wrote: curl with openssl, and strongSwan's pki. Each fetches the authorities, comes in
by a code, renews, and ends connected over mutual TLS."""

import base64
import hashlib
import subprocess

import pytest

from est import KEYS, Est
from pki import Leaf, open_mqtt, openssl


@pytest.fixture(scope="module")
def est(gateway):
    return Est(gateway)


@pytest.fixture
def sh(tmp_path):
    """A line for the shell, in the test's folder; what it printed."""

    def run(line, data=None, check=True):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", line], input=data, cwd=tmp_path, text=True, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert not check or done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


def connects(est, certificate, key, name):
    with open_mqtt(est.gateway.mqtts, est.root, Leaf(key, certificate, certificate), name):
        pass


def first_root(sh, est):
    """Fetched from somebody whom nobody trusts yet; good if its fingerprint is the one that came with the code."""
    sh(f"curl -sSfk {est.url}/cacerts | base64 -d | openssl pkcs7 -inform DER -print_certs -out ca.pem")
    return sh("openssl x509 -in ca.pem -noout -fingerprint -sha256").split("=")[1].strip().replace(":", "").lower()


POST = "curl -sSf --cacert ca.pem -H 'Content-Type: application/pkcs10'"
TO_PEM = "base64 -d | openssl pkcs7 -inform DER -print_certs"


@pytest.mark.parametrize("kind", KEYS)
def test_curl_and_openssl(est, sh, tmp_path, kind):
    name = f"curl-{kind.lower()}"
    said = est.api("POST", "/api/v1/codes", name=name)
    assert first_root(sh, est) == said["root_fingerprint"]
    algorithm = " ".join(KEYS[kind])
    sh(f"openssl genpkey -algorithm {algorithm} -out device.key")
    sh(f"openssl req -new -key device.key -subj /CN={name} -outform DER | base64 > device.b64")
    sh(f"{POST} -u {name}:{said['code']} --data-binary @device.b64 {est.url}/simpleenroll | {TO_PEM} -out device.crt")
    sh("openssl verify -x509_strict -purpose sslclient -CAfile ca.pem device.crt")
    connects(est, tmp_path / "device.crt", tmp_path / "device.key", name)
    renew = f"{POST} --cert device.crt --key device.key --data-binary @device.b64 {est.url}/simplereenroll"
    sh(f"{renew} | {TO_PEM} -out renewed.crt")
    sh("openssl verify -x509_strict -purpose sslclient -CAfile ca.pem renewed.crt")
    assert sh("openssl x509 -in device.crt -noout -serial") != sh("openssl x509 -in renewed.crt -noout -serial")
    connects(est, tmp_path / "renewed.crt", tmp_path / "device.key", name)
    # A new key, proven with the old one's certificate.
    sh(f"openssl genpkey -algorithm {algorithm} -out second.key")
    sh(f"openssl req -new -key second.key -subj /CN={name} -outform DER | base64 > second.b64")
    sh(f"{POST} --cert renewed.crt --key device.key --data-binary @second.b64 {est.url}/simplereenroll | {TO_PEM} "
       "-out second.crt")
    connects(est, tmp_path / "second.crt", tmp_path / "second.key", name)


def test_curl_waits_for_100(est, sh):
    first_root(sh, est)
    sh("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out device.key")
    sh("openssl req -new -key device.key -subj /CN=curl-100 -outform DER | base64 > device.b64")
    code = est.code("curl-100")
    out = sh(f"{POST} -v -H 'Expect: 100-continue' --expect100-timeout 60 -u :{code} --data-binary @device.b64 "
             f"{est.url}/simpleenroll 2>&1")
    assert "HTTP/1.1 100 Continue" in out and "HTTP/1.1 200 OK" in out
    # One that is too large is refused before it is sent.
    sh("head -c 100000 /dev/zero > large")
    out = sh(f"{POST} -v -H 'Expect: 100-continue' --expect100-timeout 60 --data-binary @large {est.url}/simpleenroll "
             "2>&1", check=False)
    assert "100 Continue" not in out and "HTTP/1.1 413" in out


def test_curl_without_a_file_format(est, sh, tmp_path):
    """PEM as openssl writes it: no standard says so, but it is what people have."""
    first_root(sh, est)
    sh("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device.key -subj /CN=curl-pem "
       "-out device.csr")
    sh(f"{POST} -u :{est.code('curl-pem')} --data-binary @device.csr {est.url}/simpleenroll | {TO_PEM} -out device.crt")
    connects(est, tmp_path / "device.crt", tmp_path / "device.key", "curl-pem")


STRONGSWAN_KEYS = {"RSA": ("rsa", 2048), "P-256": ("ecdsa", 256), "P-384": ("ecdsa", 384)}


def test_strongswan_fetches_the_authorities(est, sh, tmp_path):
    first_root(sh, est)
    sh(f"pki --estca --url https://localhost:{est.gateway.enrol} --cacert ca.pem --caout told --outform pem")
    told = [p.read_text() for p in sorted(tmp_path.glob("told*.pem"), key=lambda p: len(p.name))]
    assert told[0].split() == est.root.read_text().split() and len(told) == 2


@pytest.mark.parametrize("kind", STRONGSWAN_KEYS)
def test_strongswan_enrols_and_renews(est, sh, tmp_path, kind):
    name = f"swan-{kind.lower()}"
    type, size = STRONGSWAN_KEYS[kind]
    pki_est = f"pki --est --url https://localhost:{est.gateway.enrol} --cacert ca.pem --outform pem"
    first_root(sh, est)
    sh(f"pki --gen --type {type} --size {size} --outform pem > device.key")
    sh(f"pki --req --type {type} --in device.key --dn CN={name} > device.req")
    sh(f"{pki_est} --userpass {name}:{est.code(name)} --in device.req > device.crt")
    sh("openssl verify -x509_strict -purpose sslclient -CAfile ca.pem device.crt")
    connects(est, tmp_path / "device.crt", tmp_path / "device.key", name)
    sh(f"{pki_est} --cert device.crt --key device.key --in device.req > renewed.crt")
    sh("openssl verify -x509_strict -purpose sslclient -CAfile ca.pem renewed.crt")
    assert sh("openssl x509 -in device.crt -noout -serial") != sh("openssl x509 -in renewed.crt -noout -serial")
    connects(est, tmp_path / "renewed.crt", tmp_path / "device.key", name)


def test_strongswan_waits_for_a_person(make_gateway, sh, tmp_path):
    """It would ask again after Retry-After; here it is ended and asks again when the person has decided."""
    est = Est(make_gateway(set=["enrol.approval=anyone"]))
    first_root(sh, est)
    sh("pki --gen --type ecdsa --size 256 --outform pem > device.key")
    sh("pki --req --type ecdsa --in device.key --dn CN=swan > device.req")
    ask = ["pki", "--est", "--url", f"https://localhost:{est.gateway.enrol}", "--cacert", "ca.pem", "--outform", "pem",
           "--in", "device.req"]
    first = subprocess.Popen(ask, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = next(line for line in first.stderr if "pending" in line)
    first.kill()
    first.communicate()
    assert "every 60 seconds" in said  # the gateway's Retry-After
    (waiting,) = est.api("GET", "/api/v1/requests")["items"]
    est.api("POST", f"/api/v1/requests/{waiting['id']}/approve")
    sh(" ".join(ask) + " > device.crt")
    connects(est, tmp_path / "device.crt", tmp_path / "device.key", "swan")


def test_what_code_add_prints_works_as_it_is(gateway, est, sh, tmp_path):
    """Pasted whole into a shell: ends connected, and renewed."""
    gateway.cli("acl", "allow", "any", "publish", "some/topic")
    text = gateway.cli("code", "add", "pasted").stdout
    commands = text[text.index("# The root certificate: "):]
    before, renewal = commands.split("# Later, ")
    sh(before)
    first = (tmp_path / "device.crt").read_text()
    est.verify(tmp_path / "device.crt")
    assert sh("openssl x509 -in device.crt -noout -subject").strip() == "subject=CN = pasted"
    names = [e["event"] for e in gateway.json("event", "list", "--device", "pasted")]
    assert "enrol.issued" in names and "client.connected" in names and "acl.denied" not in names
    sh("# Later, " + renewal)
    assert (tmp_path / "device.crt").read_text() != first
    est.verify(tmp_path / "device.crt")


def test_what_code_add_prints_refuses_another_root(gateway, sh, tmp_path):
    """Whoever stands in between is not trusted: the root is thrown away and nothing is sent to it."""
    text = gateway.cli("code", "add", "between").stdout
    fetch = text[text.index("# The root certificate: "):text.index("# A key, ")]
    right = [line for line in text.splitlines() if line.strip().count(":") == 31][0].strip()
    wrong = ("1" if right[0] != "1" else "2") + right[1:]
    sh(fetch.replace(right, wrong))
    assert not (tmp_path / "ca.crt").exists()
    sh(fetch)
    assert (tmp_path / "ca.crt").exists()


def test_openssl_reads_every_answer(est):
    """What is in the envelope is what the registry has, byte for byte."""
    certificate, _ = est.enrol("reader")
    der = openssl("x509", "-in", certificate).encode()
    listed = est.gateway.json("cert", "list", "--device", "reader")
    body = base64.b64decode("".join(der.decode().splitlines()[1:-1]))
    assert [c["fingerprint"] for c in listed] == [hashlib.sha256(body).hexdigest()]
