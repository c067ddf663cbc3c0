# SPDX-License-Identifier: Apache-2.0
"""Certificates out of files, of the interface and of listeners: taken, replaced while the gateway serves,
and refused with a word that helps; the old one stays then."""

import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess

import pytest

from gateway import wait_until
from told import authority, leaf
from test_faces import ask, dial, serves
from test_lifecycle import reload
from test_listeners import READ_AGAIN, until

SANS = "subjectAltName=DNS:localhost"
OLD_ONE = "the gateway goes on with the old one"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A root, an authority below it, and a chain of its leaf in the file `full.pem`, as certbot makes it."""
    folder = tmp_path_factory.mktemp("pki")
    authority(folder, "root", "/CN=root")
    leaf(folder, "middle", "root", "basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign")
    for name in ("first", "second"):
        leaf(folder, name, "middle", SANS)
        chain(folder, f"{name}.pem", name, "middle")
    (folder / "template").write_text('cn = ended\ndns_name = localhost\nactivation_date = "2020-01-01 00:00:00"\n'
                                     'expiration_date = "2021-01-01 00:00:00"\n')
    for words in (["--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile", "ended.key"],
                  ["--generate-self-signed", "--load-privkey", "ended.key", "--template", "template",
                   "--outfile", "ended.pem"]):
        subprocess.run(["certtool", *words], cwd=folder, check=True, capture_output=True)
    return folder


def chain(folder, to, *names):
    (folder / to).write_text("".join((folder / f"{n}.crt").read_text() for n in names))


def put(d, pki, certificate, key):
    """As whoever renews does: the new files take the place of the old ones."""
    for source, name in ((pki / key, "live.key"), (pki / certificate, "live.pem")):
        shutil.copy(source, d.dir / "new")
        (d.dir / "new").chmod(0o600)
        (d.dir / "new").rename(d.dir / name)


def name_files(d, section):
    d.config[section].update({"certificate": d.dir / "live.pem", "key": d.dir / "live.key"})


def shown(port):
    """Common name of the certificate, and how many come with it."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-showcerts"], input="",
                          capture_output=True, text=True)
    subjects = [line.split("CN = ")[1] for line in done.stdout.splitlines() if " s:" in line and "CN = " in line]
    return subjects[0] if subjects else None, len(subjects)


FACES = [("admin", "admin"), ("mqtts", "listener mqtts")]


@pytest.mark.parametrize("port, section", FACES)
def test_it_is_shown_and_renewed(daemon, pki, port, section):
    d = daemon
    put(d, pki, "first.pem", "first.key")
    name_files(d, section)
    d.start()
    d.await_ready()
    assert shown(getattr(d, port)) == ("first", 2)
    stays = dial(d.admin)
    assert ask(stays, "admin").status == 200
    first = stays.sock
    put(d, pki, "second.pem", "second.key")
    reload(d, READ_AGAIN)
    wait_until(lambda: shown(getattr(d, port)) == ("second", 2), what="the new certificate")
    assert ask(stays, "admin").status == 200 and stays.sock is first
    for name in ("vault", "admin" if port == "admin" else "broker"):
        os.kill(d.processes()[name], signal.SIGKILL)
        wait_until(lambda: d.log_lines(f"{name} serves again"), 15, f"another {name}")
    wait_until(lambda: shown(getattr(d, port)) == ("second", 2), what="the same certificate")
    for key in ("certificate", "key"):
        del d.config[section][key]
    reload(d, READ_AGAIN)
    wait_until(lambda: shown(getattr(d, port))[0] == "localhost", what="the gateway's own certificate")
    assert d.stop() == 0


def test_it_comes_while_the_gateway_serves(daemon, pki):
    d = daemon
    d.start()
    d.await_ready()
    put(d, pki, "first.pem", "first.key")
    name_files(d, "admin")
    reload(d, READ_AGAIN)
    wait_until(lambda: shown(d.admin) == ("first", 2), what="the certificate")
    assert not d.log_lines(" error ")
    assert d.stop() == 0


@pytest.mark.parametrize("port, section", FACES)
def test_a_renewal_needs_no_word(daemon, pki, port, section):
    d = daemon
    put(d, pki, "first.pem", "first.key")
    name_files(d, section)
    d.start()
    d.await_ready()
    put(d, pki, "second.pem", "second.key")
    wait_until(lambda: shown(getattr(d, port)) == ("second", 2), 90, "the new certificate")
    put(d, pki, "ended.pem", "ended.key")
    wait_until(lambda: d.log_lines("the old certificate stays in use"), 90, "the word that it cannot be used")
    assert shown(getattr(d, port)) == ("second", 2)
    assert d.stop() == 0


def mixed(d, pki):
    put(d, pki, "first.pem", "second.key")


def reversed_chain(d, pki):
    chain(pki, "reversed.pem", "middle", "second")
    put(d, pki, "reversed.pem", "second.key")


def broken_chain(d, pki):
    chain(pki, "broken.pem", "second", "root")
    put(d, pki, "broken.pem", "second.key")


def ended(d, pki):
    put(d, pki, "ended.pem", "ended.key")


def open_key(d, pki):
    put(d, pki, "second.pem", "second.key")
    (d.dir / "live.key").chmod(0o644)


def no_file(d, pki):
    (d.dir / "live.pem").unlink()


def no_certificate(d, pki):
    put(d, pki, "second.key", "second.key")


def no_key(d, pki):
    put(d, pki, "second.pem", "second.pem")


BAD = [(mixed, "certificate", "do not belong together"), (reversed_chain, "certificate", "stands in place 2"),
       (broken_chain, "certificate", "certificate 2 is not that of the issuer of certificate 1"),
       (ended, "certificate", "the certificate ended at 20"), (open_key, "key", "others may read this private key"),
       (no_file, "certificate", "No such file"), (no_certificate, "certificate", "holds no certificate"),
       (no_key, "key", "")]


@pytest.mark.parametrize("port, section", FACES)
def test_a_bad_one_is_refused_and_the_old_one_stays(daemon, pki, port, section):
    d = daemon
    put(d, pki, "first.pem", "first.key")
    name_files(d, section)
    d.start()
    d.await_ready()
    for make, key, why in BAD:
        put(d, pki, "second.pem", "second.key")
        make(d, pki)
        done = d.cli("config", "reload", check=False)
        said = f"{section}: {key} = {d.dir}/live.{'pem' if key == 'certificate' else 'key'}: "
        assert done.returncode and said in done.stderr and why in done.stderr, done.stderr
        assert shown(getattr(d, port)) == ("first", 2), make.__name__
    put(d, pki, "second.pem", "second.key")
    d.cli("config", "reload")
    wait_until(lambda: shown(getattr(d, port)) == ("second", 2), what="a good one at last")
    assert d.stop() == 0


def test_at_the_start_a_bad_one_is_an_error(daemon, pki):
    mixed(daemon, pki)
    name_files(daemon, "admin")
    done = daemon.run("--test-config")
    assert done.returncode and "admin: certificate = " in done.stderr and "do not belong together" in done.stderr


def test_at_the_start_an_ended_one_is_used(daemon, pki):
    """A gateway without its interface could not even say what is wrong; nor does it block other changes."""
    d = daemon
    put(d, pki, "ended.pem", "ended.key")
    name_files(d, "admin")
    d.start()
    d.await_ready()
    assert shown(d.admin)[0] == "ended" and d.log_lines("warning .*the certificate ended")
    d.config["broker"]["max-packet"] = "2K"
    reload(d, READ_AGAIN)
    findings = json.loads(d.cli("security", "check", "--json").stdout)
    assert "certificates.file" in json.dumps(findings)
    assert d.stop() == 0


def test_status_and_setup_know_it(daemon, pki):
    d = daemon
    put(d, pki, "first.pem", "first.key")
    name_files(d, "admin")
    d.start()
    d.await_ready()
    der = ssl.PEM_cert_to_DER_cert((pki / "first.crt").read_text())
    fingerprint = hashlib.sha256(der).hexdigest()
    (file,) = json.loads(d.cli("status", "--json").stdout)["server_files"]
    assert file["name"] == "admin" and file["path"] == str(d.dir / "live.pem") and not file["public"]
    assert file["fingerprint"] == fingerprint
    assert "live.pem" in d.cli("status").stdout
    assert json.loads(d.cli("setup-code", "--json").stdout)["fingerprint"] == fingerprint
    assert "The browser warns of its certificate" in d.cli("setup-code").stdout
    link = dial(d.admin)
    assert "Strict-Transport-Security" not in ask(link, "admin").headers
    assert d.stop() == 0


def test_with_a_public_one_browsers_come_by_https_alone(daemon, pki):
    """The machine knows our root in a mount namespace of its own."""
    d = daemon
    put(d, pki, "first.pem", "first.key")
    name_files(d, "admin")
    bind = 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
    d.start(wrapper=["unshare", "-m", "sh", "-c", bind, str(pki / "root.crt")])
    d.await_ready()
    assert json.loads(d.cli("status", "--json").stdout)["server_files"][0]["public"]
    assert "The browser knows its certificate" in d.cli("setup-code").stdout
    assert ask(dial(d.admin), "admin").headers["Strict-Transport-Security"] == "max-age=31536000"
    assert serves(d.enrol, "enrol")
    assert "Strict-Transport-Security" not in ask(dial(d.enrol), "enrol").headers
    assert d.stop() == 0
