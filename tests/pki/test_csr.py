# SPDX-License-Identifier: Apache-2.0
"""Certification requests made by openssl, good and bad, and the verdict that each must get."""
import base64
import subprocess

import pytest

KEYS = {
    "P-256": ["EC", "ec_paramgen_curve:P-256"],
    "P-384": ["EC", "ec_paramgen_curve:P-384"],
    "P-521": ["EC", "ec_paramgen_curve:P-521"],
    "P-224": ["EC", "ec_paramgen_curve:P-224"],
    "secp256k1": ["EC", "ec_paramgen_curve:secp256k1"],
    "brainpool": ["EC", "ec_paramgen_curve:brainpoolP256r1"],
    "explicit": ["EC", "ec_paramgen_curve:P-256", "ec_param_enc:explicit"],
    "Ed25519": ["ED25519"],
    "Ed448": ["ED448"],
    "RSA-1024": ["RSA", "rsa_keygen_bits:1024"],
    "RSA-2047": ["RSA", "rsa_keygen_bits:2047"],
    "RSA-2048": ["RSA", "rsa_keygen_bits:2048"],
    "RSA-3072": ["RSA", "rsa_keygen_bits:3072"],
    "RSA-e3": ["RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:3"],
    "RSA-e65": ["RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:36893488147419103233"],
    "RSA-PSS": ["RSA-PSS", "rsa_keygen_bits:2048"],
}


def openssl(*argv, data=None):
    return subprocess.run(["openssl", *map(str, argv)], input=data, check=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """Path of a private key of one of the KEYS, made once."""
    where = tmp_path_factory.mktemp("keys")

    def make(kind):
        path = where / f"{kind}.key"
        if not path.exists():
            algorithm, *options = KEYS[kind]
            argv = [a for o in options for a in ("-pkeyopt", o)]
            openssl("genpkey", "-algorithm", algorithm, *argv, "-out", path)
        return path

    return make


def request(key_path, subject="/CN=pump-1", *options, form="DER"):
    return openssl("req", "-new", "-key", key_path, "-subj", subject, "-outform", form, *options)


@pytest.fixture
def verdict(build, tmp_path, run):
    def judge(data):
        path = tmp_path / "request"
        path.write_bytes(data)
        return run(build / "tests/pki/csrcheck", path, check=False)[1].strip()

    return judge


# -- a minimal DER composer, for requests that openssl does not make

def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    if n < 0x80:
        return bytes([tag, n]) + body
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, "big") + body


CN = bytes.fromhex("0603550403")
ORG = bytes.fromhex("060355040a")
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def rdn(*pairs):
    return tlv(0x31, *[tlv(0x30, oid, value) for oid, value in pairs])


def compose(key_path, *rdns, attributes=tlv(0xA0), behind=b"", version=b"\x02\x01\x00"):
    """A request with any subject, correctly signed by the P-256 key."""
    spki = openssl("pkey", "-in", key_path, "-pubout", "-outform", "DER")
    info = tlv(0x30, version, tlv(0x30, *rdns), spki, attributes)
    signature = openssl("dgst", "-sha256", "-sign", key_path, data=info)
    return tlv(0x30, info, ECDSA_SHA256, tlv(0x03, b"\0", signature)) + behind


@pytest.mark.parametrize("kind,says", [
    ("P-256", "P-256 256"), ("P-384", "P-384 384"), ("Ed25519", "Ed25519 256"),
    ("RSA-2048", "RSA 2048"), ("RSA-3072", "RSA 3072"),
])
@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_accepted_keys(key, verdict, tmp_path, kind, says, form):
    assert verdict(request(key(kind), form=form)) == f"ok pump-1 {says}"
    spki = openssl("pkey", "-in", key(kind), "-pubout", "-outform", "DER")
    assert (tmp_path / "request.spki").read_bytes() == spki


@pytest.mark.parametrize("kind,says", [
    ("P-521", "the key is P-521; use P-256"),
    ("P-224", "the key is P-224; use P-256"),
    ("secp256k1", "the key is secp256k1; use P-256"),
    ("brainpool", "the key is an elliptic curve of another kind; use P-256"),
    ("explicit", "the key is an elliptic curve of another kind; use P-256"),
    ("Ed448", "the key is Ed448; use P-256"),
    ("RSA-1024", "the key is RSA with 1024 bits; use P-256"),
    ("RSA-2047", "the key is RSA with 2047 bits; use P-256"),
    ("RSA-PSS", "the key is RSA restricted to PSS; use P-256"),
    ("RSA-e3", "the RSA key's public exponent is refused; it must be odd, at least 65537"),
    ("RSA-e65", "the RSA key's public exponent is refused; it must be odd, at least 65537"),
])
def test_refused_keys(key, verdict, kind, says):
    assert verdict(request(key(kind))).startswith(f"refused {says}")


def test_a_point_that_is_not_on_the_curve(key, verdict):
    data = bytearray(request(key("P-256")))
    at = data.index(bytes.fromhex("03420004")) + 4
    data[at:at + 64] = bytes(63) + b"\x05"
    assert verdict(bytes(data)).startswith("refused ")


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_accepted_signatures(key, verdict, digest):
    assert verdict(request(key("P-256"), "/CN=a", f"-{digest}")).startswith("ok a ")
    assert verdict(request(key("RSA-2048"), "/CN=a", f"-{digest}")).startswith("ok a ")


def test_pss_signature_with_the_usual_salt(key, verdict):
    options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]
    assert verdict(request(key("RSA-2048"), "/CN=a", *options)).startswith("ok a ")


@pytest.mark.parametrize("kind,digest,name", [
    ("P-256", "sha1", "ECDSA-SHA1"), ("RSA-2048", "sha1", "RSA-SHA1"), ("RSA-2048", "md5", "RSA-MD5"),
])
def test_refused_signatures(key, verdict, kind, digest, name):
    says = verdict(request(key(kind), "/CN=a", f"-{digest}"))
    assert says.startswith(f"refused the request is signed with {name}; sign it with SHA-256")


def test_signed_by_another_key(key, verdict):
    mine = request(key("P-256"))
    other_spki = openssl("pkey", "-in", key("P-256"), "-pubout", "-outform", "DER")
    stolen = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    stolen_spki = openssl("pkey", "-pubout", "-outform", "DER", data=stolen)
    says = verdict(mine.replace(other_spki, stolen_spki))
    assert says.startswith("refused the request is not signed by its own key (no proof of possession)")


@pytest.mark.parametrize("at", [12, 40, 60, 100, 200])
def test_one_changed_bit(key, verdict, at):
    data = bytearray(request(key("P-256")))
    data[at] ^= 1
    assert verdict(bytes(data)).startswith("refused ")


@pytest.mark.parametrize("subject,says", [
    ("/O=Plant", "the subject has 0 common names; it must have exactly one"),
    ("/CN=a/CN=b", "the subject has 2 common names; it must have exactly one"),
    ("/CN=a+CN=b", "the subject has 2 common names; it must have exactly one"),
    ("/CN=pump 1", "byte 5 of the device name is 0x20"),
    ("/CN=-pump", "byte 1 of the device name is 0x2d"),
    ("/CN=plant\\/pump", "byte 6 of the device name is 0x2f"),
    ("/CN=pump\\+", "byte 5 of the device name is 0x2b"),
    ("/CN=pump#", "byte 5 of the device name is 0x23"),
    ("/CN=$share", "byte 1 of the device name is 0x24"),
    ("/CN=*", "byte 1 of the device name is 0x2a"),
])
def test_refused_names(key, verdict, subject, says):
    options = ["-multivalue-rdn"] if "+CN" in subject else []
    assert verdict(request(key("P-256"), subject, *options)).startswith(f"refused {says}")


@pytest.mark.parametrize("subject,name", [
    ("/CN=a", "a"), ("/CN=" + "x" * 64, "x" * 64), ("/O=Plant/CN=pump_1.b:c@d-e/OU=x", "pump_1.b:c@d-e"),
])
def test_accepted_names(key, verdict, subject, name):
    assert verdict(request(key("P-256"), subject)).startswith(f"ok {name} ")


@pytest.mark.parametrize("value,says", [
    (tlv(0x0C, b"pump\0admin"), "byte 5 of the device name is 0x00"),
    (tlv(0x0C, b"pump\n"), "byte 5 of the device name is 0x0a"),
    (tlv(0x0C, "pump\u202e".encode()), "byte 5 of the device name is 0xe2"),
    (tlv(0x0C, b"x" * 65), "the device name has 65 bytes"),
    (tlv(0x0C), "the device name is empty"),
    (tlv(0x1E, "pump".encode("utf-16-be")), "the common name has string type 0x1e"),
    (tlv(0x04, b"pump"), "the common name has string type 0x04"),
])
def test_refused_encodings_of_the_name(key, verdict, value, says):
    assert verdict(compose(key("P-256"), rdn((CN, value)))).startswith(f"refused {says}")


@pytest.mark.parametrize("tag", [0x0C, 0x13, 0x14, 0x16])
def test_accepted_encodings_of_the_name(key, verdict, tag):
    assert verdict(compose(key("P-256"), rdn((CN, tlv(tag, b"pump"))))).startswith("ok pump ")


def test_second_name_hidden_in_a_multi_valued_part(key, verdict):
    data = compose(key("P-256"), rdn((CN, tlv(0x0C, b"a")), (ORG, tlv(0x0C, b"x"))),
                   rdn((CN, tlv(0x0C, b"b"))))
    assert verdict(data).startswith("refused the subject has 2 common names")


def test_requested_extensions_are_ignored(key, verdict):
    data = request(key("P-256"), "/CN=a", "-addext", "basicConstraints=critical,CA:TRUE",
                   "-addext", "subjectAltName=DNS:gateway")
    assert verdict(data).startswith("ok a ")


def test_bytes_behind_the_request(key, verdict):
    data = compose(key("P-256"), rdn((CN, tlv(0x0C, b"a"))), behind=b"\0")
    assert verdict(data).startswith("refused the certificate request is damaged")


@pytest.mark.parametrize("keep", [0, 1, 2, 10, 100, -1])
def test_cut_off(key, verdict, keep):
    assert verdict(request(key("P-256"))[:keep]).startswith("refused ")


def test_size_limit(verdict):
    assert verdict(b"\x30" * 16385).startswith("refused the certificate request has 16385 bytes; at most 16384")


def pem(label, der):
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


def test_pem_variants(key, verdict):
    der = request(key("P-256"))
    good = pem("CERTIFICATE REQUEST", der)
    assert verdict(pem("NEW CERTIFICATE REQUEST", der)).startswith("ok pump-1 ")
    assert verdict(good.replace(b"\n", b"\r\n")).startswith("ok pump-1 ")
    assert verdict(b"Certificate Request:\n  Data:\n" + good).startswith("ok pump-1 ")
    assert verdict(good + good).startswith("refused the file holds more than one PEM block")
    assert verdict(pem("CERTIFICATE", der)).startswith("refused the PEM block is no CERTIFICATE REQUEST")
    assert verdict(good.replace(b"-----END", b"----END")).startswith("refused the PEM block")
    assert verdict(b"hello").startswith("refused this is no certificate request")


def test_other_certificate_material_is_no_request(key, verdict):
    certificate = request(key("P-256"), "/CN=a", "-x509")
    assert verdict(certificate).startswith("refused the certificate request is damaged")
