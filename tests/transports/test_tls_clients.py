# SPDX-License-Identifier: Apache-2.0
"""Small TLS clients, as real programs: bounds on the size of records, and clients that know only RSA.

Between client and gateway a relay writes down the records that the gateway sends.
"""

import fcntl
import os
import select
import socket
import subprocess
import threading
import time

import pytest

from conftest import name
from gateway import wait_until
from mqtt import V5, Client
from transport import NAME, Late, TcpWire

LISTENERS = ["small auth=any record-max=512", "small12 auth=any record-max=1024 tls-versions=1.2",
             "open tls=off auth=anonymous"]
PAYLOAD = bytes(range(256)) * 40
HANDSHAKE, APPLICATION = 22, 23
# What surrounds the plain text in a record: TLS 1.2 a nonce and a tag, 1.3 the type and a tag.
AROUND = {"1.2": 24, "1.3": 17}


class Relay:
    """Forwards one connection to the port and collects (type, length) of the records that come back."""

    def __init__(self, port):
        self.records = []
        self.bytes = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = port
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.target))
        while True:
            for s in select.select([client, server], [], [])[0]:
                data = s.recv(65536)
                if s is server:
                    self._note(data)
                if not data:
                    client.close()
                    server.close()
                    return
                (server if s is client else client).sendall(data)

    def _note(self, data):
        self.bytes += data
        while len(self.bytes) >= 5:
            n = int.from_bytes(self.bytes[3:5], "big")
            if len(self.bytes) < 5 + n:
                return
            self.records.append((self.bytes[0], n))
            self.bytes = self.bytes[5 + n:]

    def largest(self, kind):
        return max((n for k, n in self.records if k == kind), default=0)


class ProgramWire:
    """The standard input and output of a TLS client."""

    def __init__(self, words):
        self.program = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.out = self.program.stdout.fileno()
        fcntl.fcntl(self.out, fcntl.F_SETFL, os.O_NONBLOCK)

    def send(self, data):
        self.program.stdin.write(data)
        self.program.stdin.flush()

    def receive(self, until, size=65536):
        if not select.select([self.out], [], [], max(until - time.monotonic(), 0.001))[0]:
            raise Late("the client gave nothing")
        return os.read(self.out, size)

    def close(self):
        self.program.kill()
        self.program.communicate()


def openssl(port, bundle, *options):
    return ProgramWire(["openssl", "s_client", "-quiet", "-verify_return_error", "-connect", f"127.0.0.1:{port}",
                        "-verify_hostname", NAME, "-CAfile", bundle / "ca.crt", "-cert", bundle / "device.crt",
                        "-key", bundle / "device.key", *options])


def gnutls(port, bundle, version, *options):
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS{version}"
    return ProgramWire(["gnutls-cli", "--logfile=/dev/null", "--x509cafile", bundle / "ca.crt", "--x509certfile",
                        bundle / "device.crt", "--x509keyfile", bundle / "device.key", "--priority", priority,
                        "-p", port, *options, NAME])


@pytest.fixture(scope="module")
def device(gateway):
    return gateway.bundle("small")


def receives_a_large_message(gateway, wire, answer=b"x" * 3000):
    """A message of 10 KiB to this client, and one back."""
    c, topic = Client(wire, V5), f"tls/{name()}"
    c.connect(name())
    c.subscribe(topic, qos=1)
    with Client(TcpWire(gateway.listeners["open"]), V5) as other:
        other.connect(name())
        other.subscribe(f"{topic}/back")
        other.publish(topic, PAYLOAD, qos=1)
        assert c.message().payload == PAYLOAD
        c.publish(f"{topic}/back", answer, qos=1)
        assert other.message().payload == answer
    c.close()


def check_records(relay, size, version):
    assert any(k == APPLICATION for k, _ in relay.records)
    assert relay.largest(APPLICATION) <= size + AROUND[version]
    assert relay.largest(HANDSHAKE) <= size + (AROUND[version] if version == "1.2" else 0)
    # Full ones: the bound is used, not some smaller one.
    assert relay.largest(APPLICATION) >= size


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("size", [512, 1024])
def test_openssl_max_fragment_length(gateway, device, version, size):
    relay = Relay(gateway.mqtts)
    wire = openssl(relay.port, device, "-maxfraglen", size, "-tls" + version.replace(".", "_"))
    receives_a_large_message(gateway, wire)
    check_records(relay, size, version)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("size", [512, 1024])
def test_gnutls_record_size_limit(gateway, device, version, size):
    relay = Relay(gateway.mqtts)
    wire = gnutls(relay.port, device, version, f"--recordsize={size}")
    receives_a_large_message(gateway, wire, answer=b"x")  # the program is slow to send more
    check_records(relay, size, version)


@pytest.mark.parametrize("listener, size, version", [("small", 512, "1.2"), ("small", 512, "1.3"),
                                                     ("small12", 1024, "1.2")])
def test_the_listeners_bound(gateway, device, listener, size, version):
    """For clients that cannot say how little they have."""
    relay = Relay(gateway.listeners[listener])
    wire = openssl(relay.port, device, "-tls" + version.replace(".", "_"))
    receives_a_large_message(gateway, wire)
    check_records(relay, size, version)


def test_without_a_bound_records_are_large(gateway, device):
    relay = Relay(gateway.mqtts)
    receives_a_large_message(gateway, openssl(relay.port, device))
    assert relay.largest(APPLICATION) > 8000


class TestRsaOnly:
    """A client that knows TLS 1.2, RSA keys and RSA signatures."""

    ONLY = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"]

    @pytest.fixture(scope="class")
    def bundle(self, gateway):
        folder = gateway.dir / "rsa"
        folder.mkdir()
        subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old-1", "-keyout",
                        folder / "device.key", "-out", folder / "device.csr"], check=True, capture_output=True)
        gateway.cli("device", "add", "old-1", "--csr", folder / "device.csr", "--out", folder / "device.crt")
        (folder / "ca.crt").write_bytes(open(gateway.root_ca, "rb").read())
        return folder

    def test_certificate(self, gateway, bundle):
        receives_a_large_message(gateway, openssl(gateway.mqtts, bundle, *self.ONLY))
        found = wait_until(lambda: [e for e in gateway.json("event", "list", "--name", "client.connected")
                                    if e["device"] == "old-1"], what="the event")
        assert found[-1]["detail"]["tls"] == "TLS1.2"

    def test_password(self, gateway, bundle):
        gateway.cli("device", "add", "old-2", "--password", input="correct horse battery\n")
        wire = ProgramWire(["openssl", "s_client", "-quiet", "-verify_return_error", "-connect",
                            f"127.0.0.1:{gateway.mqtts}", "-CAfile", bundle / "ca.crt", *self.ONLY])
        c, who = Client(wire, V5), name()
        c.connect(who, username="old-2", password="correct horse battery")
        c.close()

    def test_the_server_shows_its_rsa_certificate(self, gateway, bundle):
        said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.mqtts}", "-CAfile",
                               bundle / "ca.crt", *self.ONLY], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert "Peer signature type: RSA" in said.stdout and "Server public key is 2048 bit" in said.stdout
        assert "Verify return code: 0 (ok)" in said.stdout


def test_a_client_that_does_not_know_the_root_certificate(gateway):
    """The commonest mistake of all, and the client's alert cannot be read in TLS 1.3: the event says it."""
    done = subprocess.run(["openssl", "s_client", "-tls1_3", "-verify_return_error", "-no-CAfile", "-no-CApath",
                           "-connect", f"127.0.0.1:{gateway.mqtts}"], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode != 0
    wait_until(lambda: [e for e in gateway.json("event", "list", "--name", "handshake.refused")
                        if "the client refused our certificate" in e["detail"].get("detail", "")], what="the event")
