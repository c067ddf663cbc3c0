# SPDX-License-Identifier: Apache-2.0
"""From one root to the next: devices with the old and with the new one stay connected throughout."""
import base64
import pathlib
import ssl
import subprocess
import urllib.request

import pytest

from gateway import CliError, wait_until
from mqtt import V5, Client

PASSPHRASE = "correct horse battery\n"


@pytest.fixture
def gw(make_gateway):
    return make_gateway()


def connect(gw, bundle, ca=None, client_id=None):
    client = Client.tls(gw.mqtts, V5, ca=ca or bundle / "ca.crt", cert=bundle / "device.crt", key=bundle / "device.key")
    client.connect(client_id or bundle.name)
    return client


def roots(gw):
    return {a["state"]: a for a in gw.json("ca", "show")["authorities"] if a["kind"] == "root"}


def root_file(gw, state):
    path = gw.dir / f"{state}.crt"
    path.write_text(roots(gw)[state]["pem"])
    return path


def shown(gw, trusted, port=None):
    """Whether openssl and gnutls, with this one root, accept what the listener shows."""
    port = port or gw.mqtts
    first = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", trusted, "-no-CApath", "-no-CAstore",
         "-verify_return_error", "-verify_hostname", "localhost", "-x509_strict", "-brief"],
        input="", capture_output=True, text=True, timeout=30)
    second = subprocess.run(
        ["gnutls-cli", "--x509cafile", trusted, "--verify-hostname", "localhost", "-p", str(port), "127.0.0.1"],
        input="", capture_output=True, text=True, timeout=30)
    verdicts = {"Verification: OK" in first.stderr, "The certificate is trusted" in second.stdout}
    assert len(verdicts) == 1, first.stderr + second.stdout
    return verdicts.pop()


def est_authorities(gw, trusted):
    """Subjects in the answer of EST's cacerts."""
    context = ssl.create_default_context(cafile=trusted)
    with urllib.request.urlopen(f"https://127.0.0.1:{gw.enrol}/.well-known/est/cacerts", context=context,
                                timeout=30) as answer:
        der = base64.b64decode(answer.read())
    return subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout"], input=der,
                          capture_output=True, check=True).stdout.decode()


def refuses(gw, *words, code, says, **options):
    with pytest.raises(CliError) as failed:
        gw.cli(*words, **options)
    assert failed.value.code == code, failed.value
    assert says in failed.value.stderr, failed.value.stderr


def test_devices_with_both_roots_stay_connected(gw):
    old_device = gw.bundle("old")
    with connect(gw, old_device) as live:
        old = root_file(gw, "active")
        gw.cli("ca", "rollover", "start")
        new = root_file(gw, "next")
        live.ping()
        # Before the switch the next root is told, and nothing is of it yet.
        between = gw.bundle("between")
        assert (between / "ca.crt").read_text() == old.read_text() + new.read_text()
        assert (pathlib.Path(gw.root_ca).read_text()) == old.read_text() + new.read_text()
        assert shown(gw, old) and not shown(gw, new)
        wait_until(lambda: roots(gw)["next"]["subject"] in est_authorities(gw, old), what="the next root in cacerts")
        with connect(gw, between, ca=old) as second:
            gw.cli("ca", "rollover", "switch")
            live.ping()
            second.ping()
            wait_until(lambda: shown(gw, new), what="certificates of the new root on the listener")
            assert shown(gw, old)
            for port in (gw.admin, gw.enrol):
                wait_until(lambda: shown(gw, new, port), what="certificates of the new root over HTTPS")
                assert shown(gw, old, port)
            young = gw.bundle("young")
            for bundle, ca in [(old_device, old), (between, new), (between, old), (young, new), (young, old)]:
                connect(gw, bundle, ca=ca, client_id=f"again-{bundle.name}").close()
            issuer = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", new, "-untrusted",
                                     young / "device.crt", young / "device.crt"], capture_output=True, text=True)
            assert issuer.returncode == 0, issuer.stderr
            refuses(gw, "ca", "rollover", "finish", code=6, says="2 devices have no certificate of the new authority")
            live.ping()
            second.ping()
        # The old device gets a new certificate: it needs the old authority no more.
        renewed = gw.dir / "renewed"
        gw.cli("cert", "add", "old", "--bundle", renewed)
        gw.cli("device", "remove", "between")
        live.ping()
        gw.cli("device", "add", "meter", "--password", input="a long password\n")
        refuses(gw, "ca", "rollover", "finish", code=6, says="1 device logs in with a password")
        gw.cli("device", "remove", "meter")
        over = roots(gw)["retiring"]["subject"]
        assert f"over        {over}: its certificates are refused" in gw.cli("ca", "rollover", "finish").stdout
        live.expect_disconnect(0x98)
    connect(gw, renewed, ca=new, client_id="r").close()
    with pytest.raises((AssertionError, OSError)):
        connect(gw, old_device, ca=new)
    wait_until(lambda: not shown(gw, old), what="chains without the old root")
    assert shown(gw, new)
    assert {c["status"] for c in gw.json("cert", "list", "--device", "old")} == {"superseded", "good"}
    assert roots(gw)["retired"]["key"] == "away"
    gw.restart()
    connect(gw, renewed, ca=new, client_id="r").close()
    assert gw.cli("ca", "check").stdout.endswith("0 problems\n")


def test_a_root_that_left_the_machine(gw):
    """Exported, gone from the machine, and back for one signature in the command line alone."""
    gw.bundle("pump-1")
    old, file = root_file(gw, "active"), gw.dir / "root.p8"
    said = gw.cli("ca", "export-root", file, input=PASSPHRASE).stdout
    fingerprint = subprocess.run(["openssl", "x509", "-in", old, "-noout", "-fingerprint", "-sha256"],
                                 capture_output=True, text=True).stdout.split("=")[1].strip()
    assert fingerprint in said
    assert file.stat().st_mode & 0o777 == 0o600
    public = ["openssl", "pkey", "-in", file, "-pubout", "-passin", "pass:" + PASSPHRASE.strip()]
    assert (subprocess.run(public, capture_output=True, text=True).stdout
            == subprocess.run(["openssl", "x509", "-in", old, "-noout", "-pubkey"], capture_output=True,
                              text=True).stdout)
    assert subprocess.run([*public[:-1], "pass:other"], capture_output=True).returncode != 0
    assert not (gw.dir / "state/vault/root.key").exists()
    assert roots(gw)["active"]["key"] == "away"
    refuses(gw, "ca", "export-root", gw.dir / "again", code=5, says="no root key is on this machine", input=PASSPHRASE)
    gw.restart()
    gw.bundle("pump-2")  # issuing needs no root
    gw.cli("ca", "rollover", "start")
    refuses(gw, "ca", "rollover", "switch", code=6, says="--root-key FILE")
    refuses(gw, "ca", "rollover", "start", "--root-key", file, code=3, says="does not open", input="wrong\n")
    foreign = gw.dir / "foreign.key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", foreign], check=True)
    refuses(gw, "ca", "rollover", "start", "--root-key", foreign, code=3, says="not the key of the root in use")
    gw.cli("ca", "rollover", "start", "--root-key", file, input=PASSPHRASE)
    gw.cli("ca", "rollover", "switch")
    wait_until(lambda: shown(gw, old) and shown(gw, root_file(gw, "active")), what="both roots lead to the listener")
    assert not (gw.dir / "state/vault/root.key").exists()


def test_the_root_stays_when_the_file_cannot_be_written(gw):
    refuses(gw, "ca", "export-root", "/proc/no", code=1, says="/proc/no", input=PASSPHRASE)
    there = gw.dir / "there"
    there.write_text("mine")
    refuses(gw, "ca", "export-root", there, code=1, says="name a new file", input=PASSPHRASE)
    refuses(gw, "ca", "export-root", gw.dir / "short", code=2, says="8 to 511", input="short\n")
    assert there.read_text() == "mine" and not (gw.dir / "short").exists()
    assert roots(gw)["active"]["key"] == "here"
    gw.cli("ca", "export-root", gw.dir / "kept", "--keep", input=PASSPHRASE)
    assert roots(gw)["active"]["key"] == "here"


def test_devices_learn_the_roots_over_mqtt(gw):
    """Retained on $gw/pki/roots, the one in use first: also for those that speak no HTTP. Nobody else writes there."""
    bundle = gw.bundle("pump-1")
    gw.cli("acl", "allow", "device:pump-1", "all", "$gw/pki/roots")
    device = connect(gw, bundle)
    device.subscribe("$gw/pki/roots", qos=1)
    assert device.message().payload.decode() == root_file(gw, "active").read_text()
    gw.cli("ca", "rollover", "start")
    pem = device.message().payload.decode()
    assert pem == root_file(gw, "active").read_text() + root_file(gw, "next").read_text()
    assert device.publish("$gw/pki/roots", "forged", 1, retain=True) == 0x87
    gw.restart()
    device = connect(gw, bundle)
    device.subscribe("$gw/pki/roots", qos=1)
    assert device.message().payload.decode() == pem
    gw.cli("ca", "rollover", "abort")
    assert device.message().payload.decode() == root_file(gw, "active").read_text()


def test_abort_and_wrong_order(gw):
    for step in ("switch", "finish", "abort"):
        refuses(gw, "ca", "rollover", step, code=5, says="no ")
    refuses(gw, "ca", "rollover", "sideways", code=2, says="start, status, switch, finish and abort")
    gw.cli("ca", "rollover", "start")
    before = root_file(gw, "active").read_text()
    refuses(gw, "ca", "rollover", "start", code=6, says="is there already")
    gw.cli("ca", "rollover", "abort")
    assert root_file(gw, "active").read_text() == before
    assert not list((gw.dir / "state/vault").glob("*-2.key"))
    gw.cli("ca", "rollover", "start")
    gw.cli("ca", "rollover", "switch")
    refuses(gw, "ca", "rollover", "start", code=6, says="finish that rollover first")
    refuses(gw, "ca", "rollover", "abort", code=5, says="no way back")
    gw.kill()
    gw.start()
    assert gw.json("ca", "show")["rollover"] == "retiring"
    assert gw.cli("ca", "check").stdout.endswith("0 problems\n")


def test_a_root_of_someone_else(gw, tmp_path):
    gw.bundle("pump-1")
    old = root_file(gw, "active")
    refuses(gw, "ca", "import", old, code=5, says="ca csr writes one")
    csr = gw.cli("ca", "csr").stdout
    gw.cli("ca", "csr", "--out", tmp_path / "again.csr")
    (tmp_path / "a.csr").write_text(csr)

    def openssl(*words):
        return subprocess.run(["openssl", *map(str, words)], cwd=tmp_path, check=True, capture_output=True).stdout

    public = [openssl("req", "-in", f"{name}.csr", "-verify", "-noout", "-pubkey") for name in ("a", "again")]
    assert public[0] == public[1]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", "works.key",
            "-out", "works.crt", "-subj", "/O=Works/CN=Works Root", "-days", "3000",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name, lines in [("leaf", "basicConstraints=critical,CA:FALSE"),
                        ("good", "basicConstraints=critical,CA:TRUE,pathlen:0\n"
                                 "keyUsage=critical,keyCertSign,cRLSign,digitalSignature\n"
                                 "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid")]:
        (tmp_path / "ext").write_text(lines + "\nsubjectKeyIdentifier=hash\n")
        openssl("x509", "-req", "-in", "a.csr", "-CA", "works.crt", "-CAkey", "works.key", "-CAcreateserial",
                "-days", "2000", "-extfile", "ext", "-out", f"{name}.crt")
        (tmp_path / f"{name}.pem").write_text((tmp_path / f"{name}.crt").read_text()
                                              + (tmp_path / "works.crt").read_text())
    refuses(gw, "ca", "import", tmp_path / "leaf.pem", code=2, says="none of an authority")
    refuses(gw, "ca", "import", tmp_path / "good.crt", code=2, says="the root that signed it")
    refuses(gw, "ca", "import", tmp_path / "works.crt", code=2, says="no certificate is for the key")
    refuses(gw, "ca", "import", tmp_path / "works.key", code=2, says="no certificates in PEM")
    refuses(gw, "ca", "rollover", "switch", code=5, says="has not been answered")
    gw.cli("ca", "import", tmp_path / "good.pem")
    assert roots(gw)["next"]["key"] == "away"
    # Its name is not of our form, so our old root cannot certify it: that is the operator's decision.
    refuses(gw, "ca", "rollover", "switch", code=6, says="--force")
    gw.cli("ca", "rollover", "switch", "--force")
    wait_until(lambda: shown(gw, tmp_path / "works.crt"), what="certificates of the new root on the listener")
    young = gw.bundle("young")
    connect(gw, young, ca=tmp_path / "works.crt").close()
    assert gw.cli("ca", "check").stdout.endswith("0 problems\n")
    assert old.exists()


def test_a_compromised_authority(gw):
    bundles = [gw.bundle(f"pump-{i}") for i in range(3)]
    gw.cli("device", "set", "pump-2", "--disabled")
    before = roots(gw)["active"]
    codes = gw.dir / "codes.csv"
    with connect(gw, bundles[0]) as one, connect(gw, bundles[1]) as two:
        refuses(gw, "ca", "compromise", "00000000", code=5, says="no root")
        said = gw.cli("ca", "compromise", before["fingerprint"][:12], "--codes", codes).stdout
        assert "2 sessions closed" in said
        for client in (one, two):
            client.expect_disconnect(0x98)
    new = root_file(gw, "active")
    assert roots(gw)["compromised"]["fingerprint"] == before["fingerprint"]
    wait_until(lambda: shown(gw, new), what="certificates of the new root on the listener")
    with pytest.raises((AssertionError, OSError)):
        connect(gw, bundles[0], ca=new)
    lines = codes.read_text().splitlines()
    assert lines[0] == "device,code,expires" and codes.stat().st_mode & 0o777 == 0o600
    assert {x.split(",")[0] for x in lines[1:]} == {"pump-0", "pump-1", "pump-2"}
    assert all(len(x.split(",")[1]) >= 32 for x in lines[1:])
    certs = gw.json("cert", "list", "--device", "pump-0")
    assert [(c["status"], c["reason"]) for c in certs] == [("revoked", "ca-compromise")]
    assert gw.json("event", "list", "--name", "ca.compromised")[0]["severity"] == "critical"
    connect(gw, gw.bundle("fresh"), ca=new).close()
    gw.restart()
    with pytest.raises((AssertionError, OSError)):
        connect(gw, bundles[0], ca=new)
    assert gw.cli("ca", "check").stdout.endswith("0 problems\n")
