# SPDX-License-Identifier: Apache-2.0
"""OCSP on the enrolment port and stapled by the listeners, as openssl and GnuTLS's tools see them."""

import base64
import http.client
import os
import re
import signal
import ssl
import subprocess
import urllib.parse

import pytest

from gateway import wait_until
from pki import openssl
from test_lists import authorities, certificate


@pytest.fixture(scope="module")
def devices(gateway):
    made = {name: gateway.bundle(name) for name in ("good", "revoked", "held")}
    gateway.cli("cert", "revoke", "--device", "revoked", "--reason", "cessation")
    gateway.cli("cert", "hold", certificate(gateway, "held")["fingerprint"])
    return made


class Enrol:
    """The enrolment port."""

    def __init__(self, gw):
        context = ssl.create_default_context(cafile=gw.root_ca)
        context.check_hostname = False
        self.connection = http.client.HTTPSConnection("127.0.0.1", gw.enrol, context=context, timeout=30)

    def ask(self, method, path, body=None, kind="application/ocsp-request"):
        self.connection.request(method, path, body, {"Content-Type": kind} if body else {})
        answer = self.connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()


@pytest.fixture
def enrol(gateway):
    e = Enrol(gateway)
    yield e
    e.connection.close()


def request(folder, issuing, *leaves, options=()):
    path = folder / "request.der"
    words = [w for leaf in leaves for w in ("-cert", str(leaf))]
    openssl("ocsp", *options, "-issuer", issuing, *words, "-reqout", path)
    return path.read_bytes()


def judged(folder, gw, answer, issuing, leaf, options=()):
    """openssl's verdict on a response: the words after the certificate's name, and whether it verifies."""
    root, _ = authorities(gw, folder)
    (folder / "answer.der").write_bytes(answer)
    done = subprocess.run(["openssl", "ocsp", *options, "-respin", str(folder / "answer.der"), "-no_nonce", "-issuer",
                           str(issuing), "-cert", str(leaf), "-CAfile", str(root), "-verify_other", str(issuing)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert "Response verify OK" in done.stdout, done.stdout
    return done.stdout


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("device, words", [("good", ": good"), ("revoked", "Reason: cessationOfOperation"),
                                           ("held", "Reason: certificateHold")])
def test_the_status_of_a_device(gateway, devices, enrol, tmp_path, digest, device, words):
    _, issuing = authorities(gateway, tmp_path)
    leaf = devices[device] / "device.crt"
    asked = request(tmp_path, issuing, leaf, options=[f"-{digest}"])
    status, kind, answer = enrol.ask("POST", "/ocsp", asked)
    assert (status, kind) == (200, "application/ocsp-response")
    said = judged(tmp_path, gateway, answer, issuing, leaf, [f"-{digest}"])
    assert words in said and "Next Update" in said
    nonces = [re.search(r"OCSP Nonce:\s+(\w+)", openssl("ocsp", *words, "-noverify")).group(1) for words in (
        ("-reqin", tmp_path / "request.der", "-req_text"), ("-respin", tmp_path / "answer.der", "-resp_text"))]
    assert nonces[0] == nonces[1]


def test_by_get(gateway, devices, enrol, tmp_path):
    _, issuing = authorities(gateway, tmp_path)
    leaf = devices["good"] / "device.crt"
    asked = request(tmp_path, issuing, leaf, options=["-no_nonce"])
    text = base64.b64encode(asked).decode()
    for path in (urllib.parse.quote(text, safe=""), text):
        status, _, answer = enrol.ask("GET", f"/ocsp/{path}")
        assert status == 200
        assert ": good" in judged(tmp_path, gateway, answer, issuing, leaf)


def test_several_at_once_and_unknown_ones(gateway, devices, enrol, tmp_path):
    _, issuing = authorities(gateway, tmp_path)
    leaf = devices["revoked"] / "device.crt"
    openssl("ocsp", "-issuer", issuing, "-cert", devices["good"] / "device.crt", "-cert", leaf, "-serial", "0x1234",
            "-reqout", tmp_path / "request.der")
    _, _, answer = enrol.ask("POST", "/ocsp", (tmp_path / "request.der").read_bytes())
    (tmp_path / "answer.der").write_bytes(answer)
    text = openssl("ocsp", "-respin", tmp_path / "answer.der", "-resp_text", "-noverify")
    assert re.findall(r"Cert Status: (\w+)", text) == ["good", "revoked", "unknown"]


def test_what_is_refused(gateway, devices, enrol, tmp_path):
    def refusal(body, method="POST", path="/ocsp"):
        status, kind, answer = enrol.ask(method, path, body)
        assert (status, kind) == (200, "application/ocsp-response")
        assert answer[:4] == b"\x30\x03\x0a\x01" and len(answer) == 5
        return answer[4]

    _, issuing = authorities(gateway, tmp_path)
    good = request(tmp_path, issuing, devices["good"] / "device.crt")
    assert refusal(b"nonsense") == 1
    assert refusal(good[:-1]) == 1
    assert refusal(good + b"\0") == 1
    assert refusal(None, "GET", "/ocsp/%%%") == 1
    foreign = request(tmp_path, gateway.root_ca, devices["good"] / "device.crt")
    assert refusal(foreign) == 6  # another authority
    many = request(tmp_path, issuing, *[devices["good"] / "device.crt"] * 17)
    assert refusal(many) == 1
    for method, path in (("GET", "/ocsp"), ("PUT", "/ocsp"), ("POST", "/ocsp/x"), ("POST", "/crl/all.pem")):
        assert enrol.ask(method, path, b"x")[0] == 405


def test_lists_by_https(gateway, devices, enrol, tmp_path):
    _, issuing = authorities(gateway, tmp_path)
    shown = gateway.json("ca", "crl")
    status, kind, body = enrol.ask("GET", f"/crl/{shown['name']}")
    assert (status, kind) == (200, "application/pkix-crl")
    (tmp_path / "list.der").write_bytes(body)
    openssl("crl", "-inform", "DER", "-in", tmp_path / "list.der", "-noout", "-CAfile", issuing)
    status, kind, body = enrol.ask("GET", "/crl/all.pem")
    assert status == 200 and body.decode().startswith("-----BEGIN X509 CRL-----")
    for wrong in ("0123456789abcdef.crl", "", "..", "x" * 100):
        assert enrol.ask("GET", f"/crl/{wrong}")[0] == 404


# -- stapling

def s_client(gw, port, version, *options):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", gw.root_ca, "-status",
                           f"-{version}", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30).stdout


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
@pytest.mark.parametrize("place", ["mqtts", "admin", "enrol"])
def test_listeners_staple(gateway, place, version):
    def stapled():
        text = s_client(gateway, getattr(gateway, place), version)
        return "OCSP Response Status: successful" in text and text

    text = wait_until(stapled, what="the first response")
    assert "Cert Status: good" in text and "Next Update" in text


@pytest.mark.parametrize("algorithm", ["ECDSA+SHA256", "RSA-PSS+SHA256"])
def test_each_certificate_has_its_own(gateway, algorithm):
    """The gateway has two server certificates; the response is about the one that is shown."""
    text = wait_until(lambda: "successful" in (t := s_client(gateway, gateway.mqtts, "tls1_3", "-sigalgs", algorithm))
                      and t, what="the first response")
    shown = text[text.index("-----BEGIN CERTIFICATE-----"):text.index("-----END CERTIFICATE-----")]
    leaf = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown + "-----END CERTIFICATE-----\n",
                          stdout=subprocess.PIPE, check=True, text=True).stdout.strip().split("=")[1]
    assert re.search(r"Serial Number: (\w+)", text).group(1) == leaf


def test_gnutls_believes_it(gateway):
    wait_until(lambda: "successful" in s_client(gateway, gateway.mqtts, "tls1_3"), what="the first response")
    done = subprocess.run(["gnutls-cli", "--x509cafile", gateway.root_ca, "--verify-hostname=localhost", "-p",
                           str(gateway.mqtts), "127.0.0.1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)
    assert "OCSP" in done.stdout and "Status: The certificate is trusted" in done.stdout, done.stdout


def test_staples_after_a_restart_of_store_and_broker(make_gateway):
    gw = make_gateway()
    wait_until(lambda: "successful" in s_client(gw, gw.mqtts, "tls1_3"), what="the first response")
    for process in ("store", "broker"):
        os.kill(gw.processes()[process], signal.SIGKILL)
        wait_until(lambda: "successful" in s_client(gw, gw.mqtts, "tls1_3"), 20, "the response")
