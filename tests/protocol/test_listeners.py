# SPDX-License-Identifier: Apache-2.0
"""Who is let in where: certificates, passwords, both, either, nobody in particular; TLS as each
listener offers it; a PKI that the owner brings along."""

import ssl

import pytest

import mqtt
from gateway import Gateway
from mqtt import CONNACK, V311, V5, Client
from told import authority, leaf, name
from transport import Late, TlsWire

LISTENERS = [
    "certificate auth=certificate", "password auth=password", "both auth=certificate+password", "any auth=any",
    "nobody auth=anonymous", "named auth=any client-id=device", "plain tls=off auth=password",
    "old tls-versions=1.2", "new tls-versions=1.3", "ticketless tickets=off", "small record-max=512",
]
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Two strangers' CAs with a client certificate each, and a server certificate of the first."""
    folder = tmp_path_factory.mktemp("pki")
    folder.chmod(0o755)
    for ca in ("ours", "theirs"):
        authority(folder, ca, f"/CN=CA {ca}")
        leaf(folder, f"client-{ca}", ca, "extendedKeyUsage=clientAuth")
    leaf(folder, "server", "ours", "subjectAltName=DNS:localhost", "extendedKeyUsage=serverAuth")
    authority(folder, "self", "/CN=pump")
    return folder


@pytest.fixture(scope="module")
def gateway(pki):
    own = (f"own auth=certificate certificate={pki}/server.crt key={pki}/server.key client-ca={pki}/ours.crt",
           f"half client-ca={pki}/theirs.crt auth=certificate")
    for key in pki.glob("*.key"):
        key.chmod(0o600)
    with Gateway(listeners=[*LISTENERS, *own]) as gw:
        gw.cli("acl", "allow", "any", "all", "t/#")
        gw.cli("acl", "allow", "any", "subscribe", "own/${device}")
        yield gw


@pytest.fixture(scope="module")
def devices(gateway):
    """{name: bundle}: pump and panel have a certificate and a password, sensor has a password alone."""
    found = {}
    for who in ("pump", "panel"):
        found[who] = gateway.bundle(who)
        gateway.cli("device", "set", who, "--password", input=f"{PASSWORD} {who}\n")
    gateway.cli("device", "add", "sensor", "--password", input=f"{PASSWORD} sensor\n")
    return found


@pytest.fixture
def call(gateway, devices):
    """call(listener, device=None, version, **options of TlsWire): a connection before CONNECT."""
    clients = []

    def connect(listener, device=None, version=V5, **options):
        options.setdefault("ca", gateway.root_ca)
        clients.append(Client.tls(gateway.listeners[listener], version, bundle=devices.get(device), **options))
        return clients[-1]

    yield connect
    for c in clients:
        c.close()


def login(who, wrong=""):
    return {"username": who, "password": f"{PASSWORD} {who}{wrong}"}


def refused_handshake(connect):
    """connect() makes a connection; TLS 1.3 tells a client only after it believes to have one."""
    with pytest.raises((ssl.SSLError, AssertionError)) as e:
        with connect() as c:
            c.connect(name())
    assert not isinstance(e.value, Late)


def device_of(c):
    """As whom the gateway sees this connection: only one device may subscribe to its own topic."""
    names = ["pump", "panel", "sensor"]
    codes = c.subscribe(*[f"own/{n}" for n in names], check=False)
    granted = [n for n, code in zip(names, codes) if code < 0x80]
    assert len(granted) <= 1
    return granted[0] if granted else None


# -- policies

@pytest.mark.parametrize("listener", ["certificate", "any", "named", "old", "new", "ticketless", "small"])
def test_certificate_opens_its_device(gateway, call, version, listener):
    c = call(listener, "pump", version)
    c.connect("pump" if listener == "named" else name())
    assert device_of(c) == "pump"


@pytest.mark.parametrize("listener", ["password", "any", "plain"])
def test_password_opens_its_device(gateway, dial, call, version, listener):
    c = dial(version, listener=listener) if listener == "plain" else call(listener, version=version)
    c.connect(name(), **login("sensor"))
    assert device_of(c) == "sensor"


BAD_LOGINS = {
    "wrong password": (login("sensor", "x"), 0x86, 0x04),
    "empty password": ({"username": "sensor", "password": ""}, 0x86, 0x04),
    "unknown device": (login("ghost"), 0x86, 0x04),
    "no password": ({"username": "sensor"}, 0x86, 0x04),
    "nothing": ({}, 0x86, 0x04),
    "password of another": ({"username": "sensor", "password": f"{PASSWORD} pump"}, 0x86, 0x04),
    "name in another case": ({"username": "Sensor", "password": f"{PASSWORD} sensor"}, 0x86, 0x04),
    "very long password": ({"username": "sensor", "password": "x" * 60000}, 0x86, 0x04),
    "very long name": ({"username": "s" * 60000, "password": "x"}, 0x86, 0x04),
}


@pytest.mark.parametrize("case", BAD_LOGINS)
@pytest.mark.parametrize("listener", ["password", "plain", "any"])
def test_bad_login(dial, call, version, listener, case):
    options, reason5, reason3 = BAD_LOGINS[case]
    c = dial(version, listener="plain") if listener == "plain" else call(listener, version=version)
    c.connect(name(), refused=reason5 if version == V5 else reason3, **options)


def test_password_that_no_utf_8_is(dial, gateway):
    """Passwords are bytes."""
    dial(V5, listener="plain").connect(name(), refused=0x86, username="sensor", password=b"\xff\x00\xfe")


@pytest.mark.parametrize("listener", ["certificate", "both"])
def test_no_certificate_where_one_is_needed(gateway, call, listener):
    refused_handshake(lambda: call(listener))


@pytest.mark.parametrize("listener", ["certificate", "both", "any", "named"])
@pytest.mark.parametrize("stranger", ["self", "client-ours", "client-theirs"])
def test_certificate_of_a_stranger(gateway, call, pki, listener, stranger):
    refused_handshake(lambda: call(listener, cert=pki / f"{stranger}.crt", key=pki / f"{stranger}.key"))


def test_certificate_with_anothers_key(devices, gateway):
    with pytest.raises(ssl.SSLError):
        Client.tls(gateway.listeners["certificate"], V5, ca=gateway.root_ca, cert=devices["pump"] / "device.crt",
                   key=devices["panel"] / "device.key")


def test_both(call, version):
    c = call("both", "pump", version)
    c.connect(name(), **login("pump"))
    c.ping()


@pytest.mark.parametrize("case, reason5, reason3", [
    ("sensor", 0x87, 5), ("panel", 0x87, 5), ("wrong", 0x86, 4), ("none", 0x86, 4)])
def test_both_must_belong_to_the_same_device(call, version, case, reason5, reason3):
    options = {"wrong": login("pump", "x"), "none": {}}.get(case, login(case))
    call("both", "pump", version).connect(name(), refused=reason5 if version == V5 else reason3, **options)


def test_a_certificate_is_enough_for_any_whatever_the_password(gateway, call):
    """The certificate says who it is; a user name that older clients send is not judged."""
    c = call("any", "pump")
    c.connect(name(), **login("sensor", "x"))
    assert device_of(c) == "pump"


def test_password_listener_does_not_ask_for_a_certificate(gateway, call):
    c = call("password", "pump")
    c.connect(name(), **login("sensor"))
    assert device_of(c) == "sensor"


def test_anonymous(gateway, call, version):
    for options in ({}, login("sensor"), login("sensor", "x")):  # not judged
        c = call("nobody", version=version)
        c.connect(name(), **options)
        assert device_of(c) is None


# -- client identifiers

def test_client_id_must_be_the_device(gateway, call, version):
    call("named", "pump", version).connect("panel", refused=0x85 if version == V5 else 2)


def test_empty_client_id_becomes_the_device(call):
    answer = call("named", "pump").connect("")
    assert answer.props["assigned_client_id"] == "pump"


def test_session_of_another_device(gateway, call, version):
    """The client identifier of somebody else's session: refused, the owner stays connected."""
    who = name()
    owner = call("any", "pump", version)
    owner.connect(who)
    call("any", "panel", version).connect(who, refused=0x85 if version == V5 else 2)
    owner.ping()


def test_session_of_another_device_that_is_away(call, topic):
    who = name()
    options = {"clean": False, "props": {"session_expiry": 300}}
    c = call("any", "pump")
    c.connect(who, **options)
    c.subscribe(topic, qos=1)
    c.disconnect()
    call("any", "panel").connect(who, refused=0x85, **options)
    call("nobody").connect(who, refused=0x85, **options)
    assert call("any", "pump").connect(who, **options).session_present


def test_the_same_device_by_password_owns_the_same_session(call, dial):
    who = name()
    options = {"clean": False, "props": {"session_expiry": 300}}
    c = call("any", "pump")
    c.connect(who, **options)
    c.disconnect()
    assert dial(V5, listener="plain").connect(who, **options, **login("pump")).session_present


# -- the state of device and certificate

@pytest.fixture
def fresh(gateway):
    """A new device with certificate and password."""
    who = name()
    bundle = gateway.bundle(who)
    gateway.cli("device", "set", who, "--password", input=f"{PASSWORD} {who}\n")
    return who, bundle


def test_disabled_device(gateway, fresh, dial):
    who, bundle = fresh
    c, p = Client.tls(gateway.listeners["any"], V5, bundle=bundle), dial(V5, listener="plain")
    c.connect(name())
    p.connect(name(), **login(who))
    gateway.cli("device", "set", who, "--disabled")
    for x in (c, p):
        x.expect_closed()
    refused_handshake(lambda: Client.tls(gateway.listeners["any"], V5, bundle=bundle))
    dial(V5, listener="plain").connect(name(), refused=0x87, **login(who))
    dial(V5, listener="plain").connect(name(), refused=0x86, **login(who, "x"))  # tells nothing to a guesser
    gateway.cli("device", "set", who, "--enabled")
    c = Client.tls(gateway.listeners["any"], V5, bundle=bundle)
    c.connect(name())
    c.close()


def test_removed_device(gateway, fresh, dial):
    who, bundle = fresh
    c, p = Client.tls(gateway.listeners["any"], V5, bundle=bundle), dial(V5, listener="plain")
    c.connect(name())
    p.connect(name(), **login(who))
    gateway.cli("device", "remove", who)
    for x in (c, p):
        x.expect_closed()
    refused_handshake(lambda: Client.tls(gateway.listeners["any"], V5, bundle=bundle))
    dial(V5, listener="plain").connect(name(), refused=0x86, **login(who))


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_revoked_certificate(gateway, fresh, tls):
    """The live session ends; neither a full nor a resumed handshake is let in again."""
    who, bundle = fresh
    wire = TlsWire(gateway.listeners["certificate"], bundle=bundle, versions=tls)
    c = Client(wire, V5)
    c.connect(name())
    c.ping()
    session = wire.socket.session
    assert session is not None and session.has_ticket
    again = Client(TlsWire(gateway.listeners["certificate"], context=wire.context, session=session), V5)
    again.connect(name())
    assert again.wire.socket.session_reused
    session = again.wire.socket.session
    gateway.cli("cert", "revoke", "--device", who, "--reason", "key-compromise")
    for x in (c, again):
        packets = x.expect_closed()
        assert [p.kind for p in packets] == [mqtt.DISCONNECT] and packets[0].reason in (0x87, 0x98)
    refused_handshake(lambda: Client.tls(gateway.listeners["certificate"], V5, bundle=bundle, versions=tls))
    refused_handshake(lambda: Client(TlsWire(gateway.listeners["certificate"], context=wire.context,
                                             session=session), V5))


def test_password_changes(gateway, fresh, dial):
    who, _ = fresh
    dial(V5, listener="plain").connect(name(), **login(who))
    gateway.cli("device", "set", who, "--password", input="another password\n")
    dial(V5, listener="plain").connect(name(), refused=0x86, **login(who))
    dial(V5, listener="plain").connect(name(), username=who, password="another password")
    gateway.cli("device", "set", who, "--no-password")
    dial(V5, listener="plain").connect(name(), refused=0x86, username=who, password="another password")
    dial(V5, listener="plain").connect(name(), refused=0x86, username=who, password="")


# -- TLS

@pytest.mark.parametrize("listener, offered, works", [
    ("old", ssl.TLSVersion.TLSv1_2, True), ("old", ssl.TLSVersion.TLSv1_3, False),
    ("new", ssl.TLSVersion.TLSv1_2, False), ("new", ssl.TLSVersion.TLSv1_3, True),
    ("any", ssl.TLSVersion.TLSv1_2, True), ("any", ssl.TLSVersion.TLSv1_3, True)])
def test_versions_of_tls(call, listener, offered, works):
    if works:
        call(listener, "pump", versions=offered).connect(name())
    else:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            call(listener, "pump", versions=offered)


def test_no_tickets_where_they_are_off(call):
    c = call("ticketless", "pump", versions=ssl.TLSVersion.TLSv1_3)
    c.connect(name())
    c.ping()
    assert not (c.wire.socket.session and c.wire.socket.session.has_ticket)


def test_a_ticket_of_one_listener_is_nothing_to_another(gateway, devices):
    wire = TlsWire(gateway.listeners["any"], bundle=devices["pump"])
    c = Client(wire, V5)
    c.connect(name())
    c.ping()
    other = Client(TlsWire(gateway.listeners["certificate"], context=wire.context, session=wire.socket.session), V5)
    other.connect(name())
    assert not other.wire.socket.session_reused
    c.close()
    other.close()


def test_large_messages_over_small_records(call, topic):
    c = call("small", "pump")
    c.connect(name())
    c.subscribe(topic)
    c.publish(topic, bytes(range(256)) * 1000)
    assert c.message().payload == bytes(range(256)) * 1000


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 500000])
def test_payload_over_tls(call, topic, size):
    c = call("any", "pump")
    c.connect(name())
    c.subscribe(topic)
    c.publish(topic, b"p" * size)
    assert c.message().payload == b"p" * size


def test_server_certificate_is_checked(gateway, devices):
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsWire(gateway.listeners["any"], bundle=devices["pump"], name="example.org")


def test_plain_mqtt_on_a_tls_listener(gateway, dial):
    c = dial(V5, listener="any")
    c.send(mqtt.connect(name(), V5))
    assert c.wire.receive(mqtt.time.monotonic() + mqtt.PATIENCE)[:1] in (b"", b"\x15")


def test_tls_on_a_plain_listener(gateway):
    with pytest.raises((ssl.SSLError, ConnectionResetError, OSError)):
        TlsWire(gateway.listeners["plain"], ca=gateway.root_ca)


# -- a PKI of one's own

def test_own_server_certificate(gateway, pki):
    wire = TlsWire(gateway.listeners["own"], ca=pki / "ours.crt", cert=pki / "client-ours.crt",
                   key=pki / "client-ours.key")
    wire.close()


def test_own_client_ca_trusts_no_other(gateway, pki, devices):
    for who in (pki / "client-theirs", devices["pump"] / "device"):
        refused_handshake(lambda: Client.tls(gateway.listeners["own"], V5, ca=pki / "ours.crt", cert=f"{who}.crt",
                                             key=f"{who}.key"))


def test_trusted_but_not_registered(gateway, pki):
    """A certificate of a trusted CA that no device owns opens nothing."""
    refused_handshake(lambda: Client.tls(gateway.listeners["own"], V5, ca=pki / "ours.crt",
                                         cert=pki / "client-ours.crt", key=pki / "client-ours.key"))


def test_connack_is_the_first_packet(call):
    c = call("any", "pump")
    c.send(mqtt.connect(name(), V5), mqtt.pingreq())
    assert [c.receive().kind for _ in range(2)] == [CONNACK, mqtt.PINGRESP]
