# SPDX-License-Identifier: Apache-2.0
"""The filter for fail2ban, with fail2ban's own reader, over the lines that a gateway writes while strangers and devices
misbehave. Each comes from an address of its own, so that the addresses tell which lines were matched."""

import contextlib
import re
import shutil
import socket
import subprocess

import pytest

import mqtt
from api import Api
from est import Est
from gateway import TESTS, Gateway, wait_until
from mqtt import CONNACK, V5
from transport import TcpWire

FILTER = TESTS.parent / "packaging" / "fail2ban" / "filter.d" / "gatehouse.conf"
JAIL = TESTS.parent / "packaging" / "fail2ban" / "jail.d" / "gatehouse.conf"
PASSWORD = "a long enough secret"
PREFIX = "Nov 26 10:00:00 gw gatehoused[4711]: "
FOREIGN = '10.9.9.9'


def found(lines, mode, tmp_path):
    """The addresses that fail2ban finds in lines of the journal, one for each line that matches."""
    log = tmp_path / "log"
    shutil.copy(FILTER, tmp_path)
    shutil.copy("/etc/fail2ban/filter.d/common.conf", tmp_path)
    log.write_text("".join(f"{PREFIX}{line}\n" for line in lines))
    done = subprocess.run(["fail2ban-regex", "-o", "ip", log, f"{tmp_path}/gatehouse.conf[mode={mode}]"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout.split()


def knock(gw, number, user, client_id="x", password="wrong", port=None):
    wire = TcpWire(port or gw.mqtt, source=f"127.0.1.{number}")
    c = mqtt.Client(wire, V5)
    c.send(mqtt.connect(client_id, V5, username=user, password=password))
    reason = c.expect(CONNACK).reason
    wire.close()
    return reason


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """What the gateway logged, as the journal has it."""
    folder = tmp_path_factory.mktemp("pki")
    with Gateway(listeners=["near tls=off auth=password allow-from=127.0.1.200",
                            "balanced tls=off auth=password proxy-protocol=v2 proxy-from=127.0.1.200"]) as gw:
        gw.cli("device", "add", "good", "--password", input=PASSWORD + "\n")
        gw.cli("device", "add", "off", "--password", input=PASSWORD + "\n")
        gw.cli("device", "set", "off", "--disabled")
        gw.cli("admin", "add", "ann", "admin", input=PASSWORD + "\n")
        yield list(run(gw, folder))


def run(gw, folder):
    knock(gw, 1, "good")
    knock(gw, 2, "nobody")
    lure = f'" address={FOREIGN}:1 listener=x reason="wrong user name or password"'
    knock(gw, 3, "a" + lure, "b" + lure)
    knock(gw, 4, "nobody", "c" * 1000)
    knock(gw, 5, f"login.refused address={FOREIGN}:1 listener=x")
    assert knock(gw, 101, "good", password=PASSWORD) == 0
    knock(gw, 102, "off", password=PASSWORD)
    with pytest.raises(AssertionError):
        Api(gw.admin, gw.root_ca, source="127.0.1.10").login("ann", "wrong")
    Api(gw.admin, gw.root_ca, source="127.0.1.103").login("ann", PASSWORD)
    est = Est(gw, folder)
    est.post("simpleenroll", est.csr(est.key(), "new"), user="new", secret="no code")
    est.post("simpleenroll", est.csr(est.key(), "new"), user="new", secret=est.code("new"))
    # Of the mode "aggressive" alone:
    for number, port, data in ((21, gw.mqtts, b"GET / HTTP/1.1\r\n\r\n"), (22, gw.listeners["near"], b""),
                               (23, gw.listeners["balanced"], b""), (24, gw.mqtt, b"\xff\xff\xff\xff\xff")):
        with contextlib.suppress(ConnectionError), socket.create_connection(
                ("127.0.0.1", port), 30, source_address=(f"127.0.1.{number}", 0)) as s:
            s.sendall(data)
            s.recv(1)
    wait_until(lambda: all(f"127.0.1.{n}" in gw.log_text() for n in (1, 2, 3, 4, 5, 10, 21, 22, 23, 24, 102)))
    for line in gw.log_text().splitlines():
        yield re.sub(r"^\S+ \w+ +", "", line)


def addresses(*numbers):
    return sorted(f"127.0.1.{n}" if n else "127.0.0.1" for n in numbers)


def test_wrong_passwords_and_codes(journal, tmp_path):
    assert sorted(found(journal, "normal", tmp_path)) == addresses(0, 1, 2, 3, 4, 5, 10)


def test_the_aggressive_mode_adds_what_knocks(journal, tmp_path):
    assert sorted(found(journal, "aggressive", tmp_path)) == addresses(0, 1, 2, 3, 4, 5, 10, 21, 22, 23, 24)


def test_every_line_of_a_refused_login_was_there(journal):
    """The test above is worth as much as the lines that it ran over."""
    for event in ("login.refused", "admin.login-refused", "enrol.refused", "handshake.refused", "packet.malformed",
                  "proxy.refused"):
        assert any(line.startswith(f"store: {event} ") for line in journal), event
    assert FOREIGN in "".join(journal)


@pytest.mark.parametrize("line, address", [
    ('store: login.refused actor=x address=[2001:db8::7]:4000 listener=mqtts reason="wrong user name or password"',
     "2001:db8::7"),
    ('store: admin.login-refused actor=ann address=2001:db8::7 reason="wrong password"', "2001:db8::7"),
    ('broker: login.refused actor=x address=10.9.9.9:1 listener=mqtts reason="wrong user name or password"', None),
    ('store: login.refused actor=x address=10.9.9.9:1 listener=mqtts reason="the registry is away"', None),
    ('store: acl.denied device=x address=10.9.9.9:1 listener=mqtts reason="wrong user name or password"', None),
    ('store: enrol.refused actor=x address=10.9.9.9 reason="locked" status=locked what=first', None)])
def test_lines(line, address, tmp_path):
    assert found([line], "normal", tmp_path) == ([address] if address else [])


def test_the_jail_is_off_and_names_the_ports_of_the_package():
    text = JAIL.read_text()
    assert re.search(r"^enabled = false$", text, re.M)
    assert re.search(r"^port = 8883,8443,8444$", text, re.M)


def test_fail2ban_takes_the_jail(tmp_path):
    config = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", config)
    shutil.copy(FILTER, config / "filter.d")
    shutil.copy(JAIL, config / "jail.d")
    dump = ["fail2ban-client", "-c", config, "-d"]
    assert "gatehouse" not in subprocess.run(dump, capture_output=True, text=True).stdout
    (config / "jail.local").write_text("[DEFAULT]\nbackend = polling\n[sshd]\nenabled = false\n"
                                       "[gatehouse]\nenabled = true\n")
    done = subprocess.run(dump, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert "['start', 'gatehouse']" in done.stdout and "admin\\\\.login-refused" in done.stdout
    assert "'add', 'gatehouse', 'systemd'" in done.stdout and "_SYSTEMD_UNIT=gatehouse.service" in done.stdout
