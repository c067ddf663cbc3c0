# SPDX-License-Identifier: Apache-2.0
"""Certificates over MQTT: a request to $gw/pki/csr, the certificate over the same connection; for nobody else, not too
early, and every refusal in the same place."""

import base64
import contextlib
import itertools
import pathlib
import sqlite3

import pytest

import mqtt
from est import Est, split_pem
from gateway import wait_until
from pki import openssl

REQUEST, ANSWER = "$gw/pki/csr", "$gw/pki/cert"
LATE = 240  # seconds that a certificate lives, of which 300 have passed when it is made: past its half


@pytest.fixture(scope="module")
def est(gateway):
    """Devices of the profile "device" may renew at once, those of "manual" in ten years."""
    gateway.stop()
    with contextlib.closing(sqlite3.connect(pathlib.Path(gateway.state) / "store" / "registry.db")) as db, db:
        db.execute("UPDATE profile SET lifetime = ? WHERE name = 'device'", (LATE,))
    gateway.start()
    return Est(gateway)


@pytest.fixture(scope="module")
def numbers():
    return iter(range(1, 1000))


@pytest.fixture
def device(est, numbers):
    """(name, certificate with chain, key)"""
    name = f"pump-{next(numbers)}"
    certificate, key = est.enrol(name)
    return name, est.chain(certificate), key


def open_as(est, device, version=mqtt.V5):
    name, certificate, key = device
    c = mqtt.Client.tls(est.gateway.mqtts, version, ca=est.root, cert=certificate, key=key)
    c.connect(name)
    return c


def ask(c, payload, topic="answers/here", qos=1):
    """The answer to a request; the client has subscribed to nothing."""
    props = {"response_topic": topic, "correlation_data": b"\0\x07"} if topic else {}
    c.send(mqtt.publish(REQUEST, payload, qos, 7, c.version, props=props))
    got = sorted((c.receive() for _ in range(2 if qos else 1)), key=lambda p: p.kind)
    m = got[0]
    assert m.kind == mqtt.PUBLISH and m.qos == 0 and not m.retain and m.topic == (topic or ANSWER)
    if c.version == mqtt.V5:
        assert m.props.get("correlation_data") == (b"\0\x07" if topic else None)
    if qos:
        assert got[1].packet_id == 7 and not got[1].reason
    return m


def status(m):
    return dict(m.props["user_property"])["status"]


def accept(est, m, key):
    leaf, issuing = split_pem(m.payload.decode())
    path = est.folder / "renewed.chain"
    path.write_text(leaf + issuing)
    openssl("verify", "-x509_strict", "-CAfile", est.root, "-untrusted", path, path)
    assert openssl("x509", "-in", path, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")
    return path


@pytest.mark.parametrize("form", ["PEM", "DER", "base64"])
def test_a_new_certificate_and_a_new_key(est, device, form):
    name, _, _ = device
    new_key = est.key()
    csr = est.csr(new_key, name, form="PEM" if form == "PEM" else "DER")
    with open_as(est, device) as c:
        m = ask(c, base64.b64encode(csr) if form == "base64" else csr)
        assert status(m) == "200" and m.props["content_type"] == "application/x-pem-file"
        assert m.props["payload_format"] == 1
        renewed = accept(est, m, new_key)
    with open_as(est, (name, renewed, new_key)):
        pass


def test_clients_of_mqtt_3(est, device):
    name, _, key = device
    with open_as(est, device, mqtt.V311) as c:
        accept(est, ask(c, est.csr(key, name), topic=None), key)


@pytest.mark.parametrize("qos", [0, 1])
def test_without_a_response_topic(est, device, qos):
    name, _, key = device
    with open_as(est, device) as c:
        accept(est, ask(c, est.csr(key, name), topic=None, qos=qos), key)


def test_the_same_request_again_gives_the_same_certificate(est, device):
    """Its answer may have been lost with the connection."""
    name, _, key = device
    csr = est.csr(key, name)
    answers = []
    for _ in range(2):
        with open_as(est, device) as c:
            answers.append(ask(c, csr).payload)
    assert answers[0] == answers[1]


def test_not_before_its_half(est, numbers):
    name = f"pump-{next(numbers)}"
    key = est.key()
    answer = est.post("simpleenroll", est.csr(key, name), user=name, secret=est.code(name, profile="manual"))
    device = name, est.chain(est.keep(answer)), key
    with open_as(est, device) as c:
        m = ask(c, est.csr(key, name))
    assert status(m) == "429" and m.payload.startswith(b"429 it is too early")
    assert int(dict(m.props["user_property"])["retry-after"]) > 365 * 86400


@pytest.mark.parametrize("what, words", [
    ("another name", "subject"), ("no request", "PKCS#10"), ("nothing", "PKCS#10"), ("damaged", "proof of possession"),
    ("too large", "16 KiB"),
])
def test_requests_that_are_refused(est, device, what, words):
    name, _, key = device
    csr = est.csr(key, name)
    payload = {"another name": est.csr(key, f"{name}-b"), "no request": b"hello", "nothing": b"",
               "damaged": csr[:-1] + bytes([csr[-1] ^ 1]), "too large": csr + bytes(17000)}[what]
    with open_as(est, device) as c:
        m = ask(c, payload)
        assert status(m) == "400" and m.payload.startswith(b"400 ") and words in m.payload.decode()
        assert m.props["content_type"] == "text/plain"
        c.ping()
    wait_until(lambda: words in est.refusals()[-1], what="the event")


def test_one_at_a_time(est, device):
    name, _, key = device
    csr = est.csr(key, name)
    with open_as(est, device) as c:
        c.send(mqtt.publish(REQUEST, csr, 1, 1, mqtt.V5), mqtt.publish(REQUEST, csr, 1, 2, mqtt.V5))
        got = [c.receive() for _ in range(3)]
        reasons = {p.packet_id: p.reason or 0 for p in got if p.kind == mqtt.PUBACK}
        assert reasons == {1: 0, 2: 0x97}


PASSWORD = "long enough for one"


@pytest.fixture
def by_password(est, numbers):
    """(name, connection over TLS) of a device that has no certificate."""
    name = f"pump-{next(numbers)}"
    est.gateway.cli("device", "add", name, "--password", input=PASSWORD + "\n")
    with mqtt.Client.tls(est.gateway.mqtts, mqtt.V5, ca=est.root) as c:
        c.connect(name, username=name, password=PASSWORD)
        yield name, c


@pytest.mark.parametrize("what", ["code", "password"])
def test_a_first_certificate(est, by_password, what):
    """From a password over TLS to a certificate, without HTTP."""
    name, c = by_password
    key = est.key()
    secret = est.code(name) if what == "code" else PASSWORD
    m = ask(c, est.csr(key, name, attributes=[f"challengePassword = {secret}"]))
    assert status(m) == "200", m.payload
    with open_as(est, (name, accept(est, m, key), key)):
        pass


def test_a_first_certificate_is_for_oneself(est, by_password, numbers):
    _, c = by_password
    other = f"pump-{next(numbers)}"
    m = ask(c, est.csr(est.key(), other, attributes=[f"challengePassword = {est.code(other)}"]))
    assert status(m) == "400" and "not that of this device" in m.payload.decode()


def test_a_wrong_code(est, by_password):
    name, c = by_password
    m = ask(c, est.csr(est.key(), name, attributes=["challengePassword = 00000000-00000000-00000000-00000000"]))
    assert status(m) == "401"


def test_only_with_an_authority(est, by_password):
    name, c = by_password
    assert c.publish(REQUEST, est.csr(est.key(), name), 1) == 0x87
    c.ping()
    assert "code in the challengePassword" in est.refusals()[-1]


def test_no_code_in_the_clear(est, numbers):
    name = f"pump-{next(numbers)}"
    est.gateway.cli("device", "add", name, "--password", input=PASSWORD + "\n")
    with mqtt.Client.tcp(est.gateway.mqtt, mqtt.V5) as c:
        c.connect(name, username=name, password=PASSWORD)
        csr = est.csr(est.key(), name, attributes=[f"challengePassword = {est.code(name)}"])
        assert c.publish(REQUEST, csr, 1) == 0x87
        c.ping()


def test_nobody_else_sees_it(est, device, numbers):
    """Neither request nor answer, even with a rule for all of $gw."""
    other = f"pump-{next(numbers)}"
    certificate, other_key = est.enrol(other)
    est.gateway.cli("acl", "allow", f"device:{other}", "all", "$gw/#")
    name, _, key = device
    with open_as(est, (other, est.chain(certificate), other_key)) as spy, open_as(est, device) as c:
        assert spy.subscribe("$gw/#")[0] < 0x80
        assert spy.message().topic == "$gw/pki/roots"  # retained, and all that is for everyone
        ask(c, est.csr(key, name), topic=None)
        spy.send(mqtt.pingreq())
        # What ends elsewhere meanwhile is for everyone, too.
        seen = iter(spy.receive, None)
        told = [p.topic for p in itertools.takewhile(lambda p: p.kind != mqtt.PINGRESP, seen)]
        assert all(topic.startswith("$gw/pki/revoked/") for topic in told)


def test_a_rule_may_deny_it(est, device):
    name, _, key = device
    est.gateway.cli("acl", "deny", f"device:{name}", "publish", REQUEST)
    with open_as(est, device) as c:
        assert c.publish(REQUEST, est.csr(key, name), 1) == 0x87
        c.ping()


def test_a_revoked_certificate_renews_nothing(est, device):
    name, _, key = device
    with open_as(est, device) as c:
        est.gateway.cli("cert", "revoke", "--device", name)
        c.send(mqtt.publish(REQUEST, est.csr(key, name), 0, 0, mqtt.V5))
        c.expect_closed()


def test_exactly_once(est, device):
    """QoS 2: the exchange is whole, the answer comes once."""
    name, _, key = device
    with open_as(est, device) as c:
        c.send(mqtt.publish(REQUEST, est.csr(key, name), 2, 9, mqtt.V5, props={"response_topic": "a"}))
        got = {p.kind: p for p in (c.receive(), c.receive())}
        assert set(got) == {mqtt.PUBLISH, mqtt.PUBREC} and status(got[mqtt.PUBLISH]) == "200"
        c.send(mqtt.ack(mqtt.PUBREL, 9))
        assert c.expect(mqtt.PUBCOMP).packet_id == 9
        c.ping()
