# SPDX-License-Identifier: Apache-2.0
"""A fresh Debian 12 and the package: the four stories from outside, an upgrade, a backup that becomes another
machine, and the end. Each step needs those before it; its time goes into the file that GATEHOUSE_STEPS names.
"""

import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

import mqtt
from gateway import TESTS, wait_until
from machine import Lan, Machine, base, call
from mqtt import Client
from pki import Authority, openssl
from transport import TlsWire

pytestmark = [pytest.mark.timeout(900),
              pytest.mark.skipif(os.geteuid() != 0, reason="only root can boot a machine")]
ADMINISTRATOR, PASSWORD = "ann", "a long enough secret"
PASSPHRASE = "seven words that nobody else could guess"
PORTS = {("tcp", 8883), ("tcp", 8443), ("tcp", 8444)}
USERS = ("broker", "admin", "enrol", "ctl", "store", "vault")
failed = []


@pytest.fixture(autouse=True)
def step(request):
    """One line for each: its name and its seconds."""
    if failed:
        pytest.fail(f"the step before failed: {failed[0]}")
    began, name = time.monotonic(), request.node.name.removeprefix("test_").replace("_", " ")
    yield
    if not getattr(request.node, "succeeded", False):
        failed.append(name)
    line = f"{name:<64} {time.monotonic() - began:6.1f} s{' FAILED' if failed else ''}"
    if os.environ.get("GATEHOUSE_STEPS"):
        with open(os.environ["GATEHOUSE_STEPS"], "a") as f:
            print(line, file=f)


class Site:
    """What the steps share: the machines, and what a person has at hand outside of them."""

    def __init__(self, folder, deb, newer):
        base(deb)  # while there still is a network to fetch it from
        self.folder, self.deb, self.newer = folder, deb, newer
        self.lan = Lan()
        self.gate = Machine("gate", self.lan, [deb, newer])
        self.others = []
        self.roots = folder / "roots.pem"

    @property
    def host(self):
        return self.lan.address(self.gate)

    def cli(self, *words, **more):
        return self.gate.run("gatehouse", *words, **more)

    def json(self, *words):
        return json.loads(self.cli("--json", *words))

    def fetch(self, path, to):
        to.write_bytes(self.gate.file(path).read_bytes())
        return to

    def client(self, name, host=None, roots=None, version=mqtt.V5, **options):
        """A connection over TLS with the files of device `name`, which verifies the gateway under its address."""
        certificate = self.folder / f"{name}.crt"
        if certificate.exists():
            options = {"cert": certificate, "key": self.folder / f"{name}.key", **options}
        host = host or self.host
        return Client.tls(8883, version, ca=roots or self.roots, address=host, name=host, **options)

    def walk(self, script, **more):
        args = {"host": self.host, "port": 8443, "name": ADMINISTRATOR, "password": PASSWORD,
                "dir": str(self.folder), "shots": os.environ.get("GATEHOUSE_SHOTS", ""), **more}
        done = subprocess.run(["node", TESTS / script, json.dumps(args)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=600)
        assert done.returncode == 0, done.stdout

    def close(self):
        for machine in (self.gate, *self.others):
            machine.close()


@pytest.fixture(scope="module")
def site(deb, newer_deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    s = Site(folder, deb, newer_deb)
    yield s
    s.close()


def enrol(site, name):
    """As a device does it that has nothing but a code, with curl and openssl: the files NAME.key and NAME.crt."""
    key, csr, answer = (site.folder / f"{name}.{end}" for end in ("key", "csr", "p7"))
    code = site.json("code", "add", name)["code"]
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
            "-subj", f"/CN={name}", "-outform", "DER", "-out", csr)
    body = openssl("base64", "-in", csr)
    call("curl", "--silent", "--show-error", "--fail", "--cacert", site.roots, "--user", f"{name}:{code}",
         "--header", "Content-Type: application/pkcs10", "--data-binary", body, "--output", answer,
         f"https://{site.host}:8444/.well-known/est/simpleenroll")
    der = site.folder / f"{name}.der"
    call("sh", "-c", f"base64 -d '{answer}' >'{der}'")
    (site.folder / f"{name}.crt").write_text(openssl("pkcs7", "-inform", "DER", "-in", der, "-print_certs"))


def files_of(machine):
    """Every path in the machine that the package could have left something in."""
    told = machine.run("find", "/etc", "/usr", "/lib", "/var", "/run", "/opt", "/srv", "/root", "/home", "-xdev",
                       "-not", "-path", "/var/tmp/inbox*", "-not", "-path", "/var/cache/*", "-not", "-path",
                       "/var/log/*", "-not", "-path", "/run/systemd/*", "-not", "-path", "/var/lib/systemd/*")
    return set(told.splitlines())


# -- installing


def test_a_fresh_machine_boots(site):
    site.gate.boot()
    assert site.gate.listening() == set()
    site.before = files_of(site.gate)


def test_apt_installs_it_offline_and_the_terminal_tells_how_to_begin(site):
    said = site.gate.at_terminal(f"apt install --yes {site.gate.INBOX}/{site.deb.name}")
    site.code = re.search(r"^Setup code: (\S+)$", said, re.M).group(1)
    site.fingerprint = re.search(r"^([0-9A-F]{2}(?::[0-9A-F]{2}){31})$", said, re.M).group(1)
    assert "https://gate:8443/" in said
    assert site.gate.run("systemctl", "is-enabled", "gatehouse").strip() == "enabled"
    assert site.gate.run("systemctl", "is-active", "gatehouse").strip() == "active"
    site.fetch("/var/lib/gatehouse/pub/roots.pem", site.roots)


def test_the_code_is_in_no_log(site):
    assert site.code not in site.gate.run("journalctl", "--all", "--no-pager")
    logs = [p for p in site.gate.file("/var/log").rglob("*") if p.is_file()]
    assert any(p.name == "term.log" for p in logs)
    assert not [p for p in logs if site.code.encode() in p.read_bytes()]


def test_nothing_else_listens(site):
    assert site.gate.listening() == PORTS


def test_the_certificate_names_the_machine(site):
    pem = ssl.get_server_certificate((site.host, 8443))
    der = ssl.PEM_cert_to_DER_cert(pem)
    assert hashlib.sha256(der).hexdigest().upper() == site.fingerprint.replace(":", "")
    names = openssl("x509", "-noout", "-ext", "subjectAltName", data=pem.encode())
    for name in ("DNS:gate", "DNS:localhost", f"IP Address:{site.host}"):
        assert name in names


def test_users_and_directories(site):
    for name in USERS:
        assert site.gate.run("id", "-nG", f"gatehouse-{name}").strip() == "gatehouse"
    told = site.gate.run("stat", "-c", "%A %U %n", *(f"/var/lib/gatehouse/{n}" for n in ("", "pub", "vault", "store")))
    assert told.splitlines() == [
        "drwxr-xr-x root /var/lib/gatehouse/", "drwxr-xr-x root /var/lib/gatehouse/pub",
        "drwx------ gatehouse-vault /var/lib/gatehouse/vault", "drwx------ gatehouse-store /var/lib/gatehouse/store"]
    owners = {}
    for pid in site.gate.run("pidof", "gatehoused").split():
        user = site.gate.run("stat", "-c", "%U", f"/proc/{pid}").strip()
        owners[user] = owners.get(user, 0) + 1
    assert owners == {"root": 1, **{f"gatehouse-{n}": 1 for n in USERS}}


def test_the_unit_is_confined(site):
    site.gate.run("systemd-analyze", "security", "--no-pager", "--threshold=25", "gatehouse.service")
    wanted = {"Type": "notify", "KillMode": "mixed", "Restart": "always", "ProtectSystem": "strict",
              "NoNewPrivileges": "yes", "MemoryDenyWriteExecute": "yes", "WatchdogUSec": "1min",
              "FileDescriptorStoreMax": "1024"}
    told = site.gate.run("systemctl", "show", "gatehouse", *(f"--property={k}" for k in wanted))
    assert dict(line.split("=", 1) for line in told.splitlines()) == wanted
    stored = site.gate.run("systemctl", "show", "gatehouse", "--property=NFileDescriptorStore", "--value")
    assert int(stored) == len(PORTS)


def test_a_reload_is_a_reload(site):
    before = site.gate.run("systemctl", "show", "gatehouse", "--property=MainPID").strip()
    site.gate.run("systemctl", "reload", "gatehouse")
    assert site.gate.run("systemctl", "show", "gatehouse", "--property=MainPID").strip() == before
    wait_until(lambda: "config.reloaded" in site.cli("event", "list"), 30, "the event of the reload")


def test_it_is_started_however_often(site):
    """systemd gives up a unit that is started more than five times in ten seconds, unless it is told not to."""
    for _ in range(7):
        site.gate.run("systemctl", "restart", "gatehouse")
    assert site.gate.run("systemctl", "is-active", "gatehouse").strip() == "active"


# -- the four stories


def test_the_first_administrator_in_the_browser(site):
    site.walk("browser/setup.mjs", code=site.code)


def test_devices_in_the_browser(site):
    site.walk("browser/device.mjs")


def test_a_device_enrols_with_curl_and_openssl(site):
    for name in ("pump", "panel"):
        enrol(site, name)
    site.cli("acl", "allow", "device:pump", "publish", "plant/#")
    site.cli("acl", "allow", "device:panel", "subscribe", "plant/#")
    site.cli("acl", "allow", "device:panel", "receive", "plant/#")


def test_it_publishes_and_another_receives(site):
    with site.client("panel") as panel, site.client("pump") as pump:
        panel.connect("panel")
        panel.subscribe("plant/#", qos=1)
        pump.connect("pump")
        assert pump.publish("plant/level", b"7", qos=1) == 0
        assert panel.message().payload == b"7"


def test_who_misbehaves_stands_in_the_log(site):
    site.cli("device", "add", "meter", "--password", input="the right password\n")
    with site.client("meter") as c:  # a device with the wrong password
        c.connect("meter", username="meter", password="wrong", refused=0x86)
    stranger = Authority(site.folder, "Nobody's authority").issue("pump", {"extendedKeyUsage": "clientAuth"})
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):  # a certificate of another authority
        site.client("stranger", cert=stranger.certificate, key=stranger.key).connect("x")
    with site.client("pump") as c:  # a topic that is not its own
        c.connect("pump")
        assert c.publish("secret/door", b"open", qos=1) == 0x87
    with site.client("pump") as c:  # a packet of a type that there is not
        c.connect("pump")
        c.send(b"\x00\x00")
        c.expect_disconnect(0x81)
    here = f"{site.lan.NET}.1"
    site.expected = [["login.refused", "meter", here, "password"], ["handshake.refused", here, "Nobody's authority"],
                     ["acl.denied", "pump", here, "secret/door"], ["packet.malformed", "pump", here]]
    for words in site.expected:
        def told(words=words):
            lines = site.cli("event", "list", "--last", "200").splitlines()
            return [x for x in lines if all(w in x for w in words)]
        assert wait_until(told, 30, f"the event {words}")


def test_the_journal_has_fields(site):
    told = site.gate.run("journalctl", "--no-pager", "--output=json", "GATEHOUSE_EVENT=login.refused")
    entry = json.loads(told.splitlines()[-1])
    assert entry["MESSAGE"].startswith("store: login.refused ")
    # A name that nobody has proved is no device yet.
    assert entry["GATEHOUSE_ACTOR"] == "meter" and entry["GATEHOUSE_ADDRESS"].startswith(f"{site.lan.NET}.1:")
    assert entry["PRIORITY"] == "4" and "password" in entry["GATEHOUSE_REASON"]
    assert entry["_SYSTEMD_UNIT"] == "gatehouse.service" and entry["GATEHOUSE_PROCESS"] == "store"
    said = site.gate.run("journalctl", "--no-pager", "--output=cat", "--identifier=gatehoused")
    for name in ("parent", *USERS):
        assert f"{name}: " in said


def test_the_page_of_the_log_says_who_where_and_why(site):
    named = {"login.refused": "login refused", "handshake.refused": "encryption refused", "acl.denied": "not allowed",
             "packet.malformed": "malformed packet"}
    site.walk("package/log.mjs", expected=[[named[name], *words] for name, *words in site.expected])


# -- upgrading


class Knocking(threading.Thread):
    """Connects again and again, and keeps what failed."""

    def __init__(self, address):
        super().__init__()
        self.address, self.wrong, self.done, self.finished = address, [], 0, threading.Event()

    def run(self):
        while not self.finished.is_set():
            try:
                with socket.create_connection(self.address, 120):
                    self.done += 1
            except OSError as e:
                self.wrong.append(repr(e))
            self.finished.wait(0.02)


def test_an_upgrade_refuses_no_connection_and_loses_no_message(site):
    conf = "/etc/gatehouse/gatehouse.conf"
    with open(site.gate.file(conf), "a") as f:
        f.write("\n# the administrator's own line\n")
    mine = site.gate.file(conf).read_bytes()
    options = {"clean": False, "props": [("session_expiry", 3600)]}
    panel = site.client("panel")
    panel.connect("panel", **options)
    panel.subscribe("plant/#", qos=1)
    asleep = site.client("panel")
    asleep.connect("asleep", **options)
    asleep.subscribe("plant/#", qos=1)
    asleep.close()
    with site.client("pump") as pump:
        pump.connect("pump")
        assert pump.publish("plant/before", b"1", qos=1) == 0
    assert panel.message(acknowledge=False).payload == b"1"
    before = site.gate.run("systemctl", "show", "gatehouse", "--property=MainPID").strip()
    knocking = Knocking((site.host, 8883))
    knocking.start()
    try:
        site.gate.at_terminal(f"apt install --yes {site.gate.INBOX}/{site.newer.name}")
    finally:
        knocking.finished.set()
        knocking.join()
    assert knocking.wrong == [] and knocking.done > 0
    assert site.gate.run("dpkg-query", "-W", "-f", "${Version}", "gatehouse") == "999.0-1"
    assert site.gate.run("systemctl", "show", "gatehouse", "--property=MainPID").strip() != before
    assert site.gate.file(conf).read_bytes() == mine
    panel.close()
    for name in ("panel", "asleep"):
        with site.client("panel") as c:
            assert c.connect(name, **options).session_present
            assert c.message().payload == b"1"
            with site.client("pump") as pump:
                pump.connect("pump")
                pump.publish("plant/after", b"2", qos=1)
            assert c.message().payload == b"2"
    assert site.gate.listening() == PORTS


# -- a backup becomes another machine


def test_a_backup_lives_on_a_second_machine(site):
    site.cli("backup", "set", input=f"{PASSPHRASE}\n")
    site.gate.run("systemctl", "start", "gatehouse-backup")
    (backup,) = site.gate.file("/var/backups/gatehouse").iterdir()
    other = Machine("other", site.lan, [site.deb])
    site.others.append(other)
    other.boot()
    other.run("apt", "install", "--yes", f"{other.INBOX}/{site.deb.name}")
    (other.inbox / "gate.backup").write_bytes(backup.read_bytes())
    other.run("systemctl", "stop", "gatehouse")
    other.run("gatehouse", "ca", "restore", "--force", f"{other.INBOX}/gate.backup", input=f"{PASSPHRASE}\n")
    other.run("systemctl", "start", "gatehouse")
    host = site.lan.address(other)
    with site.client("panel", host) as panel, site.client("pump", host) as pump:
        panel.connect("panel-2")
        panel.subscribe("plant/#", qos=1)
        pump.connect("pump-2")
        assert pump.publish("plant/elsewhere", b"3", qos=1) == 0
        assert panel.message().payload == b"3"
    other.power_off()


# -- leaving


def test_removing_keeps_the_data(site):
    site.gate.run("apt", "remove", "--yes", "gatehouse")
    assert site.gate.listening() == set()
    assert site.gate.run("pidof", "gatehoused", check=False) == ""
    assert site.gate.file("/var/lib/gatehouse/store/registry.db").exists()
    assert b"the administrator's own line" in site.gate.file("/etc/gatehouse/gatehouse.conf").read_bytes()


def test_installing_again_finds_them(site):
    said = site.gate.at_terminal(f"apt install --yes {site.gate.INBOX}/{site.deb.name}")
    assert "Setup code" not in said
    with site.client("pump") as pump:
        pump.connect("pump")
        assert pump.publish("plant/level", b"8", qos=1) == 0


def test_purging_leaves_nothing(site):
    site.gate.run("rm", "-r", "/var/backups/gatehouse")  # those of every night are the administrator's
    site.gate.run("apt", "purge", "--yes", "gatehouse")
    assert site.gate.listening() == set()
    assert "gatehouse" not in site.gate.run("getent", "passwd") + site.gate.run("getent", "group")
    # What it depends on stays, and the records of the tools.
    others = ("/usr/lib/x86_64-linux-gnu", "/usr/share/doc/lib", "/var/lib/dpkg", "/var/lib/apt")
    left = {p for p in files_of(site.gate) - site.before if "gatehouse" in p or not p.startswith(others)}
    assert left == set()
