# SPDX-License-Identifier: Apache-2.0
"""openssl s_client and gnutls-cli speak TLS to the gateway: versions, ciphers, groups, signatures,
small records, resumption. CONNECT and PINGREQ go through them as raw bytes."""

import os
import pathlib
import re
import select
import subprocess
import time

import pytest

import mqtt
from told import name

CONNACK_AND_PINGRESP = b"\x20\x02\x00\x00\xd0\x00"


class Tool:
    """A TLS client program: bytes go in and out, what it tells about the connection is on stderr."""

    def __init__(self, *words, log):
        self.log = log
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=log.open("wb"))
        os.set_blocking(self.process.stdout.fileno(), False)

    def exchange(self, data, n, seconds=15):
        """What comes back, up to n bytes, or less when the connection ends."""
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        got, until = b"", time.monotonic() + seconds
        while len(got) < n and time.monotonic() < until:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                if not more:
                    break
                got += more
        return got

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(10)  # it writes its log at its end
        finally:
            self.process.kill()
            self.process.stdout.close()
        return self.log.read_text(errors="replace")


@pytest.fixture
def client_hello(tmp_path):
    """client_hello(program and options…): (bytes that came back, what the program told)"""
    def run(*words, data=None, n=len(CONNACK_AND_PINGRESP)):
        tool = Tool(*words, log=tmp_path / f"log-{name()}")
        got = tool.exchange(data or mqtt.connect(name()) + mqtt.pingreq(), n)
        return got, tool.close()

    return run


def s_client(gateway, *more, port="mtls"):
    robot = gateway.robot
    return ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.listeners[port]}", "-CAfile", gateway.root_ca,
            "-verify_return_error", "-verify_hostname", "localhost", "-servername", "localhost", "-quiet",
            "-no_ign_eof", "-cert", robot / "device.crt", "-cert_chain", robot / "device.crt",
            "-key", robot / "device.key", *more]


def gnutls_cli(gateway, *more, port="mtls"):
    robot = gateway.robot
    return ["gnutls-cli", "--logfile=/dev/stderr", "--x509cafile", gateway.root_ca, "--x509certfile",
            robot / "device.crt", "--x509keyfile", robot / "device.key", "--sni-hostname=localhost",
            "--verify-hostname=localhost", "-p", gateway.listeners[port], *more, "127.0.0.1"]


GOOD = {
    "1.3": ["-tls1_3"],
    "1.2": ["-tls1_2"],
    "1.3 AES-256": ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
    "1.3 ChaCha": ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
    "1.2 ECDSA AES-128": ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
    "1.2 ECDSA AES-256": ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    "1.2 ECDSA ChaCha": ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    "1.2 RSA only": ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
    "1.2 RSA AES-256": ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"],
    "1.2 RSA signatures only": ["-tls1_2", "-sigalgs", "RSA+SHA256:RSA-PSS+SHA256:ECDSA+SHA256", "-cipher", "aRSA"],
    "1.3 X25519": ["-tls1_3", "-groups", "X25519"],
    "1.3 P-256": ["-tls1_3", "-groups", "P-256"],
    "1.3 P-384": ["-tls1_3", "-groups", "P-384"],
    "1.2 P-256": ["-tls1_2", "-groups", "P-256"],
    "1.3 second group": ["-tls1_3", "-groups", "P-521:P-256"],
    "ALPN mqtt": ["-alpn", "mqtt"],
    "ALPN of others": ["-alpn", "h2,mqtt"],
    "1.2 records of 512": ["-tls1_2", "-maxfraglen", "512"],
    "1.2 records of 1024": ["-tls1_2", "-maxfraglen", "1024"],
    "1.3 records of 512": ["-tls1_3", "-maxfraglen", "512"],
    "1.3 split fragments": ["-tls1_3", "-max_send_frag", "512"],
}


@pytest.mark.parametrize("case", GOOD)
def test_openssl(gateway, client_hello, case):
    got, told = client_hello(*s_client(gateway, *GOOD[case]))
    assert got == CONNACK_AND_PINGRESP, told


BAD = {
    "TLS 1.1": ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
    "TLS 1.0": ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"],
    "RSA key exchange": ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
    "CBC": ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
    "finite field": ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
    "P-521 alone": ["-tls1_3", "-groups", "P-521"],
    "SHA-1 signatures": ["-tls1_2", "-cipher", "DEFAULT@SECLEVEL=0", "-sigalgs", "ECDSA+SHA1:RSA+SHA1"],
}


@pytest.mark.parametrize("case", BAD)
def test_openssl_refused(gateway, client_hello, case):
    got, told = client_hello(*s_client(gateway, *BAD[case]))
    assert got == b"", told


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("size", ["512", "1024"])
def test_small_records_carry_large_messages(gateway, client_hello, topic, version, size):
    """A client that asked for small records gets a message of 20,000 bytes in small records."""
    message = mqtt.publish(topic, b"p" * 20000)
    answers = b"\x20\x02\0\0" + b"\x90\x03\0\1\0" + message
    got, told = client_hello(*s_client(gateway, version, "-maxfraglen", size), n=len(answers),
                             data=mqtt.connect(name()) + mqtt.subscribe(1, [(topic, 0)]) + message)
    assert got == answers, told


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption(gateway, client_hello, tmp_path, version):
    session = tmp_path / "session"
    got, told = client_hello(*s_client(gateway, version, "-sess_out", session))
    assert got == CONNACK_AND_PINGRESP and session.stat().st_size > 0, told
    command = [w for w in s_client(gateway, version, "-sess_in", session) if w != "-quiet"]
    tool = Tool(*command, log=tmp_path / "second")
    out = tool.exchange(mqtt.connect(name()) + mqtt.pingreq(), 1 << 20, seconds=1)
    told = tool.close()
    assert CONNACK_AND_PINGRESP in out and b"Reused, TLSv1" in out, out + told.encode()


def test_server_certificate_and_chain(gateway):
    """What a client without knowledge sees: leaf and issuing certificate, the names of the machine."""
    done = subprocess.run([str(w) for w in s_client(gateway, "-showcerts")
                           if w not in ("-quiet", "-no_ign_eof")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.stdout.count("-----BEGIN CERTIFICATE-----") >= 2 and "Verify return code: 0 (ok)" in done.stdout


GNUTLS = {
    "default": "NORMAL",
    "1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3",
    "1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2",
    "1.2 RSA only": "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA",
    "AES-256": "NORMAL:-CIPHER-ALL:+AES-256-GCM",
    "ChaCha": "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305",
    "P-256": "NORMAL:-GROUP-ALL:+GROUP-SECP256R1",
    "P-384": "NORMAL:-GROUP-ALL:+GROUP-SECP384R1",
    "SECURE128": "SECURE128",
}


@pytest.mark.parametrize("case", GNUTLS)
def test_gnutls(gateway, client_hello, case):
    got, told = client_hello(*gnutls_cli(gateway, f"--priority={GNUTLS[case]}"))
    assert got == CONNACK_AND_PINGRESP, told


@pytest.mark.parametrize("priority", [
    "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
    "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC"], ids=["1.1", "RSA", "CBC"])
def test_gnutls_refused(gateway, client_hello, priority):
    got, told = client_hello(*gnutls_cli(gateway, f"--priority={priority}"))
    assert got == b"", told


def test_gnutls_alpn(gateway, client_hello):
    got, told = client_hello(*gnutls_cli(gateway, "--alpn=mqtt"))
    assert got == CONNACK_AND_PINGRESP and re.search(r"Application protocol: mqtt", told), told


def test_files_of_the_bundle(gateway):
    """The chain in device.crt leads to ca.crt."""
    robot = pathlib.Path(gateway.robot)
    done = subprocess.run(["openssl", "verify", "-CAfile", str(robot / "ca.crt"), "-untrusted",
                           str(robot / "device.crt"), "-purpose", "sslclient", str(robot / "device.crt")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.returncode == 0, done.stdout
