# SPDX-License-Identifier: Apache-2.0
"""Enhanced authentication with SCRAM-SHA-256 (RFC 5802, RFC 7677), at CONNECT and again later."""

import base64
import hashlib
import hmac
import secrets

import pytest

import mqtt
from conftest import name
from mqtt import AUTH, CONNACK, DISCONNECT, V5, V311

states = pytest.mark.states

SETTINGS = ["store.scram-iterations=4096", "store.password-tries=5"]
LISTENERS = ["open tls=off auth=password", "anonymous tls=off auth=anonymous"]
METHOD = "SCRAM-SHA-256"
PASSWORD = "correct horse"


@pytest.fixture(scope="module", autouse=True)
def devices(gateway):
    for device in ("pump-1", "pump-2", "off"):
        gateway.cli("device", "add", device, "--password", input=PASSWORD + "\n")
    gateway.cli("device", "set", "off", "--disabled")
    gateway.cli("device", "add", "bare")


def mac(key, text):
    return hmac.digest(key, text, "sha256")


class Scram:
    """The client's side of one exchange."""

    def __init__(self, user="pump-1", password=PASSWORD):
        self.user, self.password = user, password
        self.nonce = secrets.token_urlsafe(12)
        self.bare = f"n={self.user},r={self.nonce}"
        self.first = f"n,,{self.bare}"

    def final(self, server_first):
        self.server_first = server_first.decode()
        fields = dict(x.split("=", 1) for x in self.server_first.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) >= len(self.nonce) + 16
        self.salt, self.iterations = base64.b64decode(fields["s"], validate=True), int(fields["i"])
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, self.iterations)
        without = f"c=biws,r={fields['r']}"
        self.message = ",".join([self.bare, self.server_first, without]).encode()
        client = mac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(client, mac(hashlib.sha256(client).digest(), self.message)))
        self.server = mac(mac(salted, b"Server Key"), self.message)
        return f"{without},p={base64.b64encode(proof).decode()}"

    def verify(self, server_final):
        assert server_final.decode() == f"v={base64.b64encode(self.server).decode()}"


def props(data, method=METHOD):
    return {"auth_method": method, "auth_data": data}


def start(c, s, client_id=None, **more):
    c.largest = 1 << 32
    c.send(mqtt.connect(name() if client_id is None else client_id, V5, props={**props(s.first), **more}))
    return c.receive()


def server_first(answer):
    assert answer.kind == AUTH and answer.reason == 0x18
    assert answer.props["auth_method"] == METHOD
    return answer.props["auth_data"]


def log_in(c, s, **options):
    c.send(mqtt.auth(0x18, props(s.final(server_first(start(c, s, **options))))))
    answer = c.receive()
    c.connack = answer
    return answer


def refused(c, answer, *reasons):
    assert answer.kind == CONNACK and answer.reason in reasons, answer
    assert c.expect_closed() == []


@states("v5 4.12.0-2", "v5 4.12.0-3", "v5 4.12.0-5", "v5 3.15.2-1")
@pytest.mark.parametrize("user", ["pump-1", "pump-2"])
def test_login(dial, gateway, user):
    c, s = dial(V5), Scram(user)
    answer = log_in(c, s)
    assert answer.kind == CONNACK and answer.reason == 0
    assert answer.props["auth_method"] == METHOD
    s.verify(answer.props["auth_data"])
    assert s.iterations == 4096
    c.ping()


def test_user_name_and_password_beside_it_do_not_count(dial):
    c, s = dial(V5), Scram()
    c.send(mqtt.connect(name(), V5, username="x", password="y", props=props(s.first)))
    c.send(mqtt.auth(0x18, props(s.final(server_first(c.receive())))))
    assert c.expect(CONNACK).reason == 0


@states("v5 4.12.0-4")
@pytest.mark.parametrize("user, password", [("pump-1", "wrong horse"), ("nobody", PASSWORD), ("bare", PASSWORD)])
def test_wrong_password_and_unknown_names_look_alike(dial, user, password):
    c, s = dial(V5), Scram(user, password)
    answer = log_in(c, s)
    assert s.iterations == 4096 and len(s.salt) == 16
    refused(c, answer, 0x86)


def test_salt_of_an_unknown_name_stays(dial):
    salts = set()
    for _ in range(2):
        s = Scram("nobody")
        s.final(server_first(start(dial(V5), s)))
        salts.add(s.salt)
    assert len(salts) == 1


def test_disabled(dial):
    c = dial(V5)
    refused(c, log_in(c, Scram("off")), 0x87)


@states("v5 4.12.0-1")
@pytest.mark.parametrize("method", ["", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256"])
def test_other_methods(dial, method):
    c = dial(V5)
    c.send(mqtt.connect(name(), V5, props=props("n,,n=pump-1,r=x", method)))
    refused(c, c.receive(), 0x8C)


def test_not_on_a_listener_without_passwords(dial):
    c = dial(V5, "anonymous")
    c.send(mqtt.connect(name(), V5, props=props("n,,n=pump-1,r=x")))
    refused(c, c.receive(), 0x8C)


BAD_FIRST = ["", "n", "n,,", "n,,n=pump-1", "n,,n=pump-1,r=", "n,,r=x,n=pump-1", "p=tls-unique,,n=pump-1,r=x",
             "n,a=other,n=pump-1,r=x", "n,,m=x,n=pump-1,r=x", "n,,n==2D,r=x", "n,,n=,r=x", "n,,n=pump-1,r=\u00e9",
             "x,,n=pump-1,r=x", "n,,n=pump-1,r=" + "x" * 2000, "n,,n=" + "x" * 300 + ",r=x"]


@pytest.mark.parametrize("text", BAD_FIRST, ids=range(len(BAD_FIRST)))
def test_what_is_no_beginning(dial, text):
    c = dial(V5)
    c.send(mqtt.connect(name(), V5, props=props(text)))
    refused(c, c.receive(), 0x86, 0x87)


SPOIL = {
    "other nonce": lambda t: t.replace(",r=", ",r=x"),
    "channel binding": lambda t: t.replace("c=biws", "c=eSws"),
    "no base64": lambda t: t.replace("c=biws", "c=b*ws"),
    "no proof": lambda t: t.partition(",p=")[0],
    "short proof": lambda t: t.partition(",p=")[0] + ",p=AAAA",
    "proof twice": lambda t: t + ",p=" + t.partition(",p=")[2],
    "empty": lambda t: "",
    "other proof": lambda t: t.partition(",p=")[0] + ",p=" + base64.b64encode(bytes(32)).decode(),
}


@pytest.mark.parametrize("how", SPOIL)
def test_wrong_end(dial, how):
    c, s = dial(V5), Scram()
    c.send(mqtt.auth(0x18, props(SPOIL[how](s.final(server_first(start(c, s)))))))
    refused(c, c.receive(), 0x86)


@states("v5 3.1.2-30")
@pytest.mark.parametrize("packet", [mqtt.pingreq(), mqtt.publish("a", "x", 0, 0, V5),
                                    mqtt.subscribe(1, [("a", 0)], V5)], ids=["PINGREQ", "PUBLISH", "SUBSCRIBE"])
def test_only_auth_until_connack(dial, packet):
    c, s = dial(V5), Scram()
    server_first(start(c, s))
    c.send(packet)
    refused(c, c.receive(), 0x82)


def test_disconnect_instead(dial):
    c, s = dial(V5), Scram()
    server_first(start(c, s))
    c.send(mqtt.disconnect())
    assert c.expect_closed() == []


WRONG_AUTH = {
    "success": lambda d: mqtt.auth(0x00, props(d)),
    "again": lambda d: mqtt.auth(0x19, props(d)),
    "other method": lambda d: mqtt.auth(0x18, props(d, "PLAIN")),
    "no method": lambda d: mqtt.auth(0x18),
    "no data": lambda d: mqtt.auth(0x18, {"auth_method": METHOD}),
    "flags": lambda d: mqtt.auth(0x18, props(d), flags=1),
}


@states("v5 4.12.0-3", "v5 4.12.0-5", "v5 3.15.1-1")
@pytest.mark.parametrize("how", WRONG_AUTH)
def test_auth_out_of_turn(dial, how):
    c, s = dial(V5), Scram()
    c.send(WRONG_AUTH[how](s.final(server_first(start(c, s)))))
    refused(c, c.receive(), 0x81, 0x82, 0x8C)


def test_silence_ends_it(dial):
    c, s = dial(V5), Scram()
    server_first(start(c, s))
    assert c.expect_closed() == []


def test_session_is_kept(dial, topic):
    """The CONNECT that waited counts as it came: client identifier, clean start, expiry, will."""
    who = name()
    c = dial(V5)
    assert log_in(c, Scram(), client_id=who, session_expiry=60).reason == 0
    c.reset()
    c, s = dial(V5), Scram()
    c.send(mqtt.connect(who, V5, clean=False, props=props(s.first)))
    c.send(mqtt.auth(0x18, props(s.final(server_first(c.receive())))))
    answer = c.expect(CONNACK)
    assert answer.reason == 0 and answer.session_present


# -- again

def again(c, s):
    c.send(mqtt.auth(0x19, props(s.first)))
    return c.receive()


@states("v5 4.12.1-1", "v5 3.15.2-1")
def test_re_authentication(dial, gateway):
    c = dial(V5)
    assert log_in(c, Scram()).reason == 0
    for _ in range(2):
        s = Scram()
        text = s.final(server_first(again(c, s)))
        c.ping()  # other packets go on meanwhile
        c.send(mqtt.auth(0x18, props(text)))
        answer = c.expect(AUTH)
        assert answer.reason == 0 and answer.props["auth_method"] == METHOD
        s.verify(answer.props["auth_data"])
    c.ping()


@states("v5 4.12.1-2")
@pytest.mark.parametrize("user, password", [("pump-1", "wrong"), ("pump-2", PASSWORD), ("off", PASSWORD)])
def test_failed_re_authentication_ends_the_connection(dial, user, password):
    c, s = dial(V5), Scram(user, password)
    assert log_in(c, Scram()).reason == 0
    c.send(mqtt.auth(0x18, props(s.final(server_first(again(c, s))))))
    c.expect_disconnect(0x87)


@pytest.mark.parametrize("packet", [mqtt.auth(0x18, props("x")), mqtt.auth(0x00, props("x")), mqtt.auth(0x19),
                                    mqtt.auth(0x19, props("n,,n=pump-1,r=x", "PLAIN"))],
                         ids=["continue", "success", "no method", "other method"])
def test_auth_that_nothing_called_for(dial, packet):
    c = dial(V5)
    assert log_in(c, Scram()).reason == 0
    c.send(packet)
    last = c.expect(DISCONNECT)
    assert last.reason in (0x81, 0x82)


@states("v5 4.12.0-6", "v5 4.12.0-7")
@pytest.mark.parametrize("reason", [0x00, 0x18, 0x19])
def test_no_auth_for_who_chose_no_method(join, reason):
    c = join(V5, username="pump-1", password=PASSWORD)
    c.send(mqtt.auth(reason, props("n,,n=pump-1,r=x")))
    c.expect_disconnect(0x82)


# -- keys

def test_a_new_password_makes_new_keys(dial, gateway):
    gateway.cli("device", "add", "changing", "--password", input=PASSWORD + "\n")
    assert log_in(dial(V5), Scram("changing")).reason == 0
    gateway.cli("device", "set", "changing", "--password", input="battery staple\n")
    c = dial(V5)
    refused(c, log_in(c, Scram("changing")), 0x86)
    assert log_in(dial(V5), Scram("changing", "battery staple")).reason == 0
    dial(V311).connect(name(), username="changing", password="battery staple")


def test_guessing_with_proofs_is_bounded_too(dial, gateway):
    """As with passwords: some tries of one address at one device, then it is told to come later."""
    gateway.cli("device", "add", "guessed", "--password", input=PASSWORD + "\n")
    for i in range(5):
        c = dial(V5, source="127.0.0.9")
        assert log_in(c, Scram("guessed", f"guess {i}")).reason == 0x86
    assert log_in(dial(V5, source="127.0.0.9"), Scram("guessed")).reason == 0x89
    assert log_in(dial(V5, source="127.0.0.8"), Scram("guessed", PASSWORD)).reason == 0
