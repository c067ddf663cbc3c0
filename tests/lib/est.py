# SPDX-License-Identifier: Apache-2.0
"""EST (RFC 7030) for tests: requests made by openssl, sent byte by byte over TLS of a stated version, and what
came back taken apart. Independent clients (curl, strongSwan) are called by the tests themselves.

    est = Est(gateway)
    answer = est.post("simpleenroll", csr, user="pump-1", secret=est.code("pump-1"))
    answer.status, answer.field("Retry-After"), answer.certificates()
"""

import base64
import http.client
import json
import pathlib
import socket
import ssl

from pki import openssl

TYPE = "application/pkcs10"
KEYS = {
    "P-256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "P-384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "Ed25519": ["ED25519"],
    "RSA": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}


class Control(http.client.HTTPConnection):
    """The control socket, on which the kernel says that root asks."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.fields = response.headers

    def field(self, name):
        return self.fields.get(name)

    @property
    def text(self):
        return self.body.decode()

    def certificates(self):
        """Of a certs-only answer, as PEM texts in their order."""
        return split_pem(openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(self.body)))


def split_pem(text):
    end = "-----END CERTIFICATE-----\n"
    return [p[p.index("-----BEGIN"):] + end for p in text.split(end)[:-1]]


class Est:
    def __init__(self, gateway, folder=None):
        self.gateway = gateway
        self.folder = pathlib.Path(folder or gateway.dir / "est")
        self.folder.mkdir(exist_ok=True)
        self.root = pathlib.Path(gateway.root_ca)
        self.n = 0

    @property
    def url(self):
        return f"https://localhost:{self.gateway.enrol}/.well-known/est"

    def api(self, method, path, **arguments):
        c = Control(self.gateway.socket)
        c.request(method, path, json.dumps(arguments) if arguments else None)
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        assert r.status < 300, text
        return json.loads(text)

    def code(self, name=None, **more):
        return self.api("POST", "/api/v1/codes", **({"name": name} if name else {}), **more)["code"]

    def key(self, kind="P-256"):
        self.n += 1
        path = self.folder / f"{self.n}.key"
        algorithm, *options = KEYS[kind]
        openssl("genpkey", "-algorithm", algorithm, *options, "-out", path)
        return path

    def csr(self, key, name, *options, form="DER", attributes=(), extensions=()):
        """Of openssl req: options are its own, attributes and extensions are lines of its configuration."""
        conf = self.folder / "req.cnf"
        conf.write_text("[req]\nprompt = no\ndistinguished_name = dn\nattributes = at\n"
                        + ("req_extensions = ex\n" if extensions else "")
                        + (f"[dn]\nCN = {name}\n" if name else "[dn]\nO = nobody\n")
                        + "[at]\n" + "".join(a + "\n" for a in attributes)
                        + "[ex]\n" + "".join(e + "\n" for e in extensions))
        out = self.folder / "req.out"
        openssl("req", "-new", "-key", key, "-config", conf, "-outform", form, "-out", out, *options)
        return out.read_bytes()

    def context(self, version=None, certificate=None, key=None):
        context = ssl.create_default_context(cafile=str(self.root))
        if version:
            context.minimum_version = context.maximum_version = version
        if certificate:
            context.load_cert_chain(str(certificate), str(key))
        return context

    def connection(self, **tls):
        return http.client.HTTPSConnection("localhost", self.gateway.enrol, timeout=20, context=self.context(**tls))

    def send(self, connection, method, operation, body=None, type=TYPE, user=None, secret=None, fields=None):
        headers = dict(fields or {})
        if body is not None and type:
            headers["Content-Type"] = type
        if secret is not None:
            word = base64.b64encode(f"{user or ''}:{secret}".encode()).decode()
            headers["Authorization"] = f"Basic {word}"
        connection.request(method, f"/.well-known/est/{operation}", body, headers)
        return Answer(connection.getresponse())

    def ask(self, method, operation, body=None, version=None, certificate=None, key=None, **more):
        c = self.connection(version=version, certificate=certificate, key=key)
        try:
            return self.send(c, method, operation, body, **more)
        finally:
            c.close()

    def get(self, operation, **more):
        return self.ask("GET", operation, **more)

    def post(self, operation, csr, **more):
        """The DER of a CSR, sent as base64 in one line."""
        return self.ask("POST", operation, base64.b64encode(csr), **more)

    def keep(self, answer, name="device"):
        """The certificate of an answer in a file; it verifies under the root and the issuing authority."""
        assert answer.status == 200, answer.text
        (pem,) = answer.certificates()
        self.n += 1
        path = self.folder / f"{name}-{self.n}.crt"
        path.write_text(pem)
        self.verify(path)
        return path

    def verify(self, certificate):
        issuing = self.folder / "issuing.pem"
        issuing.write_text("".join(self.get("cacerts").certificates()[1:]))
        openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", self.root, "-untrusted", issuing,
                certificate)

    def chain(self, certificate):
        """A file of the certificate and its issuing authority: what a device shows."""
        path = certificate.with_suffix(".chain")
        path.write_text(certificate.read_text() + (self.folder / "issuing.pem").read_text())
        return path

    def enrol(self, name, kind="P-256"):
        """(certificate, key) of a device that came in by a code."""
        key = self.key(kind)
        answer = self.post("simpleenroll", self.csr(key, name), user=name, secret=self.code(name))
        return self.keep(answer, name), key

    def refusals(self):
        """The reasons of the events that tell of refused enrolments, the newest last."""
        return [e["reason"] for e in self.gateway.json("event", "list", "--name", "enrol.refused", "--last", "1000")]
