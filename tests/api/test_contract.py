# SPDX-License-Identifier: Apache-2.0
"""The gateway held against its own description: every route is described, every operation answers what the
description says, what it forbids is refused with a reason, and every level may what it is to."""

import base64
import datetime
import hmac
import json
import pathlib
import re
import struct
import subprocess
import time
import urllib.parse

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api import Api, Local
from conftest import PASSWORD, add_people
from gateway import Gateway, wait_until
from mqtt import V5, Client

TREE = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ["nobody", "viewer", "operator", "admin"]
PAGES = {"openapi.show", "stream.show", "watch.stream", "device.bundle", "cert.bundle"}  # no operations of the store
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def gw():
    with Gateway(set=["enrol.approval=anyone"]) as made:
        yield add_people(made)


@pytest.fixture(scope="module")
def book(gw):
    return Book(Api(gw.admin, gw.root_ca).request("GET", "/api/v1/openapi.json").json())


@pytest.fixture(scope="module")
def people(gw):
    """A caller of each level."""
    found = {level: Api(gw.admin, gw.root_ca) for level in LEVELS}
    for level in LEVELS[1:]:
        found[level].login(level, PASSWORD)
    return found


class Operation:
    def __init__(self, method, path, said):
        self.method, self.path, self.said = method.upper(), path, said
        self.level = said["x-level"]
        self.parameters = {p["name"]: (p["in"], p["required"], p["schema"])
                           for p in said.get("parameters", ()) if "in" in p}
        body = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        for name, schema in body.get("properties", {}).items():
            self.parameters[name] = ("body", name in body["required"], schema)
        (self.status,) = [int(code) for code in said["responses"] if code.startswith("2")]

    def request(self, arguments):
        """(method, path, body) with each argument where the description puts it."""
        path, query, body = self.path, {}, {}
        for name, value in arguments.items():
            where = self.parameters[name][0] if name in self.parameters else "body" if self.method != "GET" else "query"
            if where == "path":
                path = path.replace("{%s}" % name, urllib.parse.quote(str(value), safe=""))
            elif where == "query":
                query[name] = str(value).lower() if isinstance(value, bool) else value
            else:
                body[name] = value
        return self.method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body or None


class Book:
    """The description, by operation."""

    def __init__(self, text):
        self.text = text
        self.operations = {said["operationId"]: Operation(method, path, said)
                           for path, item in text["paths"].items() for method, said in item.items()}
        self.store = {name: o for name, o in self.operations.items() if name not in PAGES}

    def check(self, answer, schema):
        """The JSON of an answer that is as the schema says."""
        whole = {**schema, "components": self.text["components"]}
        wrong = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft202012Validator(whole).iter_errors(answer)]
        assert not wrong, "not as daemon/web/results.def says: " + "; ".join(wrong)
        return answer

    def problem(self, answer, status):
        said = self.check(answer.json(), self.text["components"]["schemas"]["Problem"])
        assert answer.status == status == said["status"], said
        assert answer.headers["Content-Type"] == "application/problem+json"
        return said

    def good(self, who, operation, arguments):
        """A call that works: the status and the answer are as described."""
        name, operation = operation, self.operations[operation]
        answer = who.request(*operation.request({k.replace("_", "-"): v for k, v in arguments.items()}))
        assert answer.status == operation.status, (name, answer.body)
        (kind,) = operation.said["responses"][str(operation.status)]["content"]
        assert answer.headers["Content-Type"] == kind
        if kind != "application/json":
            return answer.body
        schema = operation.said["responses"][str(operation.status)]["content"]["application/json"]["schema"]
        return self.check(answer.json(), schema)


def rows(file, pattern):
    return re.findall(pattern, (TREE / file).read_text(), re.M)


# -- the description


def test_everyone_may_read_it_and_it_is_kept(gw, stranger):
    first = stranger.request("GET", "/api/v1/openapi.json")
    assert first.status == 200 and first.headers["Content-Type"] == "application/json"
    again = stranger.request("GET", "/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == first.headers["ETag"]
    assert stranger.request("GET", "/api/v1/openapi.json", headers={"If-None-Match": '"other"'}).body == first.body
    assert stranger.request("POST", "/api/v1/openapi.json", b"{}").status == 405
    assert Local(gw.socket).request("GET", "/api/v1/openapi.json").body == first.body


def test_every_route_is_described_and_nothing_else(book):
    routes = rows("daemon/web/routes.def", r'^ROUTE\("(\w+)", "([^"]+)", \w+, (\d+)\)')
    described = {(o.method, o.path, o.status) for o in book.store.values()}
    assert described == {(method, path, int(status)) for method, path, status in routes} and len(routes) > 70


def test_every_operation_and_its_level_is_described(book):
    table = rows("daemon/ipc/operations.def", r'^OP\(\w+, "([^"]+)", (\w+), (\w+)\)')
    assert {(n, o.level, o.said["x-effect"]) for n, o in book.store.items()} == {
        (name, level.lower(), effect.lower()) for name, level, effect in table}


def test_it_is_openapi(book):
    """As far as that can be told without its meta-schema: schemas are schemas, references lead somewhere."""
    assert book.text["openapi"] == "3.1.0" and book.text["info"]["version"]
    for operation in book.operations.values():
        in_path = {n for n, (where, _, _) in operation.parameters.items() if where == "path"}
        assert in_path == set(re.findall(r"{([^}]+)}", operation.path)), operation.path
        for _, _, schema in operation.parameters.values():
            jsonschema.Draft202012Validator.check_schema(schema)
    for schema in book.text["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for target in set(re.findall(r'"#/([^"]+)"', json.dumps(book.text))):
        found = book.text
        for part in target.split("/"):
            found = found[part]


def test_who_may_and_what_may_be_conditional_is_said(book):
    """For readers to whom x-level says nothing."""
    for name, o in book.store.items():
        assert "everyone" in o.said["description"] if o.level == "nobody" else o.level in o.said["description"], name
        condition = {"$ref": "#/components/parameters/IfMatch"}
        assert (condition in o.said["parameters"]) == ("version" in o.parameters), name
        assert [s for s in o.said["security"] if not set(s) <= set(book.text["components"]["securitySchemes"])] == []
    assert all(s["description"] for s in book.text["components"]["securitySchemes"].values())
    assert book.text["servers"] and book.text["info"]["license"]["identifier"] == "Apache-2.0"


def test_nothing_unsaid_is_in_an_answer(book):
    """Every object of an answer says all of its fields, or says that there are more."""
    def objects(schema):
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for inside in schema.values():
                yield from objects(inside)
        elif isinstance(schema, list):
            for inside in schema:
                yield from objects(inside)

    for operation in book.store.values():
        content = operation.said["responses"][str(operation.status)]["content"]
        if "application/octet-stream" in content:
            continue
        answer = content["application/json"]["schema"]
        assert answer["additionalProperties"] is False and answer["properties"], operation.path
    for found in objects(book.text["components"]["schemas"]):
        assert found["additionalProperties"] is False or not found["properties"]


def test_the_types_of_the_interface_are_made_of_it(book):
    made = subprocess.run(["node", TREE / "webui/api-types.mjs"], input=json.dumps(book.text), capture_output=True,
                          text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout == (TREE / "webui/src/api-types.ts").read_text(), "run make api-types"


# -- what is refused


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """valid(operation): arguments that pass the gate of the web process, and name nothing that is there."""
    csr, authority = make_csr("nobody"), pem(make_authority("Nobody")[1])
    texts = {"csr": csr, "authority": authority, "certificate": pem(make_leaf()), "name": "nobody-there"}
    values = {"string": "nobody", "integer": 1, "boolean": False, "array": ["nobody"], "object": {"version": 1}}

    def arguments(operation):
        return {name: texts.get(name, values[schema["type"]])
                for name, (_, required, schema) in operation.parameters.items() if required}

    return arguments


def test_roles_and_routes(book, people, valid):
    """Every route for every level that is too low: 401 without a login, 403 with one."""
    tried = 0
    for name, operation in book.store.items():
        for level in LEVELS[:LEVELS.index(operation.level)]:
            answer = people[level].request(*operation.request(valid(operation)))
            said = book.problem(answer, 401 if level == "nobody" else 403)
            assert said["detail"].startswith(f"{name} needs the level {operation.level}"), said
            tried += 1
    assert tried > 130


def wrongs(operation):
    """(argument, wrong value, what the refusal must say beside the argument's name)"""
    for name, (where, _, schema) in operation.parameters.items():
        if schema["type"] == "string":
            yield name, "x" * (schema["maxLength"] + 1), str(schema["maxLength"])
        if schema["type"] == "integer":
            yield name, "many", "whole number"
            if schema["maximum"] < 2**53:
                yield name, schema["maximum"] + 1, str(schema["maximum"])
            if where == "body":
                yield name, -1, "between 0"
        if schema["type"] == "object":
            yield name, ["x"], "object"
        if schema["type"] == "boolean":
            yield name, "perhaps", "true or false"
        if schema["type"] == "array":
            yield name, ["x" * (schema["items"]["maxLength"] + 1)], str(schema["items"]["maxLength"])
            yield name, ["x"] * (schema["maxItems"] + 1), str(schema["maxItems"])


def test_wrong_arguments_are_named_with_their_limit(book, people, valid):
    tried = 0
    for operation in book.store.values():
        for name, value, limit in wrongs(operation):
            answer = people["admin"].request(*operation.request({**valid(operation), name: value}))
            said = book.problem(answer, 400)
            assert said["field"] == name and name in said["detail"] and limit in said["detail"], (operation.path, said)
            tried += 1
    assert tried > 150


def test_missing_and_unknown_arguments_are_named(book, people, valid):
    for name, operation in book.store.items():
        whole = valid(operation)
        said = book.problem(people["admin"].request(*operation.request({**whole, "no-such": "x"})), 400)
        assert said["field"] == "no-such" and name in said["detail"], said
        for missing in whole:
            if operation.parameters[missing][0] == "path":
                continue
            rest = {k: v for k, v in whole.items() if k != missing}
            said = book.problem(people["admin"].request(*operation.request(rest)), 400)
            assert said["field"] == missing and "is missing" in said["detail"], said


def test_what_is_no_object_is_refused(book, people):
    for body in ("[]", "1", '"x"', "{", '{"name": "a", "name": "b"}', "null"):
        said = book.problem(people["admin"].request("POST", "/api/v1/devices", body), 400)
        assert "JSON" in said["detail"]


def test_no_such_resource_and_no_such_method(book, people):
    book.problem(people["admin"].request("GET", "/api/v1/no-such"), 404)
    answer = people["admin"].request("PUT", "/api/v1/devices")
    book.problem(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def lists(book):
    return [(name, o) for name, o in book.store.items()
            if o.method == "GET" and "after" in o.parameters and "limit" in o.parameters]


def test_cursors_that_are_none(book, people):
    """What is no cursor of the list is refused, or is before or behind all of its rows: never an error of ours."""
    assert len(lists(book)) > 5
    for name, o in lists(book):
        whole = {n: "nobody" for n, (_, required, _) in o.parameters.items() if required}
        for after in ("", "0", "-1", "1e9", "x" * 100, "%00", "9" * 20, "\N{SNOWMAN}", '{"a":1}'):
            answer = people["admin"].request(*o.request({**whole, "after": after, "limit": 1}))
            assert answer.status in (200, 400, 404), (name, after, answer.body)
            if answer.status == 400:
                assert book.problem(answer, 400)["field"] == "after", (name, after)
        assert book.problem(people["admin"].request(*o.request({**whole, "limit": 0})), 400)["field"] == "limit", name


def test_a_cursor_is_of_its_order(book, people):
    """One that has not the form of this order is refused; of another list it is at worst another place."""
    who = people["admin"]
    for device in ("cursor-a", "cursor-b"):
        assert who.request("POST", "/api/v1/devices", {"name": device}).status == 201

    def page(sort, after=None):
        more = "&after=" + urllib.parse.quote(after) if after else ""
        return who.request("GET", f"/api/v1/devices?match=cursor&limit=1&sort={sort}{more}")

    orders = ["name", "kind", "created", "certificate", "seen", "state"]
    cursors = {sort: page(sort).json()["next"] for sort in orders}
    for sort in orders:
        assert page(sort, cursors[sort]).json()["items"][0]["name"] in ("cursor-a", "cursor-b")
        for other in orders:
            answer = page(other, cursors[sort])
            assert answer.status in (200, 400)
            if "name" in (sort, other) and sort != other:
                said = book.problem(answer, 400)
                assert said["field"] == "after" and "give the next of the page before" in said["detail"]
    for device in ("cursor-a", "cursor-b"):
        assert who.request("DELETE", f"/api/v1/devices/{device}").status == 200


# -- what somebody else changed meanwhile


@pytest.mark.parametrize("kind", ["devices", "roles"])
def test_a_change_can_be_made_on_condition(book, people, kind):
    who, path = people["operator"], f"/api/v1/{kind}/shared"
    made = who.request("POST", f"/api/v1/{kind}", {"name": "shared"})
    assert made.status == 201
    first = who.request("GET", path).headers["ETag"]
    assert first == made.headers["ETag"] == f'"{made.json()["version"]}"'
    done = who.request("PATCH", path, {"note": "mine"}, headers={"If-Match": first})
    assert done.status == 200 and done.headers["ETag"] != first
    late = book.problem(who.request("PATCH", path, {"note": "theirs"}, headers={"If-Match": first}), 412)
    assert late["field"] == "version" and "changed meanwhile" in late["detail"]
    book.problem(who.request("PATCH", path, {"note": "theirs", "version": int(first.strip('"'))}), 412)
    assert who.request("GET", path).json()["note"] == "mine"
    assert who.request("GET", path).headers["ETag"] == done.headers["ETag"]
    wrong = book.problem(who.request("PATCH", path, {"note": "x"}, headers={"If-Match": 'W/"1"'}), 400)
    assert wrong["field"] == "version"
    assert who.request("PATCH", path, {"note": "any"}, headers={"If-Match": "*"}).status == 200
    assert who.request("PATCH", path, {"note": "whatever"}).status == 200
    assert book.problem(who.request("DELETE", path, headers={"If-Match": first}), 400)["field"] == "version"
    assert who.request("DELETE", path).status == 200


# -- what works


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def make_csr(name):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return pem(made)


def certify(subject, public_key, issuer, key, ca):
    now = datetime.datetime.utcnow()
    usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + 20 * DAY)
            .add_extension(x509.BasicConstraints(ca, None), True).add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False))
    if not ca:
        made = made.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    return made.sign(key, hashes.SHA256())


def make_authority(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return key, certify(subject, key.public_key(), subject, key, True)


def make_leaf(name="stranger"):
    key, authority = make_authority("Elsewhere")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return certify(subject, ec.generate_private_key(ec.SECP256R1()).public_key(), authority.subject, key, False)


def six_digits(secret):
    """RFC 6238 with a step of 30 s."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7fffffff) % 10**6:06}"


@pytest.fixture(scope="module")
def seen():
    """The operations that were seen to work, in all tests of this file."""
    return set()


@pytest.fixture
def does(book, people, seen):
    """does("device.add", name="x"): a call that works for who has just the level for it; its answer."""
    def call(operation, /, who=None, **arguments):
        answer = book.good(who or people[book.store[operation].level], operation, arguments)
        seen.add(operation)
        return answer
    return call


def test_devices_and_certificates(does):
    does("role.add", name="pumps", note="all of them")
    does("device.add", name="one", groups=["hall"], roles=["pumps"], password="a good password")
    made = does("device.add", name="two", csr=make_csr("two"))
    assert made["certificate"]["pem"].startswith("-----BEGIN CERTIFICATE")
    does("device.set", name="two", note="changed")
    assert does("device.list", limit=1)["next"] == "one"
    assert [d["name"] for d in does("device.list", after="one", limit=1)["items"]] == ["two"]
    page = does("device.list", sort="certificate", order="desc", limit=1)
    assert (page["items"][0]["name"], page["items"][0]["certificate_end"]) == ("one", None)
    (last,) = does("device.list", sort="certificate", order="desc", after=page["next"])["items"]
    assert last["name"] == "two" and last["certificate_end"] == made["certificate"]["not_after"]
    assert does("device.list", state="never", kind="device", sort="seen", count=True)["total"] == 2
    assert does("device.list", state="connected", sort="state", count=True)["items"] == []
    assert (last["state"], last["last_seen"], last["last_address"]) == ("never", None, None)
    second = does("cert.add", device="one", csr=make_csr("one"))["certificate"]["fingerprint"]
    does("cert.hold", id=second)
    assert does("cert.show", id=second)["status"] == "hold"
    does("cert.release", id=second)
    does("cert.revoke", id=second, reason="superseded")
    does("cert.import", device="one", certificate=pem(make_leaf()))
    assert len(does("cert.list")["items"]) > 2
    assert does("device.show", name="one")["certificates"]
    does("role.set", name="pumps", note="")
    does("acl.add", effect="allow", subject="role:pumps", action="publish", filter="pumps/#", qos="0,1", retain=False,
         networks=["10.0.0.0/8"])
    rule = does("acl.add", effect="deny", subject="group:nobody", action="all", filter="a/+")
    assert "hint" in rule
    assert does("acl.list")["items"] and does("role.list")["items"] and does("role.show", name="pumps")["rules"]
    checked = does("acl.check", device="one", action="publish", topic="pumps/1", address="10.1.2.3")
    drafted = does("acl.check", device="one", action="publish", topic="a/b", roles=["pumps"], groups=["none"],
                   **{"with": ["# one", "remove all", "allow role:pumps publish a/#"]})
    assert (drafted["verdict"], drafted["rule"], drafted["variables"]["group"]) == ("allowed", -3, ["none"])
    assert checked["verdict"] == "allowed" and checked["reasons"]
    assert does("acl.preview", device="one", days=3, **{"with": ["remove all"]})["items"] == []
    assert does("acl.apply", **{"with": [f"remove {rule['id']}", "deny any publish never"]})["removed"] == 1
    does("acl.remove", id=does("acl.list")["items"][0]["id"])
    assert does("learn.start", device="one")["subject"] == "device:one"
    assert does("learn.list")["items"]
    assert does("event.acknowledge", name="learn.started", note="seen")["events"] == 1
    assert does("event.list", state="acknowledged")["items"][0]["acknowledged"]["note"] == "seen"
    assert does("ban.add", network="203.0.113.0/24", reason="a scanner", **{"for": 60})["network"] == "203.0.113.0/24"
    assert does("ban.list")["items"][0]["kind"] == "ban"
    assert does("ban.remove", network="203.0.113.0/24")["removed"] == 1
    assert does("limit.list")["items"]
    assert does("log.list", last=5, level="notice")["items"]
    does("learn.show", device="one")
    does("learn.propose", device="one")
    assert does("learn.stop", device="one", forget=True)["ended"]
    does("device.set", name="one", roles=[])
    does("role.remove", name="pumps")
    does("device.remove", name="two")
    assert does("event.list", last=100)["items"]
    assert does("status")["devices"]["total"] >= 1


def test_connections_and_traces(gw, does):
    bundle = gw.bundle("live")
    does("acl.add", effect="allow", subject="device:live", action="all", filter="devices/${device}/#")
    trace = does("trace.start", device="live")["id"]
    with Client.tls(gw.mqtts, V5, ca=bundle / "ca.crt", cert=bundle / "device.crt", key=bundle / "device.key") as c:
        c.connect("live")
        c.subscribe("devices/live/#")
        wait_until(lambda: does("client.list", device="live")["items"], what="the figures of the connection")
        shown = does("client.show", client_id="live")
        assert shown["is_connected"] and shown["cipher"] and shown["subscription_list"]
        assert does("trace.show", id=trace, wait=10000)["items"]
        does("client.remove", client_id="live")
    does("trace.stop", id=trace)


def test_messages(does, people):
    watch = does("watch.start", filter="test/#")["id"]
    does("message.publish", topic="test/kept", payload="x", retain=True, qos=1)
    seen = does("watch.show", id=watch, wait=10000)["items"][0]
    does("watch.stop", id=watch)
    kept = does("retained.list", filter="test/#")["items"][0]
    for message in (seen, kept):  # what it says is for operators
        assert (message["size"], message["text"], message["hidden"]) == (1, None, True)
    assert does("retained.list", who=people["operator"], filter="test/#")["items"][0]["text"] == "x"
    does("retained.remove", topic="test/kept")


def test_the_security_check(does):
    found = does("security.check")["findings"][0]["id"]
    does("security.mute", id=found, reason="for this test")
    does("security.check")
    does("security.unmute", id=found)


def test_enrolment(gw, does):
    code = does("code.add", name="coming", ttl=600)
    does("code.add", pattern="many-*", uses=3, groups=["hall"], network="10.0.0.0/8")
    assert len(does("code.list")["items"]) == 2
    does("code.remove", id=code["id"])
    does("profile.set", name="short", lifetime=3600)
    assert does("profile.list")["items"]
    does("profile.remove", name="short")
    does("claim.add", name="works", authority=pem(make_authority("Works")[1]))
    does("claim.allow", name="works", names=["a", "b"])
    assert does("claim.list")["items"]
    does("claim.remove", name="works")
    enrol = Api(gw.enrol, gw.root_ca)
    for name in ("wish-1", "wish-2"):
        assert enrol.request("POST", "/api/v1/enrol", {"csr": make_csr(name)}).status == 202
    first, second = does("request.list")["items"]
    does("request.show", id=first["id"])
    does("request.approve", id=first["id"], groups=["hall"])
    does("request.deny", id=second["id"], why="not known")


def test_settings(does):
    assert does("config.list")["items"]
    before = does("config.show", key="broker.max-keep-alive")["value"]
    does("config.set", key="broker.max-keep-alive", value="600s")
    waits = does("config.set", key="broker.max-keep-alive", value=before, confirm_within=600)
    assert does("config.list")["held"]["token"] == waits["token"]
    assert does("config.confirm", token=waits["token"])["kept"] is True
    assert does("config.reload") == {"changed": [], "needs_restart": []}
    last = does("revision.list", kind="setting")["items"][0]
    assert does("revision.show", id=last["id"])["items"][0]["object"] == "broker.max-keep-alive"


def test_the_state_is_a_document(does, people):
    state = does("state.show")
    assert does("state.diff", state=state)["items"] == []
    planned = does("state.diff", who=people["operator"], state={"version": 1, "roles": [{"name": "of-state"}]})
    assert planned["items"][0]["change"] == "added"
    assert does("state.apply", state={"version": 1, "roles": [{"name": "of-state"}]})["id"]
    does("state.apply", state={"version": 1, "roles": state["roles"]}, prune=True)
    status, said = people["admin"].call("PUT", "/state", {"state": {"version": 1, "roles": [{"name": "a b"}]}})
    assert status == 400 and said["field"] == "roles[0].name" and said["detail"].startswith("roles[0].name: ")


def test_changes_go_back(does, people):
    does("device.add", name="back", note="a")
    does("device.set", name="back", note="b")
    last = does("revision.list", object="back", limit=1)["items"][0]
    done = does("revision.revert", id=last["id"])
    assert done["items"][0]["fields"] == [{"field": "note", "before": "b", "after": "a"}]
    status, said = people["operator"].call("POST", f"/revisions/{last['id']}/revert", {})
    assert status == 409 and f"by revision {done['id']}" in said["detail"]


def test_a_revision_takes_the_level_of_its_changes(does, people, book):
    does("administrator.add", name="carl", level="viewer", password=PASSWORD)
    does("administrator.set", name="carl", level="operator")
    does("config.set", key="broker.max-topic-levels", value="30")
    for kind in ("administrator", "setting"):
        last = does("revision.list", kind=kind, limit=1)["items"][0]
        said = book.problem(people["operator"].request("POST", f"/api/v1/revisions/{last['id']}/revert", {}), 403)
        assert "admin" in said["detail"]
        does("revision.revert", who=people["admin"], id=last["id"])


def test_nobody_locks_himself_out(book, people):
    who = people["admin"]
    for change in ({"level": "viewer"}, {"enabled": False}):
        said = book.problem(who.request("PATCH", "/api/v1/administrators/admin", change), 409)
        assert "your own account" in said["detail"] and said["field"] == next(iter(change))
    book.problem(who.request("DELETE", "/api/v1/administrators/admin"), 409)


def test_the_first_administrator(does, make_gateway):
    """On a gateway that has none yet."""
    fresh = make_gateway()
    code = does("setup-code.add", who=Local(fresh.socket))["code"]
    first = Api(fresh.admin, fresh.root_ca)
    assert does("setup.show", who=first)["code"] is True
    does("setup.add", who=first, code=code, name="first", password=PASSWORD)


def test_people(gw, book, does, people, stranger):
    does("session.show")
    does("session.show", who=people["viewer"])
    does("administrator.add", name="ann", level="viewer", password=PASSWORD)
    does("administrator.set", name="ann", level="operator")
    assert len(does("administrator.list")["items"]) > 3
    ann = Api(gw.admin, gw.root_ca)
    ann.login("ann", PASSWORD)
    secret = does("totp.add", who=ann, password=PASSWORD)["secret"]
    assert len(does("totp.set", who=ann, code=six_digits(secret))["recovery_codes"]) == 8
    does("totp.remove", who=ann, password=PASSWORD)
    does("password.set", who=ann, old=PASSWORD, password=PASSWORD + "2")
    does("session.add", name="ann", password=PASSWORD + "2")
    assert does("session.list", who=ann)["items"]
    does("session.remove", who=ann, id=0)
    does("administrator.remove", name="ann")
    token = does("token.add", name="robot", level="viewer", operations=["device."])["token"]
    stranger.token = token
    does("device.list", who=stranger)
    assert does("token.list")["items"]
    does("token.remove", name="robot")
    assert does("audit.list", limit=5)["next"]


def roots(shown):
    return {a["state"]: a["fingerprint"] for a in shown["authorities"] if a["kind"] == "root"}


def test_the_authority(gw, does, make_gateway):
    """On a gateway of its own, which is another one afterwards; changes come over the control socket."""
    does("ca.show")
    wait_until(lambda: Api.request(Local(gw.socket), "GET", "/api/v1/ca/crl").status == 200, what="the first list")
    does("crl.show")
    does("ca.check")
    who = Local(make_gateway().socket)
    assert does("ca.copy", who=who)["path"]
    assert not does("backup.show")["ready"]
    gw.cli("backup", "set", input="a long enough passphrase\n")
    assert does("backup.show")["ready"]
    assert does("backup.add").startswith(b"gatehouse backup")
    assert does("ca.lock", who=who, passphrase="correct horse")["locked"] is True
    assert does("ca.unlock", who=who, passphrase="correct horse")["locked"] is False
    key, elsewhere = make_authority("Elsewhere")
    root = next(a["pem"] for a in does("ca.show", who=who)["authorities"] if a["kind"] == "root")
    root = x509.load_pem_x509_certificate(root.encode())
    cross = certify(root.subject, root.public_key(), elsewhere.subject, key, True)
    does("ca.cross", who=who, certificates=pem(cross) + pem(elsewhere))
    csr = x509.load_pem_x509_csr(does("ca.csr", who=who)["csr"].encode())
    issuing = certify(csr.subject, csr.public_key(), elsewhere.subject, key, True)
    does("ca.import", who=who, certificates=pem(issuing) + pem(elsewhere))
    does("ca.rollover", who=who, step="abort")
    does("ca.rollover", who=who, step="start")
    old = roots(does("ca.rollover", who=who, step="switch"))
    left = does("ca.compromise", who=who, fingerprint=old["retiring"])
    does("ca.forget-root", who=who, fingerprint=roots(left)["active"])


def test_every_operation_was_seen(book, seen):
    """Runs after the tests above: what they do not call fails here by name."""
    assert set(book.store) - seen == set()
