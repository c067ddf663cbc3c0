# SPDX-License-Identifier: Apache-2.0
"""Enrolment as a person and a script meet it: the commands that `gatehouse code add` prints, pasted as they are,
POST /api/v1/enrol with its answers and refusals, the approval queue, renewal and the end of the old certificate."""

import base64
import concurrent.futures
import http.client
import json
import ssl
import subprocess

import pytest

from gateway import wait_until
from mqtt import V5, Client

PATTERN_USES = 8


def openssl(*words, **options):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=True, **options).stdout


def make_csr(folder, name, key=None, form="PEM"):
    """A request for a new key, or one in `key`."""
    folder.mkdir(exist_ok=True)
    path = folder / "device.key"
    if key is None:
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    subject = f"/CN={name}" if name else "/"
    return openssl("req", "-new", "-key", key or path, "-subj", subject, "-outform", form)


def ask(gw, body=None, method="POST", headers=None, cert=None, raw=None):
    """One request to the enrolment port: (status, headers, answer)."""
    context = ssl.create_default_context(cafile=gw.root_ca)
    if cert:
        context.load_cert_chain(cert / "device.crt", cert / "device.key")
    connection = http.client.HTTPSConnection("127.0.0.1", gw.enrol, context=context, timeout=20)
    data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    if headers is None:
        headers = {"Content-Type": "application/json"}
    connection.request(method, "/api/v1/enrol", data, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    is_json = "json" in (answer.headers["Content-Type"] or "")
    return answer.status, answer.headers, json.loads(text) if is_json else text


def code(gw, *words):
    return gw.json("code", "add", *words)["code"]


def refusals(gw):
    return gw.json("event", "list", "--name", "enrol.refused", "--last", "1000")


def write(folder, answer):
    (folder / "device.crt").write_text(answer["certificate"]["pem"])
    (folder / "ca.crt").write_text(answer["certificate"]["roots_pem"])
    return folder


# -- what code add prints

def test_the_printed_commands_work_as_they_are(gateway, tmp_path):
    text = gateway.cli("code", "add", "printed-1", "--role", "writer", check=False)
    assert text.returncode == 2  # there is no such role
    gateway.cli("role", "add", "writer")
    gateway.cli("acl", "allow", "role:writer", "publish", "some/topic")
    text = gateway.cli("code", "add", "printed-1", "--role", "writer").stdout
    commands = text[text.index("# The root certificate"):]
    done = subprocess.run(["sh", "-e"], input=commands, cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and "NOT" not in done.stderr, done
    openssl("verify", "-x509_strict", "-CAfile", tmp_path / "ca.crt", "-untrusted", issuers(gateway, tmp_path),
            "-purpose", "sslclient", tmp_path / "device.crt")
    names = [e["event"] for e in gateway.json("event", "list", "--device", "printed-1")]
    assert "enrol.issued" in names and "enrol.renewed" in names and "client.connected" in names
    assert not [n for n in names if n in ("acl.denied", "enrol.refused")]
    shown = gateway.json("device", "show", "printed-1")
    assert shown["roles"] == ["writer"] and shown["enabled"] and len(shown["certificates"]) == 2


def issuers(gw, folder):
    path = folder / "issuers.pem"
    path.write_text("".join(a["pem"] for a in gw.json("ca", "show")["authorities"] if a["kind"] == "issuing"))
    return path


def test_a_foreign_root_is_not_kept(gateway, tmp_path):
    text = gateway.cli("code", "add", "printed-2").stdout
    mine = text[text.index("# The root"):text.index("# A key")]
    shown = next(line.split("'")[1] for line in mine.splitlines() if "grep" in line)
    other = shown[:-1] + ("0" if shown[-1] != "0" else "1")
    done = subprocess.run(["sh"], input=mine.replace(shown, other), cwd=tmp_path, text=True, capture_output=True)
    assert "NOT the root certificate" in done.stderr and not (tmp_path / "ca.crt").exists()


# -- with JSON

def test_json_code_and_csr(gateway, tmp_path):
    folder = tmp_path / "a"
    csr = make_csr(folder, "json-1")
    status, _, answer = ask(gateway, {"code": code(gateway, "json-1"), "csr": csr.decode()})
    assert status == 201 and answer["device"] == "json-1"
    write(folder, answer)
    openssl("verify", "-x509_strict", "-CAfile", folder / "ca.crt", "-untrusted", folder / "device.crt",
            folder / "device.crt")
    assert answer["certificate"]["pem"].count("BEGIN CERTIFICATE") == 2
    shown = gateway.json("cert", "show", answer["certificate"]["fingerprint"])
    assert (shown["device"], shown["via"], shown["not_after"]) == ("json-1", "rest", answer["certificate"]["not_after"])
    client = Client.tls(gateway.mqtts, V5, bundle=folder)
    client.connect("json-1")  # at once: the broker knows the certificate before the device does
    client.close()


def test_json_in_der(gateway, tmp_path):
    der = make_csr(tmp_path / "a", "json-2", form="DER")
    status, _, answer = ask(gateway, {"code": code(gateway, "json-2").lower(), "csr": base64.b64encode(der).decode()})
    assert status == 201 and answer["device"] == "json-2"


def test_nothing_of_the_request_but_key_and_name(gateway, tmp_path):
    folder = tmp_path / "a"
    make_csr(folder, "x")
    csr = openssl("req", "-new", "-key", folder / "device.key", "-subj", "/O=Evil/CN=json-3",
                  "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "subjectAltName=DNS:evil.example",
                  "-addext", "extendedKeyUsage=serverAuth", "-days", "9999")
    status, _, answer = ask(gateway, {"code": code(gateway, "json-3"), "csr": csr.decode()})
    assert status == 201
    text = openssl("x509", "-noout", "-text", input=answer["certificate"]["pem"].encode()).decode()
    assert "Subject: CN = json-3\n" in text
    assert "evil" not in text and "CA:TRUE" not in text and "TLS Web Server" not in text


def test_a_password_of_the_device(gateway, tmp_path):
    gateway.cli("device", "add", "json-4", "--password", input="a long password\n")
    csr = make_csr(tmp_path / "a", "json-4").decode()
    assert ask(gateway, {"password": "a wrong password", "csr": csr})[0] == 401
    assert ask(gateway, {"password": "a long password", "csr": csr})[0] == 201


def test_profiles(gateway, tmp_path):
    csr = make_csr(tmp_path / "a", "json-5").decode()
    by_hand = code(gateway, "json-5", "--profile", "manual")
    assert ask(gateway, {"code": by_hand, "csr": csr, "profile": "device"})[0] == 403
    assert ask(gateway, {"code": by_hand, "csr": csr, "profile": "gold"})[0] == 404
    status, _, answer = ask(gateway, {"code": by_hand, "csr": csr})
    issuing = [a for a in gateway.json("ca", "show")["authorities"] if a["kind"] == "issuing"]
    assert status == 201 and answer["certificate"]["not_after"] == issuing[0]["not_after"]


def test_refusals_of_codes(gateway, tmp_path):
    csr = make_csr(tmp_path / "a", "no-1").decode()
    other = make_csr(tmp_path / "b", "no-2").decode()
    good = code(gateway, "no-1")
    foreign = code(gateway, "no-1", "--keep", "--network", "192.0.2.0/24")
    expired = code(gateway, "no-1", "--keep", "--ttl", "1s")
    number = gateway.json("code", "list")[0]["id"]
    wait_until(lambda: [c for c in gateway.json("code", "list") if c["id"] == number][0]["state"] == "expired")
    before = len(refusals(gateway))
    assert ask(gateway, {"csr": csr})[0] == 401
    assert ask(gateway, {"csr": csr, "code": "not a code"})[0] == 401
    assert ask(gateway, {"csr": csr, "code": "0" * 32})[0] == 401
    assert ask(gateway, {"csr": csr, "code": foreign})[0] == 403
    status, headers, problem = ask(gateway, {"csr": other, "code": good})
    assert status == 403 and headers["Content-Type"] == "application/problem+json"
    assert problem["detail"] == 'the common name of the request is "no-2"; allowed is "no-1"'
    status, _, problem = ask(gateway, {"csr": csr, "code": expired})
    assert status == 401 and "expired at" in problem["detail"]
    assert ask(gateway, {"csr": csr, "code": good})[0] == 201
    assert ask(gateway, {"csr": csr, "code": good})[0] == 401  # a replay
    events = refusals(gateway)
    assert len(events) >= before + 7
    assert {"address", "reason", "actor"} <= set(events[-1]) and events[-1]["address"] == "127.0.0.1"
    assert events[-1]["reason"] == "this enrolment code was used already"


def test_a_newer_code_replaces_the_older_ones(gateway, tmp_path):
    csr = make_csr(tmp_path / "a", "again-1").decode()
    first, second = code(gateway, "again-1"), code(gateway, "again-1")
    status, _, problem = ask(gateway, {"csr": csr, "code": first})
    assert (status, problem["detail"]) == (401, 'this enrolment code was replaced by a newer one for "again-1"')
    assert refusals(gateway)[-1]["reason"] == problem["detail"]
    assert ask(gateway, {"csr": csr, "code": second})[0] == 201


def test_keys_of_others(gateway, tmp_path):
    folder = tmp_path / "a"
    csr = make_csr(folder, "key-1").decode()
    status, _, answer = ask(gateway, {"csr": csr, "code": code(gateway, "key-1")})
    assert status == 201
    second = make_csr(folder, "key-2", key=folder / "device.key").decode()
    status, _, problem = ask(gateway, {"csr": second, "code": code(gateway, "key-2")})
    assert status == 409 and 'belongs to device "key-1"' in problem["detail"]
    gateway.cli("cert", "revoke", answer["certificate"]["fingerprint"], "--reason", "key-compromise")
    status, _, problem = ask(gateway, {"csr": second, "code": code(gateway, "key-2")})
    assert status == 403 and "refused for ever" in problem["detail"]
    assert "key-2" not in gateway.cli("device", "list").stdout


@pytest.mark.parametrize("raw, status", [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"\xff\xfe", 400), (b'{"csr": 1}', 400), (b'{"code": "x"}', 400),
    (b'{"csr": "x", "color": "red"}', 400), (b'{"csr": "x", "csr": "x"}', 400), (b'{"csr": "AAAA"}', 400),
    (b'{"csr": "-----BEGIN CERTIFICATE REQUEST-----\\nAAAA\\n-----END CERTIFICATE REQUEST-----"}', 400),
    (b'{"csr": "x", "code": "y", "password": "z"}', 400),
])
def test_bad_bodies(gateway, raw, status):
    before = len(refusals(gateway))
    assert ask(gateway, raw=raw)[0] == status
    wait_until(lambda: len(refusals(gateway)) > before, what="the event")


def test_other_methods_and_types(gateway):
    status, headers, _ = ask(gateway, method="GET")
    assert status == 405 and headers["Allow"] == "POST"
    assert ask(gateway, raw=b"{}", headers={"Content-Type": "text/plain"})[0] == 415
    assert ask(gateway, raw=b"{}", headers={})[0] == 415


def test_a_code_for_many_is_used_as_often_as_it_says(gateway, tmp_path):
    many = code(gateway, "--pattern", "many-*", "--uses", PATTERN_USES)
    csrs = [make_csr(tmp_path / str(i), f"many-{i}").decode() for i in range(PATTERN_USES + 4)]

    def once(csr):
        status = 429
        while status == 429:  # the last use is on its way to another one
            status = ask(gateway, {"code": many, "csr": csr})[0]
        return status
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(once, csrs))
    assert sorted(statuses) == [201] * PATTERN_USES + [401] * 4
    assert len(gateway.json("device", "list", "--match", "many-")) == PATTERN_USES


# -- the queue

def test_approval(make_gateway, tmp_path):
    gw = make_gateway(set=["enrol.approval=anyone"])
    csr = make_csr(tmp_path / "a", "queue-1")
    body = {"csr": csr.decode()}
    status, headers, answer = ask(gw, body)
    assert status == 202 and int(headers["Retry-After"]) > 0 and answer["state"] == "pending"
    assert ask(gw, body)[0] == 202
    listed = gw.json("request", "list")
    assert [(r["name"], r["state"], r["source"]) for r in listed] == [("queue-1", "pending", "127.0.0.1")]
    der = openssl("pkey", "-in", tmp_path / "a" / "device.key", "-pubout", "-outform", "DER")
    key = openssl("dgst", "-sha256", "-r", input=der).split()[0].decode()
    assert listed[0]["key"] == answer["key"] == key
    assert listed[0]["words"].replace("-", "") == key[:20]
    assert listed[0]["words"] in gw.cli("request", "list").stdout
    said = gw.cli("request", "approve", "1", "--group", "new").stdout
    assert said.startswith("request 1: queue-1 gets its certificate when it asks again")
    status, _, answer = ask(gw, body)
    assert status == 201 and gw.json("device", "show", "queue-1")["groups"] == ["new"]
    assert ask(gw, body)[2]["certificate"]["fingerprint"] == answer["certificate"]["fingerprint"]
    denied = {"csr": make_csr(tmp_path / "b", "queue-2").decode()}
    assert ask(gw, denied)[0] == 202
    assert gw.cli("request", "deny", "2", "--why", "not ours").stdout == "request 2 of queue-2: denied\n"
    status, _, problem = ask(gw, denied)
    assert status == 403 and problem["detail"] == "an administrator denied this request: not ours"
    gw.restart()
    assert ask(gw, denied)[0] == 403 and ask(gw, body)[0] == 201


def test_approval_of_all(make_gateway, tmp_path):
    gw = make_gateway(set=["enrol.approval=anyone"])
    gw.cli("device", "add", "all-1")
    bodies = [{"csr": make_csr(tmp_path / str(i), f"all-{i}").decode()} for i in range(3)]
    assert [ask(gw, b)[0] for b in bodies] == [202] * 3
    done = gw.cli("request", "approve", "--all", "--group", "all", check=False)
    assert done.returncode == 6 and 'there is a device "all-1" already' in done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["request 1", "request 3"]
    assert [ask(gw, b)[0] for b in bodies] == [201, 202, 201]
    assert gw.cli("request", "deny", "--all").stdout == "request 2 of all-1: denied\n"
    assert ask(gw, bodies[1])[0] == 403


# -- the end of the old certificate

def test_the_old_certificate_ends_when_the_new_one_connects(gateway, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    csr = make_csr(first, "renew-1").decode()
    write(first, ask(gateway, {"csr": csr, "code": code(gateway, "renew-1")})[2])
    second.mkdir()
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            second / "device.key", "-subj", "/CN=renew-1", "-outform", "DER", "-out", second / "device.csr")
    subprocess.run(["curl", "-sS", "--fail-with-body", "--cacert", first / "ca.crt", "--cert", first / "device.crt",
                    "--key", first / "device.key", "-H", "Content-Type: application/pkcs10", "--data-binary",
                    f"@{second}/device.csr", "-o", second / "device.p7",
                    f"https://127.0.0.1:{gateway.enrol}/.well-known/est/simplereenroll"], check=True)
    der = base64.b64decode((second / "device.p7").read_bytes())
    (second / "device.crt").write_bytes(openssl("pkcs7", "-inform", "DER", "-print_certs", input=der))
    (second / "ca.crt").write_bytes((first / "ca.crt").read_bytes())
    old = Client.tls(gateway.mqtts, V5, bundle=first)
    old.connect("old")
    assert statuses(gateway) == ["good", "good"]
    new = Client.tls(gateway.mqtts, V5, bundle=second)
    new.connect("new")
    wait_until(lambda: statuses(gateway) == ["superseded", "good"], what="the end of the old certificate")
    old.expect_closed()
    new.close()
    assert gateway.json("event", "list", "--name", "certificate.superseded")[-1]["device"] == "renew-1"


def statuses(gw):
    return [c["status"] for c in gw.json("cert", "list", "--device", "renew-1")]


# -- claims: certificates of an authority outside

class Factory:
    """An authority that is not the gateway's, and the certificates that it put into devices."""

    def __init__(self, folder, name):
        file = name.replace(" ", "-")
        self.folder, self.ca, self.key = folder, folder / f"{file}.crt", folder / f"{file}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                self.key, "-subj", f"/CN={name}", "-days", "30", "-out", self.ca)

    def certify(self, subject):
        folder = self.folder / subject.replace("/", "_")
        folder.mkdir()
        ext = folder / "ext"
        ext.write_text("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                folder / "device.key", "-subj", subject, "-out", folder / "claim.csr")
        openssl("x509", "-req", "-in", folder / "claim.csr", "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial",
                "-extfile", ext, "-out", folder / "device.crt")
        return folder


def est(gw, claim, name, folder, what="simpleenroll", der=None):
    """simpleenroll with a claim certificate: the status of HTTP."""
    der = der or make_csr(folder, name, form="DER")
    done = subprocess.run(["curl", "-sS", "-o", folder / "answer", "-w", "%{http_code}", "--cacert", gw.root_ca,
                           "--cert", claim / "device.crt", "--key", claim / "device.key", "-H",
                           "Content-Type: application/pkcs10", "--data-binary", "@-",
                           f"https://127.0.0.1:{gw.enrol}/.well-known/est/{what}"], input=der, capture_output=True)
    return int(done.stdout)


def test_birth_certificates(gateway, tmp_path):
    factory = Factory(tmp_path, "Works One")
    one, two = factory.certify("/CN=birth-1"), factory.certify("/CN=birth-2")
    assert est(gateway, one, "birth-1", tmp_path / "a") == 403  # nobody trusts that authority yet
    assert gateway.cli("claim", "add", "works", factory.ca, "--pattern", "birth-*", "--group", "works",
                       "--quota", "2").stdout == "works: added\n"
    assert "Works One" in gateway.cli("claim", "list").stdout
    wait_until(lambda: est(gateway, one, "birth-1", tmp_path / "b") == 200, what="the claim")
    device = gateway.json("device", "show", "birth-1")
    assert device["groups"] == ["works"] and device["created_by"] == "claim works"
    assert est(gateway, one, "birth-2", tmp_path / "c") == 403  # another name than its own
    assert est(gateway, one, "birth-1", tmp_path / "d") == 200  # after a reset, for example
    assert est(gateway, two, "birth-2", tmp_path / "e") == 429  # two an hour
    assert est(gateway, one, "birth-1", tmp_path / "f", what="simplereenroll") == 403
    assert "birth-2" not in gateway.cli("device", "list").stdout
    gateway.cli("claim", "remove", "works")
    wait_until(lambda: est(gateway, one, "birth-1", tmp_path / "g") == 403, what="the end of the claim")


def test_a_claim_certificate_and_json(gateway, tmp_path):
    factory, stranger = Factory(tmp_path, "Works Eleven"), Factory(tmp_path, "Works Twelve")
    birth, foreign = factory.certify("/CN=json-birth-1"), stranger.certify("/CN=json-birth-2")
    gateway.cli("claim", "add", "eleven", factory.ca, "--pattern", "json-birth-*")
    folder = tmp_path / "a"
    body = {"csr": make_csr(folder, "json-birth-1").decode()}
    wait_until(lambda: ask(gateway, body, cert=birth)[0] == 201, what="the claim")
    other = {"csr": make_csr(tmp_path / "b", "json-birth-9").decode()}
    assert ask(gateway, other, cert=birth)[0] == 403  # another name than its own
    before = len(refusals(gateway))
    status, _, problem = ask(gateway, {"csr": make_csr(tmp_path / "c", "json-birth-2").decode()}, cert=foreign)
    assert status == 403 and "certificate" in problem["detail"]
    assert wait_until(lambda: refusals(gateway)[before:], what="the event")[-1]["reason"] == problem["detail"]
    # What it got renews itself in the same way, for its own name alone.
    (folder / "device.crt").write_text(ask(gateway, {"csr": make_csr(folder, "json-birth-1").decode()},
                                           cert=birth)[2]["certificate"]["pem"])
    assert ask(gateway, {"csr": make_csr(tmp_path / "d", "json-birth-1").decode()}, cert=folder)[0] == 201
    assert ask(gateway, other, cert=folder)[0] == 403
    assert [e["detail"]["by"] for e in gateway.json("event", "list", "--device", "json-birth-1")
            if e["event"] in ("enrol.issued", "enrol.renewed")] == ["claim", "claim", "certificate"]


def test_one_claim_certificate_for_all(gateway, tmp_path):
    factory = Factory(tmp_path, "Works Two")
    shared = factory.certify("/CN=firmware")
    gateway.cli("device", "add", "batch-0")
    gateway.cli("claim", "add", "batch", factory.ca, "--name-from", "csr", "--pattern", "batch-*")
    wait_until(lambda: est(gateway, shared, "batch-1", tmp_path / "a") == 200, what="the claim")
    assert est(gateway, shared, "batch-1", tmp_path / "b") == 409  # each name once
    assert est(gateway, shared, "batch-0", tmp_path / "c") == 409
    assert est(gateway, shared, "other-1", tmp_path / "d") == 403
    names = tmp_path / "names"
    names.write_text("# those of May\nbatch-2\n\nbatch-3 # the last one\n")
    assert gateway.cli("claim", "allow", "batch", names).stdout == "batch: 2 names may enrol\n"
    assert est(gateway, shared, "batch-4", tmp_path / "e") == 403
    assert est(gateway, shared, "batch-3", tmp_path / "f") == 200


def test_serial_numbers_as_names(gateway, tmp_path):
    factory = Factory(tmp_path, "Works Three")
    device = factory.certify("/CN=Pump 7/serialNumber=SN-0007")
    gateway.cli("claim", "add", "idevid", factory.ca, "--name-from", "serial")
    wait_until(lambda: est(gateway, device, "SN-0007", tmp_path / "a") == 200, what="the claim")
    assert gateway.json("device", "show", "SN-0007")["created_by"] == "claim idevid"


def test_claims_that_wait_for_a_person(make_gateway, tmp_path):
    gw = make_gateway(set=["enrol.approval=claim"])
    factory = Factory(tmp_path, "Works Four")
    one, two = factory.certify("/CN=wait-1"), factory.certify("/CN=wait-2")
    names = tmp_path / "names"
    names.write_text("wait-1\n")
    gw.cli("claim", "add", "works", factory.ca)
    gw.cli("claim", "allow", "works", names)
    wait_until(lambda: est(gw, one, "wait-1", tmp_path / "a") == 200, what="the claim")
    assert est(gw, two, "wait-2", tmp_path / "b") == 202
    request = gw.json("request", "list")[0]
    assert (request["name"], request["claim"]) == ("wait-2", "works")
    assert ask(gw, {"csr": make_csr(tmp_path / "c", "wait-3").decode()})[0] == 401  # strangers do not wait


@pytest.mark.parametrize("source", ["cn", "csr"])
def test_a_device_of_the_queue_comes_again(make_gateway, tmp_path, source):
    """After a reset it knows only its claim certificate: it waits for a person again. Who holds the certificate
    that it got renews by that."""
    gw = make_gateway()
    gw.cli("device", "add", "old-1")
    factory = Factory(tmp_path, "Works Nine")
    claim, old = factory.certify("/CN=queue-1"), factory.certify("/CN=old-1")
    gw.cli("claim", "add", "works", factory.ca, "--approval", "--name-from", source)
    gw.cli("claim", "add", "work", Factory(tmp_path, "Works Ten").ca)  # a name that the other one begins with
    wait_until(lambda: est(gw, claim, "queue-1", tmp_path / "a") == 202, what="the claim")

    der = make_csr(tmp_path / "own", "queue-1", form="DER")
    assert est(gw, claim, None, tmp_path / "own", der=der) == 202
    gw.cli("request", "approve", 2)
    assert est(gw, claim, None, tmp_path / "own", der=der) == 200
    assert gw.json("device", "show", "queue-1")["created_by"] == "claim works (request 2)"
    assert est(gw, claim, None, tmp_path / "own", der=der) == 200  # the same request: the same answer
    again = make_csr(tmp_path / "again", "queue-1", form="DER")
    assert est(gw, claim, None, tmp_path / "again", der=again) == 202
    waiting = [r for r in gw.json("request", "list") if r["id"] == 3]
    assert (waiting[0]["name"], waiting[0]["device_exists"]) == ("queue-1", True)
    gw.cli("request", "approve", 3, "--existing")
    assert est(gw, claim, None, tmp_path / "again", der=again) == 200
    assert len(gw.json("cert", "list", "--device", "queue-1")) == 2
    assert est(gw, old, "old-1", tmp_path / "old") == 409  # one that the claim did not make
    assert "renews with its own certificate" in (tmp_path / "old" / "answer").read_text()


def test_errors_of_claims(gateway, tmp_path):
    factory = Factory(tmp_path, "Works Five")
    leaf = factory.certify("/CN=leaf")

    def fails(*words, code, says):
        done = gateway.cli("claim", *words, check=False)
        assert done.returncode == code and says in done.stderr, done

    fails("add", "x", leaf / "device.crt", code=2, says="no certificate of an authority")
    fails("add", "x", leaf / "device.key", code=2, says="no certificate of an authority")
    fails("add", "x", tmp_path / "nothing", code=2, says="No such file")
    fails("add", "x", gateway.root_ca, code=2, says="authority of the gateway itself")
    fails("add", "x", factory.ca, "--name-from", "dice", code=2, says='"dice" is not known')
    fails("add", "x", factory.ca, "--pattern", "a", code=2, says="is no pattern")
    fails("add", "x", factory.ca, "--quota", "0", code=2, says="quota is 0")
    gateway.cli("claim", "add", "five", factory.ca)
    fails("add", "six", factory.ca, code=6, says="there is a claim for an authority of this name already")
    fails("remove", "seven", code=5, says='there is no claim "seven"')
    bad = tmp_path / "names"
    bad.write_text("good-1\nbad name\n")
    fails("allow", "five", bad, code=2, says='"bad name" is no name of a device')
    assert [c["allowed"] for c in gateway.json("claim", "list") if c["name"] == "five"] == [0]


def test_a_new_profile_is_a_label(gateway, tmp_path):
    def status():
        done = subprocess.run(["curl", "-s", "-o", tmp_path / "x", "-w", "%{http_code}", "--cacert", gateway.root_ca,
                               f"https://127.0.0.1:{gateway.enrol}/.well-known/est/guest/cacerts"], capture_output=True)
        return int(done.stdout)

    def lives(seconds):
        return subprocess.run(["openssl", "x509", "-noout", "-checkend", str(seconds)], capture_output=True,
                              input=answer["certificate"]["pem"].encode()).returncode == 0
    assert status() == 404
    gateway.cli("profile", "set", "guest", "--lifetime", "1d")
    wait_until(lambda: status() == 200, what="the label")
    csr = make_csr(tmp_path / "a", "guest-1").decode()
    answer = ask(gateway, {"csr": csr, "code": code(gateway, "guest-1", "--profile", "guest")})[2]
    assert lives(80000) and not lives(86401)


# -- just in time: devices that only ever connect

def connects(gw, folder):
    try:
        client = Client.tls(gw.listeners["ext"], V5, bundle=folder)
        client.connect("")
        client.close()
    except (OSError, AssertionError):
        return False
    return True


def ready(factory, folder, gw):
    """The folder as a bundle: the root that Client.tls wants is that of the gateway."""
    (folder / "ca.crt").write_text(open(gw.root_ca).read())
    return folder


def test_just_in_time_registration(make_gateway, tmp_path):
    tmp_path.chmod(0o755)
    factory = Factory(tmp_path, "Works Six")
    gw = make_gateway(listeners=[f"ext client-ca={factory.ca} auth=certificate"])
    one, two = (ready(factory, factory.certify(f"/CN=jit-{i}"), gw) for i in (1, 2))
    assert not connects(gw, one)  # nobody trusts that authority to enrol: and that is no event
    gw.cli("publish", "any/thing", "x")  # goes through the broker, behind what it tells of that certificate
    gw.cli("claim", "add", "works", factory.ca, "--group", "works", "--quota", "1")
    assert not connects(gw, one)
    event = wait_until(lambda: gw.json("event", "list", "--name", "enrol.issued"), what="the registration")[0]
    assert (event["device"], event["detail"]["by"], event["detail"]["via"]) == ("jit-1", "claim", "mqtt")
    assert connects(gw, one)
    assert gw.json("device", "show", "jit-1")["groups"] == ["works"]
    assert [c["via"] for c in gw.json("cert", "list", "--device", "jit-1")] == ["import"]
    assert refusals(gw) == []
    assert not connects(gw, two)  # one an hour
    refused = wait_until(lambda: refusals(gw), what="the refusal")
    assert "used up for this hour" in refused[-1]["reason"]
    gw.cli("device", "remove", "jit-1")
    assert not connects(gw, one) and not connects(gw, one)  # it was revoked: it does not come back by itself
    assert gw.json("device", "list", "--match", "jit") == []


def test_just_in_time_with_approval(make_gateway, tmp_path):
    tmp_path.chmod(0o755)
    factory = Factory(tmp_path, "Works Seven")
    gw = make_gateway(listeners=[f"ext client-ca={factory.ca} auth=certificate"])
    one = ready(factory, factory.certify("/CN=late-1"), gw)
    gw.cli("claim", "add", "works", factory.ca, "--approval")
    assert not connects(gw, one)
    request = wait_until(lambda: gw.json("request", "list"), what="the request")[0]
    assert (request["name"], request["claim"], request["via"]) == ("late-1", "works", "mqtt")
    assert not connects(gw, one)
    gw.cli("request", "approve", request["id"], "--group", "late")
    assert not connects(gw, one)  # this one brings the certificate
    wait_until(lambda: gw.json("event", "list", "--name", "enrol.issued"), what="the registration")
    assert connects(gw, one)
    assert gw.json("device", "show", "late-1")["groups"] == ["late"]


def test_another_authority_of_the_same_name(make_gateway, tmp_path):
    """A listener may trust an authority for other reasons, and that one can name an authority below it as it likes."""
    tmp_path.chmod(0o755)
    trusted, rogue = Factory(tmp_path, "Works Eight"), Factory(tmp_path, "rogue")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", rogue.key,
            "-subj", "/CN=Works Eight", "-days", "30", "-out", rogue.ca)
    gw = make_gateway(listeners=[f"ext client-ca={rogue.ca} auth=certificate"])
    gw.cli("claim", "add", "works", trusted.ca)
    one = ready(rogue, rogue.certify("/CN=evil-1"), gw)
    assert not connects(gw, one) and not connects(gw, one)
    gw.cli("device", "add", "later")
    assert [d["name"] for d in gw.json("device", "list")] == ["later"]
