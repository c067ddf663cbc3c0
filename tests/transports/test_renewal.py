# SPDX-License-Identifier: Apache-2.0
"""Server certificates that are made anew while the gateway runs: new handshakes show them."""

import os
import pathlib
import signal
import socket
import ssl

import pytest

from conftest import name
from cryptography import x509
from gateway import wait_until
from mqtt import V5, Client
from transport import NAME, tls_context

SETTINGS = ["gateway.names=before.example"]


def certificate(gateway, port, rsa=False):
    """The server's certificate, its names, its serial number."""
    context = tls_context(gateway.root_ca)
    if rsa:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        with context.wrap_socket(plain, server_hostname=NAME) as tls:
            found = x509.load_der_x509_certificate(tls.getpeercert(True))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found, names.get_values_for_type(x509.DNSName), found.serial_number


def reload_with(gateway, before, after):
    config = pathlib.Path(gateway.config)
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))
    os.kill(gateway.pid, signal.SIGHUP)


def test_changed_names(gateway):
    ports = {"broker": gateway.mqtts, "admin": gateway.admin, "enrol": gateway.enrol}
    old = {p: certificate(gateway, port) for p, port in ports.items()}
    assert all("before.example" in names for _, names, _ in old.values())
    bundle = gateway.bundle("stays")
    live = Client.tls(gateway.mqtts, V5, bundle=bundle)
    live.connect(name())
    live.subscribe("renewal")

    reload_with(gateway, "before.example", "after.example")

    def renewed(port):
        _, names, _ = certificate(gateway, port)
        return "after.example" in names and "before.example" not in names

    for process, port in ports.items():
        wait_until(lambda: renewed(port), what=f"the new certificate of {process}")
        wait_until(lambda: "after.example" in certificate(gateway, port, rsa=True)[1], what="the RSA certificate")
        new = certificate(gateway, port)
        assert new[2] != old[process][2]
        # The same key: small clients pin it.
        assert new[0].public_key().public_numbers() == old[process][0].public_key().public_numbers()
    live.publish("renewal", "still here")
    assert live.message().payload == b"still here"
    live.disconnect()


def test_the_new_name_is_verified(gateway):
    with socket.create_connection(("127.0.0.1", gateway.mqtts), 10) as plain:
        with tls_context(gateway.root_ca).wrap_socket(plain, server_hostname="after.example") as tls:
            assert tls.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        with socket.create_connection(("127.0.0.1", gateway.mqtts), 10) as plain:
            tls_context(gateway.root_ca).wrap_socket(plain, server_hostname="before.example")


def test_a_reload_that_changes_no_name_keeps_the_certificate(gateway):
    def reloads():
        return len(gateway.json("event", "list", "--name", "config.reloaded"))

    before, count = certificate(gateway, gateway.mqtts)[2], reloads()
    gateway.cli("config", "set", "broker.max-inflight", 77)
    os.kill(gateway.pid, signal.SIGHUP)
    wait_until(lambda: reloads() >= count + 2, what="both reloads")
    assert gateway.log_text().count("made the server certificate broker-p256") == 2
    assert certificate(gateway, gateway.mqtts)[2] == before
