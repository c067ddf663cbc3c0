# SPDX-License-Identifier: Apache-2.0
"""What the vault issues, judged by openssl and certtool: chains, purposes, names, lives."""
import datetime
import re

import pytest

NAMES = ["gw.plant.example", "gw.local", "localhost", "127.0.0.1", "::1", "192.0.2.7"]
SERVERS = [f"{process}-{key}" for process in ("broker", "admin", "enrol") for key in ("p256", "rsa")]
KEYS = {
    "P-256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "P-384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "Ed25519": ["ED25519"],
    "RSA-2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}


@pytest.fixture
def vault(build, run, tmp_path):
    """An authority of this test's own; device() issues and gives the path of a PEM."""

    class Vault:
        dir = tmp_path / "vault"
        root, issuing = dir / "root.crt", dir / "issuing.crt"

        def device(self, name="pump-1", kind="P-256", *seconds):
            run("openssl", "genpkey", "-algorithm", *KEYS[kind], "-out", "device.key")
            run("openssl", "pkey", "-in", "device.key", "-pubout", "-outform", "DER", "-out", "device.spki")
            run(build / "tests/pki/vaulttool", self.dir, "device", name, "device.spki", "device.der", *seconds)
            run("openssl", "x509", "-inform", "DER", "-in", "device.der", "-out", "device.crt")
            return tmp_path / "device.crt"

    run(build / "tests/pki/vaulttool", Vault.dir, "init", *NAMES)
    return Vault()


@pytest.fixture
def verify(run, vault):
    """openssl's verdict on a leaf, at its strictest."""

    def judge(leaf, purpose, *options):
        return run("openssl", "verify", "-x509_strict", "-policy_check", "-purpose", purpose, *options,
                   "-CAfile", vault.root, "-untrusted", vault.issuing, leaf, check=False)

    return judge


@pytest.fixture
def certtool(run, vault, tmp_path):
    """certtool's verdict on leaf and issuing certificate."""

    def judge(leaf, *options):
        chain = tmp_path / "chain.pem"
        chain.write_text(leaf.read_text() + vault.issuing.read_text())
        return run("certtool", "--verify", "--verify-profile=medium", "--load-ca-certificate", vault.root,
                   "--infile", chain, *options, check=False)

    return judge


def fields(run, path):
    return run("openssl", "x509", "-in", path, "-noout", "-text", "-nameopt", "RFC2253")[1]


def extension(text, name):
    """Critical or not, and the value of an extension in openssl's text; None when absent."""
    found = re.search(rf"{re.escape(name)}:( critical)?\s*\n\s+(.+)", text)
    return (bool(found[1]), found[2].strip()) if found else None


def extensions(text):
    return set(re.findall(r"^            (X509v3 [^:]+|[A-Z][^:\n]+): ?(?:critical)?$", text, re.M))


def life(run, path):
    text = run("openssl", "x509", "-in", path, "-noout", "-dates")[1]
    start, end = (datetime.datetime.strptime(t, "%b %d %H:%M:%S %Y GMT")
                  for t in re.findall(r"=(.+)", text))
    return start, end


def test_authorities(vault, run):
    root, issuing = fields(run, vault.root), fields(run, vault.issuing)
    tail = re.search(r"Subject: CN=Gatehouse CA ([0-9a-f]{6})\n", root)
    assert tail and f"Issuer: CN=Gatehouse CA {tail[1]}\n" in root
    assert f"Issuer: CN=Gatehouse CA {tail[1]}\n" in issuing
    assert re.search(r"Subject: CN=Gatehouse Issuing CA [0-9a-f]{6}\n", issuing)
    assert extension(root, "X509v3 Basic Constraints") == (True, "CA:TRUE, pathlen:2")
    assert extension(issuing, "X509v3 Basic Constraints") == (True, "CA:TRUE, pathlen:0")
    assert extension(root, "X509v3 Key Usage") == (True, "Certificate Sign, CRL Sign")
    assert extension(issuing, "X509v3 Key Usage") == (True, "Digital Signature, Certificate Sign, CRL Sign")
    for text in (root, issuing):
        assert "NIST CURVE: P-256" in text and "Version: 3" in text
        assert extension(text, "X509v3 Extended Key Usage") is None
    (start, end), (istart, iend) = life(run, vault.root), life(run, vault.issuing)
    assert (end - start).days == 20 * 365 + 5 and (iend - istart).days == 3652
    assert start <= istart and iend <= end


def test_two_gateways_have_two_names(vault, build, run, tmp_path):
    run(build / "tests/pki/vaulttool", tmp_path / "other", "init", "gw")
    subjects = {run("openssl", "x509", "-in", d / "root.crt", "-noout", "-subject")[1]
                for d in (vault.dir, tmp_path / "other")}
    assert len(subjects) == 2


@pytest.mark.parametrize("server", SERVERS)
def test_server_certificates(vault, verify, certtool, run, server):
    leaf = vault.dir / f"{server}.crt"
    assert verify(leaf, "sslserver")[0] == 0
    assert verify(leaf, "sslclient")[0] != 0
    assert certtool(leaf, "--verify-purpose=1.3.6.1.5.5.7.3.1")[0] == 0
    assert certtool(leaf, "--verify-purpose=1.3.6.1.5.5.7.3.2")[0] != 0
    for name in NAMES:
        option = "-verify_ip" if re.fullmatch(r"[0-9.]+|.*:.*", name) else "-verify_hostname"
        assert verify(leaf, "sslserver", option, name)[0] == 0, name
        assert certtool(leaf, f"--verify-hostname={name}")[0] == 0, name
    assert verify(leaf, "sslserver", "-verify_hostname", "other.example")[0] != 0
    assert verify(leaf, "sslserver", "-verify_ip", "192.0.2.8")[0] != 0
    text = fields(run, leaf)
    assert f"Subject: CN={NAMES[0]}\n" in text
    assert ("Public-Key: (2048 bit)" if server.endswith("rsa") else "NIST CURVE: P-256") in text
    assert extension(text, "X509v3 Basic Constraints") == (True, "CA:FALSE")
    assert extension(text, "X509v3 Key Usage") == (True, "Digital Signature")
    assert extension(text, "X509v3 Extended Key Usage") == (False, "TLS Web Server Authentication")
    start, end = life(run, leaf)
    assert datetime.timedelta(days=397) < end - start <= datetime.timedelta(days=397, minutes=5)


def test_every_server_has_a_key_of_its_own(vault, run):
    keys = {run("openssl", "x509", "-in", vault.dir / f"{s}.crt", "-noout", "-pubkey")[1] for s in SERVERS}
    assert len(keys) == len(SERVERS)


@pytest.mark.parametrize("kind", KEYS)
def test_device_certificates(vault, verify, certtool, run, kind):
    leaf = vault.device("pump_1.b:c@d-e", kind)
    assert verify(leaf, "sslclient")[0] == 0
    assert verify(leaf, "sslserver")[0] != 0
    assert certtool(leaf, "--verify-purpose=1.3.6.1.5.5.7.3.2")[0] == 0
    assert certtool(leaf, "--verify-purpose=1.3.6.1.5.5.7.3.1")[0] != 0
    assert (run("openssl", "x509", "-in", leaf, "-noout", "-pubkey")[1]
            == run("openssl", "pkey", "-in", "device.key", "-pubout")[1])


def test_a_device_certificate_holds_this_and_nothing_else(vault, run):
    text = fields(run, vault.device())
    assert "Version: 3" in text and "Subject: CN=pump-1\n" in text
    assert "Signature Algorithm: ecdsa-with-SHA256" in text
    assert extension(text, "X509v3 Basic Constraints") == (True, "CA:FALSE")
    assert extension(text, "X509v3 Key Usage") == (True, "Digital Signature")
    assert extension(text, "X509v3 Extended Key Usage") == (False, "TLS Web Client Authentication")
    assert extension(text, "X509v3 Subject Alternative Name") == (
        False, "URI:urn:uuid:8c5f3b1e-5d0a-4c3e-9b57-0a1b2c3d4e5f")
    issuer_id = extension(fields(run, vault.issuing), "X509v3 Subject Key Identifier")[1]
    assert extension(text, "X509v3 Authority Key Identifier") == (False, issuer_id)
    assert extensions(text) == {
        "X509v3 Basic Constraints", "X509v3 Key Usage", "X509v3 Extended Key Usage",
        "X509v3 Subject Alternative Name", "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier"}
    serial = run("openssl", "x509", "-in", "device.crt", "-noout", "-serial")[1].strip().split("=")[1]
    assert len(serial) == 32 and serial[0] in "4567"


def test_the_life_of_a_device_certificate(vault, run):
    issuer_end = life(run, vault.issuing)[1]
    assert life(run, vault.device())[1] == issuer_end
    start, end = life(run, vault.device("pump-1", "P-256", 90 * 86400))
    assert datetime.timedelta(days=90) <= end - start <= datetime.timedelta(days=90, minutes=5, seconds=2)
    assert life(run, vault.device("pump-1", "P-256", 30 * 365 * 86400))[1] == issuer_end


def test_an_expired_device_certificate_is_seen_as_such(vault, verify, run):
    leaf = vault.device("pump-1", "P-256", 60)
    assert verify(leaf, "sslclient")[0] == 0
    later = int(datetime.datetime.now().timestamp()) + 120
    code, text = verify(leaf, "sslclient", "-attime", later)
    assert code != 0 and "certificate has expired" in text


def test_a_device_certificate_cannot_issue(vault, verify, run, tmp_path):
    leaf = vault.device()
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "forged.key", "-subj", "/CN=forged", "-out", "forged.csr")
    run("openssl", "x509", "-req", "-in", "forged.csr", "-CA", leaf, "-CAkey", "device.key",
        "-CAcreateserial", "-out", "forged.crt")
    both = tmp_path / "both.pem"
    both.write_text(leaf.read_text() + vault.issuing.read_text())
    code, _ = run("openssl", "verify", "-CAfile", vault.root, "-untrusted", both, "forged.crt", check=False)
    assert code != 0


def test_keys_are_ordinary_pkcs8_that_fit(vault, run):
    for name in ["root", "issuing", *SERVERS]:
        public = run("openssl", "pkey", "-in", vault.dir / f"{name}.key", "-pubout")[1]
        assert public == run("openssl", "x509", "-in", vault.dir / f"{name}.crt", "-noout", "-pubkey")[1]
        assert (vault.dir / f"{name}.key").read_text().startswith("-----BEGIN PRIVATE KEY-----")
        assert (vault.dir / f"{name}.key").stat().st_mode & 0o7777 == 0o600
