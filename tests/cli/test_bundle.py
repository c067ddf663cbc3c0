# SPDX-License-Identifier: Apache-2.0
"""What `gatehouse device add --bundle DIR` leaves in DIR, that its key is nowhere else, and that a device
connects with nothing but it; requests from elsewhere (--csr), good and bad."""

import os
import pathlib
import re
import stat
import subprocess

import pytest

import mqtt
from gateway import build, wait_until

USAGE, REFUSED, UNREACHABLE, CONFLICT = 2, 3, 4, 6
FILES = {"device.key": 0o600, "device.crt": 0o644, "ca.crt": 0o644, "connect.sh": 0o755, "client.env": 0o644,
         "README": 0o644, "examples": 0o755}


def openssl(*words, check=True, **options):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=check, **options)


def test_what_is_in_it(gateway):
    folder = gateway.bundle("pump-1")
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == FILES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "device.crt").read_text().count("BEGIN CERTIFICATE") == 2  # with its issuer
    assert (folder / "ca.crt").read_text() == pathlib.Path(gateway.root_ca).read_text()
    assert f"MQTT_PORT='{gateway.mqtts}'" in (folder / "client.env").read_text()
    readme = (folder / "README").read_text()
    for name in FILES:
        assert name in readme or name == "README"
    openssl("verify", "-CAfile", folder / "ca.crt", "-untrusted", folder / "device.crt", "-purpose", "sslclient",
            folder / "device.crt")
    key = openssl("pkey", "-in", folder / "device.key", "-pubout").stdout
    assert key == openssl("x509", "-in", folder / "device.crt", "-pubkey", "-noout").stdout


def test_the_key_is_nowhere_else(gateway):
    """Not in the state directory of the gateway, and not in what went over the control socket."""
    folder = gateway.dir / "bundles" / "secret"
    folder.parent.mkdir(exist_ok=True)
    trace = gateway.dir / "trace"
    command = [build() / "gatehouse", "--socket", gateway.socket, "device", "add", "secret", "--bundle", folder]
    subprocess.run(["strace", "-f", "-e", "trace=sendto,sendmsg,write", "-s", "100000", "-xx", "-o", trace, *command],
                   check=True, capture_output=True)
    shown = openssl("pkey", "-in", folder / "device.key", "-text", "-noout").stdout
    scalar = re.search(rb"priv:\n([0-9a-f:\s]+)pub:", shown)
    secret = bytes.fromhex(re.sub(rb"[^0-9a-f]", b"", scalar.group(1)).decode())[-32:]
    text = (folder / "device.key").read_bytes()
    line = text.splitlines()[1]
    for path in pathlib.Path(gateway.state).rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret not in data and line not in data, path
    sent = [x for x in trace.read_text().splitlines() if "sendto(" in x]
    assert sent
    for form in (secret, line):
        assert "".join(f"\\x{b:02x}" for b in form) not in "".join(sent)


def test_a_device_connects_with_its_script(gateway):
    folder = gateway.bundle("script")
    gateway.cli("acl", "allow", "device:script", "all", "script/#")
    sub = subprocess.Popen([folder / "connect.sh", "sub", "script/#", "-C", "1", "-W", "30"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    wait_until(lambda: gateway.json("client", "list", "--device", "script") or sub.poll(), what="the subscriber")
    wait_until(lambda: gateway.json("client", "list", "--device", "script")[0]["subscriptions"],
               what="its subscription")
    pub = subprocess.run([folder / "connect.sh", "pub", "script/x", "hello world", "-i", "other"], capture_output=True,
                         text=True)
    assert pub.returncode == 0, pub
    out, err = sub.communicate(timeout=60)
    assert out == "script/x hello world\n", err
    refused = subprocess.run([folder / "connect.sh", "pub", "elsewhere", "x"], capture_output=True, text=True)
    assert "Not authorized" in refused.stderr
    for words in ([], ["fly"], ["pub"], ["pub", "topic"], ["sub"]):
        done = subprocess.run([folder / "connect.sh", *words], capture_output=True, text=True)
        assert done.returncode == 2 and "usage:" in done.stderr


def test_a_host_of_ones_own(gateway):
    folder = gateway.dir / "bundles" / "host"
    gateway.cli("device", "add", "host", "--bundle", folder, "--host", "gateway.example")
    assert "MQTT_HOST='gateway.example'" in (folder / "client.env").read_text()


@pytest.mark.parametrize("host, listed", [
    ("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("::1", True), ("gateway.example", False),
    ("sub.localhost", False), ("127.0.0.2", False),
])
def test_a_host_that_the_certificate_does_not_hold(gateway, tmp_path, host, listed):
    """The bundle is made, for names may come later; but a person is told, and told what would do."""
    name = "host-" + host.replace(":", "_")
    done = gateway.cli("device", "add", name, "--bundle", tmp_path / "bundle", "--host", host)
    assert ("is not in the gateway's certificate" in done.stderr) == (not listed), done.stderr
    assert listed or re.search(r"[Tt]he certificate is for: .*localhost.*, 127\.0\.0\.1.*--host", done.stderr)
    code = gateway.cli("code", "add", name, "--host", host)
    assert code.stderr == done.stderr


@pytest.mark.parametrize("host", ["a'b", "$(touch /tmp/x)", "a b", "x\ny"])
def test_a_host_that_is_none(gateway, host):
    """It goes into a shell script."""
    folder = gateway.dir / "bundles" / "evil"
    done = gateway.cli("device", "add", "evil", "--bundle", folder, "--host", host, check=False)
    assert done.returncode == USAGE and "--host" in done.stderr, done
    assert not folder.exists()
    assert gateway.cli("device", "show", "evil", check=False).returncode == 5


def test_a_folder_that_is_taken(gateway, tmp_path):
    (tmp_path / "file").write_text("")
    done = gateway.cli("device", "add", "taken", "--bundle", tmp_path, check=False)
    assert done.returncode == CONFLICT and "files in it already" in done.stderr
    done = gateway.cli("device", "add", "taken", "--bundle", tmp_path / "file", check=False)
    assert done.returncode == USAGE
    done = gateway.cli("device", "add", "taken", "--bundle", "/proc/nothing", check=False)
    assert done.returncode == 1 and "/proc/nothing" in done.stderr
    # Nothing was added: the folder is judged first.
    assert gateway.cli("device", "show", "taken", check=False).returncode == 5
    empty = tmp_path / "empty"
    empty.mkdir()
    gateway.cli("device", "add", "taken", "--bundle", empty)


def test_a_refusal_leaves_nothing_behind(gateway, tmp_path):
    gateway.cli("device", "add", "there")
    folder, empty = tmp_path / "folder", tmp_path / "empty"
    empty.mkdir()
    for name, place in (("there", folder), ("there", empty), ("no good name", folder)):
        assert gateway.cli("device", "add", name, "--bundle", place, check=False).returncode in (USAGE, CONFLICT)
    assert not folder.exists() and list(empty.iterdir()) == []


def test_a_further_certificate(gateway):
    first = gateway.bundle("twice")
    second = gateway.dir / "bundles" / "twice-2"
    gateway.cli("cert", "add", "twice", "--bundle", second)
    assert {p.name for p in second.iterdir()} == set(FILES)
    assert len(gateway.json("cert", "list", "--device", "twice")) == 2
    for folder in (first, second):
        c = mqtt.Client.tls(gateway.mqtts, mqtt.V5, bundle=folder)
        c.connect("twice")
        c.disconnect()


# -- requests from elsewhere

def request(tmp_path, name, *options, algorithm="EC", parameters="ec_paramgen_curve:P-256", form="PEM"):
    key, csr = tmp_path / "k.pem", tmp_path / "r.csr"
    openssl("genpkey", "-algorithm", algorithm, *(["-pkeyopt", parameters] if parameters else []), "-out", key)
    openssl("req", "-new", "-key", key, "-subj", name, "-outform", form, "-out", csr, *options)
    return key, csr


@pytest.mark.parametrize("algorithm, parameters", [
    ("EC", "ec_paramgen_curve:P-256"), ("EC", "ec_paramgen_curve:P-384"), ("RSA", "rsa_keygen_bits:2048"),
    ("ED25519", None),
])
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_request(gateway, tmp_path, form, algorithm, parameters):
    name = f"csr-{form}-{algorithm}-{(parameters or 'x')[-4:]}".replace(":", ".")
    key, csr = request(tmp_path, f"/CN={name}", algorithm=algorithm, parameters=parameters, form=form)
    done = gateway.cli("device", "add", name, "--csr", csr)
    assert done.stdout.count("BEGIN CERTIFICATE") == 2 and done.stderr == ""
    (tmp_path / "c.pem").write_text(done.stdout)
    c = mqtt.Client.tls(gateway.mqtts, mqtt.V5, ca=gateway.root_ca, cert=tmp_path / "c.pem", key=key)
    c.connect(name)
    c.disconnect()


def test_the_certificate_into_a_file(gateway, tmp_path):
    _, csr = request(tmp_path, "/CN=into-file")
    done = gateway.cli("device", "add", "into-file", "--csr", csr, "--out", tmp_path / "out.pem")
    assert done.stdout == "into-file: added\n"
    assert (tmp_path / "out.pem").read_text().count("BEGIN CERTIFICATE") == 2
    _, csr = request(tmp_path, "/CN=into-file")
    assert gateway.cli("cert", "add", "into-file", "--csr", csr).stdout.count("BEGIN CERTIFICATE") == 2


def broken(csr):
    data = bytearray(csr.read_bytes())
    data[-3] ^= 1
    csr.write_bytes(data)


@pytest.mark.parametrize("make, says", [
    (lambda t: request(t, "/CN=somebody-else")[1], "somebody-else"),
    (lambda t: request(t, "/O=no name at all")[1], "name"),
    (lambda t: request(t, "/CN=bad", algorithm="RSA", parameters="rsa_keygen_bits:1024")[1], "1024"),
    (lambda t: request(t, "/CN=bad", parameters="ec_paramgen_curve:secp521r1")[1], "key"),
    (lambda t: request(t, "/CN=bad", "-sha1", algorithm="RSA", parameters="rsa_keygen_bits:2048")[1], "SHA"),
], ids=["other-name", "no-name", "short-rsa", "p521", "sha1"])
def test_a_request_that_is_refused(gateway, tmp_path, make, says):
    done = gateway.cli("device", "add", "bad", "--csr", make(tmp_path), check=False)
    assert done.returncode in (USAGE, REFUSED) and says in done.stderr, done
    assert gateway.cli("device", "show", "bad", check=False).returncode == 5


@pytest.mark.parametrize("data", [b"", b"no request\n", b"-----BEGIN CERTIFICATE REQUEST-----\nMII\n", os.urandom(2000),
                                  b"\x30\x82\xff\xff" + b"x" * 100, b"x" * 20000],
                         ids=["empty", "text", "cut", "random", "der", "large"])
def test_a_file_that_is_no_request(gateway, tmp_path, data):
    (tmp_path / "r").write_bytes(data)
    done = gateway.cli("device", "add", "bad", "--csr", tmp_path / "r", check=False)
    assert done.returncode == USAGE and done.stderr.startswith("gatehouse: "), done
    assert gateway.cli("device", "show", "bad", check=False).returncode == 5


def test_a_changed_request(gateway, tmp_path):
    """Whoever has not the key cannot have a certificate for it."""
    _, csr = request(tmp_path, "/CN=bad", form="DER")
    broken(csr)
    done = gateway.cli("device", "add", "bad", "--csr", csr, check=False)
    assert done.returncode == USAGE and "sign" in done.stderr, done
