# SPDX-License-Identifier: Apache-2.0
"""Devices with certificates of another authority, made by openssl as people make them: lint, names,
registration by fingerprint, revocation lists."""

import itertools
import os
import signal
import ssl

import pytest

import pki
from gateway import CliError, Gateway, wait_until

STRICT = {"basicConstraints": "critical,CA:FALSE", "keyUsage": "critical,digitalSignature",
          "extendedKeyUsage": "clientAuth"}


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    folder = tmp_path_factory.mktemp("works")
    folder.chmod(0o755)
    return pki.Authority(folder, "Works CA")


@pytest.fixture(scope="module")
def gateway(works):
    crl = works.write_crl()
    trust = f"client-ca={works.certificate} auth=certificate"
    with Gateway(listeners=[f"print {trust}", f"legacy {trust} lint=legacy", f"cn {trust} device-from=cn crl={crl}",
                            f"san {trust} device-from=san"]) as gw:
        for name in ("pump-1", "pump-2", "pump-3"):
            gw.cli("device", "add", name)
        yield gw


_clients = itertools.count(1)


def who(gw, listener, leaf):
    """The device that the gateway takes the certificate for."""
    client = f"c{next(_clients)}"
    pki.open_mqtt(gw.listeners[listener], gw.root_ca, leaf, client).close()

    def actor():
        return [e["actor"] for e in gw.json("event", "list", "--name", "client.connected") if e["client_id"] == client]

    return wait_until(actor, what="the event")[0]


def refused(gw, listener, leaf, reason, detail=""):
    before = len(gw.json("event", "list", "--last", "1000"))
    with pytest.raises((AssertionError, OSError)):
        pki.open_mqtt(gw.listeners[listener], gw.root_ca, leaf)

    def said():
        events = gw.json("event", "list", "--last", "1000")[before:]
        return [e for e in events if e["listener"] == listener and e["reason"] == reason
                and detail in e["detail"].get("detail", "")]

    wait_until(said, what=f"the event {reason} {detail}")


def test_the_common_name_is_the_device(gateway, works):
    assert who(gateway, "cn", works.issue("pump-1", STRICT)) == "pump-1"


def test_a_name_that_is_no_device(gateway, works):
    refused(gateway, "cn", works.issue("ghost", STRICT), "unknown-device", "common name is no device")


@pytest.mark.parametrize("change, detail", [
    ({"extendedKeyUsage": None}, "no extended key usage"),
    ({"extendedKeyUsage": "serverAuth,clientAuth", "keyUsage": "digitalSignature,keyCertSign"}, "keyCertSign"),
    ({"extendedKeyUsage": "anyExtendedKeyUsage"}, "does not name clientAuth"),
    (None, "X.509 version 1"),
])
def test_lint(gateway, works, change, detail):
    leaf = works.issue("pump-1", change and {**STRICT, **change})
    refused(gateway, "cn", leaf, "bad-certificate", detail)


def test_an_authority_is_no_device(gateway, works):
    leaf = works.issue("pump-1", {**STRICT, "basicConstraints": "critical,CA:TRUE"})
    refused(gateway, "cn", leaf, "bad-certificate", "CA:TRUE")


def test_one_authority_below_the_root(gateway, works):
    first = works.subordinate("Line CA")
    assert who(gateway, "cn", first.issue("pump-2", STRICT)) == "pump-2"
    second = first.subordinate("Cell CA")
    refused(gateway, "cn", second.issue("pump-2", STRICT), "bad-certificate", "more than one authority")


def test_alternative_names(gateway, works):
    names = {"subjectAltName": "IP:127.0.0.1,DNS:elsewhere.example,URI:urn:x,DNS:pump-3"}
    assert who(gateway, "san", works.issue("x", {**STRICT, **names})) == "pump-3"
    two = {"subjectAltName": "DNS:pump-1,DNS:pump-2"}
    refused(gateway, "san", works.issue("x", {**STRICT, **two}), "bad-certificate", "two devices")
    refused(gateway, "san", works.issue("pump-1", STRICT), "unknown-device", "alternative names")


def test_registered_certificates_only(gateway, works):
    leaf = works.issue("whatever", STRICT)
    refused(gateway, "print", leaf, "unknown-device", "not registered")
    gateway.cli("cert", "import", "pump-1", leaf.certificate)
    assert who(gateway, "print", leaf) == "pump-1"
    assert who(gateway, "cn", leaf) == "pump-1"  # the registry goes before the name


def test_legacy(gateway, works):
    leaf = works.issue("old", None)
    refused(gateway, "legacy", leaf, "unknown-device")
    gateway.cli("cert", "import", "pump-2", leaf.certificate)
    assert who(gateway, "legacy", leaf) == "pump-2"
    refused(gateway, "print", leaf, "bad-certificate", "X.509 version 1")


def test_a_registered_one_is_revoked_here(gateway, works):
    leaf = works.issue("pump-1", STRICT)
    gateway.cli("cert", "import", "pump-1", leaf.certificate)
    gateway.cli("cert", "revoke", leaf.fingerprint)
    refused(gateway, "cn", leaf, "revoked")


def test_a_new_revocation_list_ends_the_connection(gateway, works):
    leaf = works.issue("pump-3", STRICT)
    link = pki.open_mqtt(gateway.listeners["cn"], gateway.root_ca, leaf)
    works.revoke(leaf)
    works.write_crl()
    os.kill(gateway.pid, signal.SIGHUP)
    link.settimeout(10)
    assert link.recv(1) == b""
    refused(gateway, "cn", leaf, "revoked", "revocation list")
    assert who(gateway, "cn", works.issue("pump-3", STRICT)) == "pump-3"


def test_a_resumed_session_is_judged_as_well(gateway, works):
    leaf = works.issue("pump-2", STRICT)
    context = pki.tls_context(gateway.root_ca, leaf)
    port = gateway.listeners["cn"]

    def again(session=None):
        s = pki.open_mqtt(port, gateway.root_ca, leaf, context=context, session=session)
        s.sendall(b"\xc0\0")  # PINGREQ: the ticket is here when it is answered
        assert s.recv(2) == b"\xd0\0"
        reused, session = s.session_reused, s.session
        s.close()
        return reused, session

    _, session = again()
    reused, session = again(session)
    assert reused
    works.revoke(leaf)
    works.write_crl()
    line = f"{works.revoked} certificates on the revocation lists"
    before = gateway.log_text().count(line)  # other listeners and tests have said it, too
    os.kill(gateway.pid, signal.SIGHUP)
    wait_until(lambda: gateway.log_text().count(line) > before, what="the list")
    with pytest.raises((AssertionError, OSError)):
        again(session)


def test_a_damaged_list_changes_nothing(gateway, works):
    good = works.crl.read_bytes()
    works.crl.write_text("no list")
    os.kill(gateway.pid, signal.SIGHUP)
    wait_until(lambda: "no revocation list in PEM or DER" in gateway.log_text(), what="the error")
    works.crl.write_bytes(good)
    assert who(gateway, "cn", works.issue("pump-1", STRICT)) == "pump-1"


def test_a_list_of_somebody_else_is_no_list(works, tmp_path):
    tmp_path.chmod(0o755)
    other = pki.Authority(tmp_path, "Works CA")  # the same name
    with pytest.raises(RuntimeError) as e:
        Gateway(listeners=[f"cn client-ca={works.certificate} crl={other.write_crl()}"])
    assert "not signed by its authority" in str(e.value)


def test_contradictions():
    with pytest.raises(RuntimeError) as e:
        Gateway(listeners=["x lint=legacy"])
    assert "add client-ca" in str(e.value)
    with pytest.raises(RuntimeError) as e:
        Gateway(listeners=["x lint=legacy client-ca=/nowhere device-from=cn"])
    assert "hardly judges" in str(e.value)


def test_tls_sees_the_right_alert(gateway, works):
    with pytest.raises(ssl.SSLError) as e:
        pki.open_mqtt(gateway.listeners["cn"], gateway.root_ca, works.issue("pump-1", None))
    assert "bad certificate" in str(e.value).lower()


@pytest.mark.parametrize("case, code, text", [
    ("twice", 6, 'registered already, for device "pump-1"'),
    ("revoked", 3, "cannot come back"),
    ("key", 6, 'this key belongs to device'),
    ("own", 3, "this gateway issued it"),
    ("authority", 2, "CA:TRUE"),
    ("rsa-1024", 2, "RSA with 1024 bits"),
    ("no device", 5, 'no device "ghost"'),
    ("no file", 2, "No such file"),
    ("no certificate", 2, "neither DER nor PEM"),
])
def test_import_refuses(gateway, works, tmp_path, case, code, text):
    leaf = works.issue("x", STRICT)
    device, file = "pump-1", leaf.certificate
    if case in ("twice", "revoked"):
        gateway.cli("cert", "import", device, file)
    if case == "revoked":
        gateway.cli("cert", "revoke", leaf.fingerprint)
    if case == "key":
        gateway.cli("cert", "import", device, file)
        device, file = "pump-2", works.issue("y", STRICT, key=leaf.key).certificate
    if case == "own":
        with Gateway() as other:  # another gateway's certificate is fine, one of this name is not
            theirs = other.bundle("pump-9") / "device.crt"
            gateway.cli("cert", "import", device, theirs)
        file = tmp_path / "own.crt"
        pki.forge(gateway.bundle("pump-8") / "device.crt", file)
    if case == "authority":
        file = works.certificate
    if case == "rsa-1024":
        file = works.issue("z", STRICT, algorithm=["rsa:1024"]).certificate
    if case == "no device":
        device = "ghost"
    if case == "no file":
        file = "/nowhere/x.crt"
    if case == "no certificate":
        file = tmp_path / "text"
        file.write_text("hello")
    with pytest.raises(CliError) as e:
        gateway.cli("cert", "import", device, file)
    assert (e.value.code, text in e.value.stderr) == (code, True), e.value


def test_import_takes_der(gateway, works, tmp_path):
    leaf = works.issue("x", STRICT)
    pki.openssl("x509", "-in", leaf.certificate, "-outform", "DER", "-out", tmp_path / "x.der")
    said = gateway.json("cert", "import", "pump-1", tmp_path / "x.der")
    assert (said["fingerprint"], said["via"], said["status"]) == (leaf.fingerprint, "import", "good")
