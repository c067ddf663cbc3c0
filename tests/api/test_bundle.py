# SPDX-License-Identifier: Apache-2.0
"""The gateway makes the bundle: key, certificate and files in one answer, given once and kept nowhere."""

import concurrent.futures
import io
import json
import os
import signal
import stat
import subprocess
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from api import Api, Local
from conftest import PASSWORD
from gateway import wait_until
from mqtt import V5, Client

SECRET = "genügend lang 12"


@pytest.fixture(scope="module")
def who(gw):
    gw.cli("acl", "allow", "any", "all", "devices/${device}/#")
    caller = Api(gw.admin, gw.root_ca)
    caller.login("operator", PASSWORD)
    return caller


def make(who, name, again=False, repeat="", **more):
    path = f"/api/v1/devices/{name}/bundle" if again else "/api/v1/bundles"
    body = more if again else {"name": name, **more}
    return who.request("POST", path, body, headers={"Idempotency-Key": repeat} if repeat else {}, timeout=60)


def unpack(answer, folder):
    """The files of a ZIP with their modes, as unzip and the like make them."""
    assert answer.status == 201, answer.body
    assert answer.headers["Content-Type"] == "application/zip" and answer.headers["Cache-Control"] == "no-store"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(answer.body)) as z:
        assert z.testzip() is None
        z.extractall(folder)
        for entry in z.infolist():
            os.chmod(folder / entry.filename, entry.external_attr >> 16 & 0o777)
    (top,) = folder.iterdir()
    return top


def connects(gw, files, device):
    with Client.tls(gw.mqtts, V5, ca=files / "ca.crt", cert=files / "device.crt", key=files / "device.key") as c:
        c.connect("someone")
    return gw.json("cert", "list", "--device", device)


def test_a_zip_is_all_that_a_device_needs(gw, who, tmp_path):
    answer = make(who, "pump-1", groups=["hall"], note="north", kind="pump")
    assert 'filename="pump-1.zip"' in answer.headers["Content-Disposition"]
    files = unpack(answer, tmp_path)
    assert files.name == "pump-1"
    assert stat.S_IMODE((files / "device.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((files / "connect.sh").stat().st_mode) == 0o755
    assert isinstance(load_pem_private_key((files / "device.key").read_bytes(), None).curve, ec.SECP256R1)
    assert (files / "examples/paho-client.py").is_file()
    assert "the gateway made it and did not keep it" in (files / "README").read_text()
    assert "p12" not in (files / "README").read_text()
    env = (files / "client.env").read_text()
    assert f"MQTT_PORT='{gw.mqtts}'" in env and "MQTT_HOST='127.0.0.1'" in env
    device = gw.json("device", "show", "pump-1")
    assert (device["groups"], device["note"], device["kind"]) == (["hall"], "north", "pump")
    connects(gw, files, "pump-1")
    sent = subprocess.run([files / "connect.sh", "pub", "devices/pump-1/state", "hello"], capture_output=True,
                          text=True)
    assert sent.returncode == 0, sent.stderr


def test_the_command_line_writes_the_same_files(gw, who, tmp_path):
    files = unpack(make(who, "same-1", host="gw.example"), tmp_path / "a")
    gw.cli("device", "add", "same-2", "--bundle", str(tmp_path / "b"), "--host", "gw.example")
    names = {str(p.relative_to(files)) for p in files.rglob("*")}
    assert names == {str(p.relative_to(tmp_path / "b")) for p in (tmp_path / "b").rglob("*")}
    for name in ("connect.sh", "client.env", "examples/telegraf.conf"):
        theirs = (tmp_path / "b" / name).read_text().replace("same-2", "same-1")
        assert (files / name).read_text() == theirs.replace(str(tmp_path / "b"), "/path/to/the/bundle"), name


def test_a_further_bundle_for_a_device(gw, who, tmp_path):
    gw.cli("device", "add", "meter-1")
    files = unpack(make(who, "meter-1", again=True), tmp_path / "first")
    assert len(connects(gw, files, "meter-1")) == 1
    files = unpack(make(who, "meter-1", again=True, key="RSA"), tmp_path / "rsa")
    key = load_pem_private_key((files / "device.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048
    assert len(connects(gw, files, "meter-1")) == 2
    assert make(who, "no-such", again=True).status == 404


@pytest.mark.parametrize("form, extra, words", [
    ("p12", [], ["PBES2, PBKDF2, AES-256-CBC", "hmacWithSHA256", "MAC: sha256"]),
    ("p12-legacy", ["-legacy"], ["pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"]),
])
@pytest.mark.parametrize("kind", ["P-256", "RSA"])
def test_pkcs12(gw, who, tmp_path, form, extra, words, kind):
    name = f"{form}.{kind}"
    answer = make(who, name, form=form, passphrase=SECRET, key=kind)
    assert answer.status == 201 and answer.headers["Content-Type"] == "application/pkcs12"
    assert answer.headers["Cache-Control"] == "no-store" and f'"{name}.p12"' in answer.headers["Content-Disposition"]
    file = tmp_path / "device.p12"
    file.write_bytes(answer.body)
    key, certificate, others = pkcs12.load_key_and_certificates(answer.body, SECRET.encode())
    assert key.public_key().public_numbers() == certificate.public_key().public_numbers() and len(others) == 2
    pem = tmp_path / "device.pem"
    told = subprocess.run(["openssl", "pkcs12", "-in", file, "-passin", f"pass:{SECRET}", "-noenc", "-info", "-out",
                           pem, *extra], capture_output=True, text=True)
    assert told.returncode == 0 and all(w in told.stderr for w in words), told.stderr
    wrong = subprocess.run(["openssl", "pkcs12", "-in", file, "-passin", "pass:another one", "-noenc", *extra],
                           capture_output=True, text=True)
    assert wrong.returncode != 0
    with Client.tls(gw.mqtts, V5, ca=gw.root_ca, cert=pem, key=pem) as c:
        c.connect("someone")


def test_curl_takes_the_pkcs12_as_it_is(gw, who, tmp_path):
    """At the enrolment port, which asks for a certificate and renews by it."""
    answer = make(who, "curl-1", form="p12", passphrase="simple enough")
    file = tmp_path / "device.p12"
    file.write_bytes(answer.body)
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                    "-keyout", tmp_path / "new.key", "-subj", "/CN=curl-1", "-outform", "DER", "-out",
                    tmp_path / "csr"], check=True, capture_output=True)
    told = subprocess.run(["curl", "-sS", "--fail-with-body", "--cacert", gw.root_ca, "--cert-type", "P12", "--cert",
                           f"{file}:simple enough", "-H", "Content-Type: application/pkcs10", "--data-binary",
                           f"@{tmp_path / 'csr'}", f"https://localhost:{gw.enrol}/.well-known/est/simplereenroll"],
                          capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_it_is_given_once(gw, who):
    first = make(who, "once-1", repeat="b-1", form="p12", passphrase="one passphrase")
    assert first.status == 201
    for passphrase in ("one passphrase", "another passphrase"):  # no part of what the request is known by
        again = make(who, "once-1", repeat="b-1", form="p12", passphrase=passphrase)
        said = again.json()
        assert again.status == 409 and said["field"] == "Idempotency-Key" and "given once" in said["detail"]
    assert len(gw.json("cert", "list", "--device", "once-1")) == 1
    other = make(who, "once-2", repeat="b-1")
    assert other.status == 422 and "another request" in other.json()["detail"]


def test_what_was_refused_may_be_asked_again(gw, who):
    gw.cli("device", "add", "taken-1")
    assert make(who, "taken-1", repeat="b-2").status == 409
    gw.cli("device", "remove", "taken-1")
    assert make(who, "taken-1", repeat="b-2").status == 201


def test_many_at_once(gw, who):
    """Each is answered, with a bundle or with the request to wait, and who waits for nobody is served meanwhile."""
    with concurrent.futures.ThreadPoolExecutor(14) as pool:
        wanted = [pool.submit(make, who, f"many-{i}", form="p12", passphrase="one passphrase") for i in range(12)]
        assert who.call("GET", "/session")[0] == 200
        answers = [w.result() for w in wanted]
    assert {a.status for a in answers} <= {201, 429}
    assert sum(a.status == 201 for a in answers) >= 4
    assert all(a.headers["Retry-After"] == "1" for a in answers if a.status == 429)
    devices = [d["name"] for d in gw.json("device", "list", "--match", "many-")]
    assert len(devices) == sum(a.status == 201 for a in answers), "one that was told to wait did something"


def test_nobody_takes_the_last_place(gw, who, login):
    """One login has four of eight at most: another one is served while it asks for all."""
    other = login("operator")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        wanted = [pool.submit(make, who, f"share-{i}", form="p12", passphrase="one passphrase") for i in range(15)]
        mine = make(other, "share-other")
        answers = [w.result() for w in wanted]
    assert mine.status == 201
    assert 201 in {a.status for a in answers}


def test_nothing_of_it_is_left(gw, who, tmp_path):
    """Not in the databases, the journal, the log or the events, nor in an answer about what was done."""
    files = unpack(make(who, "secret-1"), tmp_path)
    body = "".join((files / "device.key").read_text().splitlines()[1:-1])
    answer = make(who, "secret-2", form="p12", passphrase="a passphrase-to-find")
    assert answer.status == 201
    key, _, _ = pkcs12.load_key_and_certificates(answer.body, b"a passphrase-to-find")
    number = key.private_numbers().private_value.to_bytes(32, "big")
    look = [b"passphrase-to-find", body[60:110].encode(), number, number.hex().encode(),
            load_pem_private_key((files / "device.key").read_bytes(), None).private_numbers().private_value
            .to_bytes(32, "big")]
    searched = 0
    for path in gw.dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            searched += b"secret-2" in content
            assert not any(secret in content for secret in look), path
    assert searched, "the name is not even in the databases: this looked at the wrong place"
    told = json.dumps([gw.json("audit", "list"), gw.json("event", "list", "--last", "1000")])
    assert "secret-2" in told and "passphrase-to-find" not in told and body[60:110] not in told


@pytest.mark.parametrize("body, field, words", [
    ({}, "name", "missing"),
    ({"name": "../up"}, "name", "A-Z a-z 0-9"),
    ({"name": "x", "form": "tar"}, "form", "zip, p12 or p12-legacy"),
    ({"name": "x", "form": "p12"}, "passphrase", "8 to 511 bytes"),
    ({"name": "x", "form": "p12", "passphrase": "1234567"}, "passphrase", "8 to 511 bytes"),
    ({"name": "x", "form": "p12", "passphrase": "x" * 512}, "passphrase", "511"),
    ({"name": "x", "form": "p12", "passphrase": "one\ntwo three"}, "passphrase", "control characters"),
    ({"name": "x", "passphrase": "a passphrase"}, "passphrase", "p12"),
    ({"name": "x", "key": "DSA"}, "key", "P-256 or RSA"),
    ({"name": "x", "host": "a'b"}, "host", "host name or an address"),
    ({"name": "x", "csr": "x"}, "csr", "the gateway makes"),
    ({"name": "x", "roles": ["no-such"]}, "roles", "no-such"),
    ({"name": "x", "more": 1}, "more", "no argument"),
])
def test_what_is_wrong_is_named_and_nothing_is_done(gw, who, body, field, words):
    answer = who.request("POST", "/api/v1/bundles", body)
    said = answer.json()
    assert answer.status == 400 and said["field"] == field and words in said["detail"], said
    assert gw.cli("device", "show", "x", check=False).returncode != 0


def test_no_object_and_no_other_method(who):
    for body in ("[]", "{", '{"name": "a", "name": "b"}'):
        assert who.request("POST", "/api/v1/bundles", body).status == 400
    answer = who.request("GET", "/api/v1/bundles")
    assert answer.status == 405 and answer.headers["Allow"] == "POST"
    assert who.request("POST", "/api/v1/devices/%zz/bundle", {}).status == 400
    foreign = who.request("POST", "/api/v1/bundles", {"name": "foreign"}, headers={"Origin": "https://other.example"})
    assert foreign.status == 403


def test_levels_and_tokens(gw, login, stranger):
    assert stranger.call("POST", "/bundles", {"name": "nobodys"})[0] == 401
    status, said = login("viewer").call("POST", "/bundles", {"name": "viewers"})
    assert status == 403 and "operator" in said["detail"]
    refused = [a for a in gw.json("audit", "list") if (a["outcome"], a["operation"]) == ("denied", "device.add")]
    assert [a["actor"] for a in refused].count("viewer") == 1
    no_page = login("operator")
    no_page.page = ""
    assert no_page.call("POST", "/bundles", {"name": "forged"})[0] in (401, 403)
    program = Api(gw.admin, gw.root_ca)
    program.token = gw.json("token", "add", "bundles", "operator", "--operation", "device.add")["token"]
    assert make(program, "by-token").status == 201
    status, said = program.call("POST", "/devices/by-token/bundle", {})
    assert status == 403 and "cert.add" in said["detail"]
    assert make(Local(gw.socket), "by-socket").status == 201


def test_it_is_described(gw, stranger):
    paths = stranger.request("GET", "/api/v1/openapi.json").json()["paths"]
    adds, again = paths["/api/v1/bundles"]["post"], paths["/api/v1/devices/{device}/bundle"]["post"]
    body = adds["requestBody"]["content"]["application/json"]["schema"]
    plain = paths["/api/v1/devices"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    mine = {"form", "passphrase", "key", "host"}
    assert set(body["properties"]) == set(plain["properties"]) - {"csr"} | mine and body["required"] == ["name"]
    assert set(again["requestBody"]["content"]["application/json"]["schema"]["properties"]) == mine
    assert not again["requestBody"]["required"]
    for operation in (adds, again):
        assert operation["x-level"] == "operator"
        assert set(operation["responses"]["201"]["content"]) == {"application/zip", "application/pkcs12"}


def test_the_store_is_away(make_gateway):
    """What got no answer may have been done: the same request is not done again."""
    gw = make_gateway()
    local = Local(gw.socket)
    assert make(local, "before").status == 201
    store = next(p["pid"] for p in gw.json("status")["processes"] if p["name"] == "store")
    os.kill(store, signal.SIGKILL)
    answer = make(local, "while-away", repeat="b-3")
    assert answer.status in (201, 503), answer.body
    if answer.status == 503:
        wait_until(lambda: make(local, "while-away", repeat="b-3").status in (201, 409), what="the store to come back")
