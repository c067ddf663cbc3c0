# SPDX-License-Identifier: Apache-2.0
"""gatehouse ca init: another authority before the first device, judged by openssl."""

import subprocess

import pytest

from gateway import CliError, wait_until
from mqtt import V5, Client

PASSPHRASE = "correct horse battery"
EXTENSIONS = """[ca]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


@pytest.fixture
def gw(make_gateway):
    return make_gateway()


def openssl(*words, cwd):
    return subprocess.run(["openssl", *map(str, words)], cwd=cwd, check=True, capture_output=True, text=True).stdout


def refuses(gw, *words, code, says, **options):
    with pytest.raises(CliError, match=says) as e:
        gw.cli("ca", "init", *words, **options)
    assert e.value.code == code


def authorities(gw, kind, state="active"):
    return [a for a in gw.json("ca", "show")["authorities"] if a["kind"] == kind and a["state"] == state]


def works_root(path, *how, extra=()):
    """A root as a company has it, its key under a passphrase."""
    openssl("req", "-x509", *how, "-keyout", "works.key", "-passout", f"pass:{PASSPHRASE}", "-out", "works.crt",
            "-subj", "/O=Works/CN=Works Root", "-days", "3000", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            *extra, cwd=path)


def serves(gw, root):
    """A new device connects, trusts this root alone, and openssl finds nothing wrong with the chain."""
    bundle = gw.bundle("pump-1")
    (gw.dir / "root.pem").write_text(root)
    issuing, = authorities(gw, "issuing")
    (gw.dir / "issuing.pem").write_text(issuing["pem"])
    openssl("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "issuing.pem", bundle / "device.crt",
            cwd=gw.dir)

    def connects():
        try:
            client = Client.tls(gw.mqtts, V5, ca=gw.dir / "root.pem", cert=bundle / "device.crt",
                                key=bundle / "device.key")
        except OSError:  # the listener's certificate is being made anew
            return False
        with client:
            client.connect("pump-1")
        return True

    wait_until(connects, what="a certificate of the new root on the listener")
    assert gw.cli("ca", "check").stdout.endswith("0 problems\n")
    assert gw.json("ca", "show")["rollover"] == "none"
    assert len([*gw.dir.glob("state/vault/issuing*.key")]) == 1  # those of the one before are gone


def test_a_new_root_of_p384(gw):
    before, = authorities(gw, "root")
    said = gw.cli("ca", "init", "--root", "P-384").stdout
    root, = authorities(gw, "root")
    assert root["fingerprint"] != before["fingerprint"] and root["subject"] in said and "export-root" in said
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=root["pem"], capture_output=True, text=True,
                          check=True).stdout
    assert "secp384r1" in text and "ecdsa-with-SHA384" in text and "pathlen:2" in text
    serves(gw, root["pem"])
    refuses(gw, code=6, says="1 certificate of a device is of this authority: gatehouse ca rollover")


@pytest.mark.parametrize("how", [("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"), ("-newkey", "rsa:3072"),
                                 ("-newkey", "ed25519")], ids=["P-384", "RSA", "Ed25519"])
def test_below_a_root_whose_key_is_here(gw, tmp_path, how):
    works_root(tmp_path, *how)
    files = ("--root-key", tmp_path / "works.key", "--root-cert", tmp_path / "works.crt")
    refuses(gw, *files, code=3, says="passphrase", input="another one\n")
    gw.cli("ca", "init", *files, input=PASSPHRASE + "\n")
    root, = authorities(gw, "root")
    assert root["key"] == "away" and root["subject"] == "Works Root"
    assert authorities(gw, "root", "retired")
    serves(gw, (tmp_path / "works.crt").read_text())


@pytest.fixture
def token(tmp_path, monkeypatch):
    """A token with the key of a root whose certificate is works.crt, and the URL of the key."""
    (tmp_path / "tokens").mkdir()
    config = tmp_path / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    works_root(tmp_path, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def softhsm(*words):
        subprocess.run(["softhsm2-util", *map(str, words)], check=True, capture_output=True)

    softhsm("--init-token", "--free", "--label", "works", "--so-pin", "123456", "--pin", "654321")
    softhsm("--import", tmp_path / "works.key", "--token", "works", "--label", "root", "--id", "01", "--pin", "654321")
    return "pkcs11:token=works;object=root;type=private"


def test_below_a_root_whose_key_is_in_a_token(gw, tmp_path, token):
    files = ("--root-key", token, "--root-cert", tmp_path / "works.crt")
    refuses(gw, *files, code=3, says="does not take the PIN", input="111111\n")
    refuses(gw, "--root-key", token.replace("works", "other"), *files[2:], code=2, says="no private key is found")
    gw.cli("ca", "init", *files, input="654321\n")
    root, = authorities(gw, "root")
    assert root["key"] == "away" and root["subject"] == "Works Root"
    serves(gw, (tmp_path / "works.crt").read_text())


def test_below_a_root_that_is_elsewhere(gw, tmp_path):
    works_root(tmp_path, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    said = gw.cli("ca", "init", "--external-root", "--out", tmp_path / "issuing.csr").stdout
    assert "gatehouse ca init --signed FILE" in said
    (tmp_path / "ext").write_text(EXTENSIONS)
    openssl("x509", "-req", "-in", "issuing.csr", "-CA", "works.crt", "-CAkey", "works.key", "-passin",
            f"pass:{PASSPHRASE}", "-CAcreateserial", "-days", "2000", "-extfile", "ext", "-extensions", "ca",
            "-out", "issuing.crt", cwd=tmp_path)
    (tmp_path / "both.pem").write_text("".join((tmp_path / n).read_text() for n in ("issuing.crt", "works.crt")))
    refuses(gw, "--signed", tmp_path / "issuing.crt", code=2, says="the root that signed it")
    gw.cli("ca", "init", "--signed", tmp_path / "both.pem")
    serves(gw, (tmp_path / "works.crt").read_text())


def test_what_does_not_fit(gw, tmp_path):
    before = gw.json("ca", "show")
    works_root(tmp_path, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               extra=["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"])
    key, cert = tmp_path / "works.key", tmp_path / "works.crt"
    other = gw.dir / "other.crt"
    other.write_text(authorities(gw, "root")[0]["pem"])
    typed = {"input": PASSPHRASE + "\n"}
    refuses(gw, "--root", "P-521", code=2, says="allowed are P-256 and P-384")
    refuses(gw, "--root", "P-384", "--root-key", key, code=2, says="give one of")
    refuses(gw, "--root-key", key, code=2, says="needs the certificate")
    refuses(gw, "--root-key", cert, "--root-cert", cert, code=2, says="works.crt")
    refuses(gw, "--root-key", key, "--root-cert", other, code=2, says="does not belong to the key", **typed)
    refuses(gw, "--root-key", key, "--root-cert", key, code=2, says="no certificate in PEM", **typed)
    refuses(gw, "--signed", cert, code=5, says="no signing request is out")
    refuses(gw, "--root-key", key, "--root-cert", cert, code=3, says="no authority below it", **typed)
    after = gw.json("ca", "show")
    assert [a["fingerprint"] for a in after["authorities"]] == [a["fingerprint"] for a in before["authorities"]]
    gw.cli("device", "add", "panel", "--password", input="a long password\n")
    refuses(gw, code=6, says="1 device logs in with a password")
