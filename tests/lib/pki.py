# SPDX-License-Identifier: Apache-2.0
"""Authorities as people make them with openssl, and MQTT connections with their certificates."""

import pathlib
import re
import socket
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def openssl(*words, cwd=None, data=b""):
    """What it prints, as text; data: its standard input."""
    done = subprocess.run(["openssl", *map(str, words)], input=data, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, f"openssl {words}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode()


P256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def forge(certificate, to):
    """A copy of the certificate, of the same issuer byte for byte, with a new key and signed by another."""
    like = x509.load_pem_x509_certificate(pathlib.Path(certificate).read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (x509.CertificateBuilder().subject_name(like.subject).issuer_name(like.issuer)
              .serial_number(like.serial_number + 1).not_valid_before(like.not_valid_before)
              .not_valid_after(like.not_valid_after).public_key(key.public_key()).sign(key, hashes.SHA256()))
    pathlib.Path(to).write_bytes(forged.public_bytes(serialization.Encoding.PEM))


class Leaf:
    def __init__(self, key, certificate, chain):
        self.key, self.certificate, self.chain = key, certificate, chain

    @property
    def fingerprint(self):
        text = openssl("x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256")
        return text.split("=")[1].strip().replace(":", "").lower()


class Authority:
    """A root in a folder, or an authority below another."""

    def __init__(self, folder, name, parent=None):
        self.folder, self.name, self.parent = pathlib.Path(folder), name, parent
        self.stem = self.folder / re.sub(r"\W", "-", name)
        self.key, self.certificate = f"{self.stem}.key", f"{self.stem}.crt"
        self.n = self.revoked = 0
        if parent:
            made = parent.issue(name, {"basicConstraints": "critical,CA:TRUE", "keyUsage": "keyCertSign,cRLSign"})
            self.key, self.certificate, self.above = made.key, made.certificate, made.chain
        else:
            openssl("req", "-x509", "-newkey", *P256, "-nodes", "-keyout", self.key, "-out", self.certificate,
                    "-subj", f"/CN={name}", "-days", 30, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
            self.above = None

    def issue(self, name, extensions, days=30, key=None, algorithm=P256):
        """A key, unless it is given, and a certificate with CN = name. extensions: {name: value}; None: no
        extension at all, which makes a certificate of version 1."""
        self.n += 1
        stem = f"{self.stem}-{self.n}"
        made = ["-key", key] if key else ["-newkey", *algorithm, "-nodes", "-keyout", f"{stem}.key"]
        openssl("req", "-new", *made, "-out", f"{stem}.csr", "-subj", f"/CN={name}")
        words = []
        if extensions is not None:
            lines = [f"{k} = {v}" for k, v in extensions.items() if v is not None]
            pathlib.Path(f"{stem}.ext").write_text("\n".join(lines) + "\n")
            words = ["-extfile", f"{stem}.ext"]
        openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-CAserial", f"{self.stem}.srl", "-days", days, "-out", f"{stem}.crt", *words)
        chain = pathlib.Path(f"{stem}.crt").read_text()
        if self.parent:
            chain += pathlib.Path(self.above).read_text()
        pathlib.Path(f"{stem}.chain").write_text(chain)
        return Leaf(key or f"{stem}.key", f"{stem}.crt", f"{stem}.chain")

    def subordinate(self, name):
        return Authority(self.folder, name, parent=self)

    @property
    def crl(self):
        return pathlib.Path(f"{self.stem}.crl")

    def _configuration(self):
        conf = pathlib.Path(f"{self.stem}.cnf")
        if not conf.exists():
            pathlib.Path(f"{self.stem}.index").touch()
            pathlib.Path(f"{self.stem}.number").write_text("01\n")
            conf.write_text(f"[ca]\ndefault_ca = c\n[c]\ndatabase = {self.stem}.index\ndefault_md = sha256\n"
                            f"crlnumber = {self.stem}.number\ndefault_crl_days = 30\n")
        return ["-config", conf, "-keyfile", self.key, "-cert", self.certificate]

    def revoke(self, leaf):
        openssl("ca", *self._configuration(), "-revoke", leaf.certificate)
        self.revoked += 1

    def write_crl(self):
        openssl("ca", *self._configuration(), "-gencrl", "-out", self.crl)
        return self.crl


def tls_context(root_ca, leaf):
    context = ssl.create_default_context(cafile=root_ca)
    context.load_cert_chain(leaf.chain, leaf.key)
    return context


def open_mqtt(port, root_ca, leaf, client_id="c", context=None, session=None):
    """A TLS connection on which CONNECT (3.1.1) was answered with success."""
    context = context or tls_context(root_ca, leaf)
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost",
                            session=session)
    body = b"\0\4MQTT\4\2\0\x3c" + len(client_id).to_bytes(2, "big") + client_id.encode()
    s.sendall(bytes([0x10, len(body)]) + body)
    answer = s.recv(4)
    assert answer == b"\x20\2\0\0", answer
    return s
