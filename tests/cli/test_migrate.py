# SPDX-License-Identifier: Apache-2.0
"""gatehouse migrate: a stack of NGINX and Mosquitto as people made it by hand, with certificates of
version 1 and without extended key usage, gives way to the gateway, and its clients notice nothing."""

import configparser
import json
import os
import pathlib
import random
import shlex
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

import paho.mqtt.client as paho
import pytest

import pki
from gateway import CliError, Gateway, build, wait_until

USERS = {"sensor-1": "first secret", "sensor-2": "second secret", "panel": "third secret"}


def free_ports(n):
    """Below those that the kernel gives to others, so that they stay free."""
    held = []
    while len(held) < n:
        try:
            held.append(socket.create_server(("127.0.0.1", random.randrange(15000, 32000))))
        except OSError:
            pass
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Stack:
    """The files of the old stack in a folder, and its two programs."""

    def __init__(self, folder):
        self.dir = folder
        self.tls, self.plain = free_ports(2)
        self.ca = pki.Authority(folder, "Seed CA")
        self.server = self.ca.issue("localhost", None)
        (folder / "clients").mkdir()
        self.leaf = {}
        for name in USERS:
            leaf = self.ca.issue(name, None, algorithm=["rsa:2048"])
            for kind in ("key", "crt"):
                shutil.copy(f"{leaf.certificate[:-4]}.{kind}", folder / "clients" / f"{name}.{kind}")
            self.leaf[name] = leaf
        shutil.copy(self.ca.certificate, folder / "clients" / "ca.crt")
        self.write()
        self.running = []

    def write(self):
        for name, password in USERS.items():
            words = ["-b"] if (self.dir / "passwd").exists() else ["-c", "-b"]
            subprocess.run(["mosquitto_passwd", *words, str(self.dir / "passwd"), name, password], check=True)
        (self.dir / "acl").write_text(
            "# who may do what\nuser panel\ntopic read plant/#\ntopic write command/#\n\n"
            "pattern write plant/%u/#\npattern read command/%u\n")
        (self.dir / "mosquitto.conf").write_text(
            f"user root\nlistener {self.plain} 127.0.0.1\nallow_anonymous false\npassword_file passwd\n"
            "acl_file acl\nmessage_size_limit 4096\npersistence false\nlog_dest stderr\n")
        (self.dir / "nginx.conf").write_text(f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root;
daemon off; # for the test
pid {self.dir}/nginx.pid;
error_log {self.dir}/nginx.log;
events {{ worker_connections 1024; }}
stream {{
    limit_conn_zone $binary_remote_addr zone=per_address:1m;
    server {{
        listen 127.0.0.1:{self.tls} ssl;
        ssl_certificate {self.server.certificate};
        ssl_certificate_key {self.server.key};
        ssl_client_certificate {self.ca.certificate};
        ssl_verify_client on;
        ssl_protocols TLSv1.2 TLSv1.3;
        limit_conn per_address 10;
        proxy_pass 127.0.0.1:{self.plain};
    }}
}}
""")

    def start(self):
        # Mosquitto looks for its files from where it stands, as the configuration was written.
        for words in (["mosquitto", "-c", "mosquitto.conf"], ["nginx", "-c", str(self.dir / "nginx.conf")]):
            self.running.append(subprocess.Popen(words, cwd=self.dir, stdin=subprocess.DEVNULL,
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for port in (self.plain, self.tls):
            wait_until(lambda: self.answers(port), what=f"port {port}")

    @staticmethod
    def answers(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        for p in self.running:
            p.terminate()
        for p in self.running:
            p.wait(10)
        self.running = []

    def words(self):
        return ["migrate", "--mosquitto", self.dir / "mosquitto.conf", "--nginx", self.dir / "nginx.conf",
                "--certs", self.dir / "clients"]


def client_words(stack, program, name):
    folder = stack.dir / "clients"
    return [program, "-h", "localhost", "-p", str(stack.tls), "-u", name, "-P", USERS[name], "-i", name,
            "--cafile", str(folder / "ca.crt"), "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key"]


def publish(stack, name, topic, message):
    return subprocess.run(client_words(stack, "mosquitto_pub", name) + ["-q", "1", "-t", topic, "-m", message],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)


def mosquitto_clients(stack):
    """What mosquitto_sub of the panel hears of what the sensors publish with mosquitto_pub."""
    listener = subprocess.Popen(client_words(stack, "mosquitto_sub", "panel") + ["-q", "1", "-t", "plant/#", "-v"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 20
        heard = []
        while len(heard) < 2 and time.monotonic() < until:
            publish(stack, "sensor-1", "plant/sensor-2/state", "not its own")
            publish(stack, "sensor-1", "plant/sensor-1/large", "x" * 5000)
            for name in ("sensor-1", "sensor-2"):
                publish(stack, name, f"plant/{name}/state", "on")
            time.sleep(0.2)
            heard += peek(listener.stdout)
        return sorted(set(heard))
    finally:
        listener.terminate()
        listener.wait(10)


def peek(pipe):
    """Whole lines that are there, without waiting for more."""
    os.set_blocking(pipe.fileno(), False)
    lines = []
    while line := pipe.readline():
        lines.append(line.strip())
    return lines


def paho_round_trip(stack):
    """A command from the panel to a sensor, both Paho."""
    got = []
    folder = stack.dir / "clients"

    def client(name):
        c = paho.Client(client_id=f"{name}-paho")
        c.username_pw_set(name, USERS[name])
        c.tls_set(ca_certs=str(folder / "ca.crt"), certfile=f"{folder}/{name}.crt", keyfile=f"{folder}/{name}.key")
        c.on_message = lambda _, __, message: got.append((message.topic, message.payload))
        ready = []
        c.on_connect = lambda *_: c.subscribe(f"command/{name}", 1)
        c.on_subscribe = lambda *_: ready.append(True)
        c.connect("localhost", stack.tls)
        c.loop_start()
        wait_until(lambda: ready, what=f"{name} subscribes")
        return c

    sensor, panel = client("sensor-1"), client("panel")
    try:
        panel.publish("command/sensor-1", b"open", qos=1)
        wait_until(lambda: got, what="the command")
    finally:
        for c in (sensor, panel):
            c.disconnect()
            c.loop_stop()
    return got


def connections_at_once(stack):
    """How many TLS connections from one address hold, of twelve."""
    context = ssl.create_default_context(cafile=stack.ca.certificate)
    context.load_cert_chain(stack.leaf["panel"].certificate, stack.leaf["panel"].key)
    held = []
    for _ in range(12):
        try:
            s = context.wrap_socket(socket.create_connection(("127.0.0.1", stack.tls), 5), server_hostname="localhost")
            s.settimeout(0.3)
            try:
                if s.recv(1) == b"":
                    continue
            except TimeoutError:
                pass
            held.append(s)
        except OSError:
            pass
    for s in held:
        s.close()
    return len(held)


@pytest.fixture(scope="module")
def stack():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-seed-"))
    folder.chmod(0o755)
    s = Stack(folder)
    yield s
    s.stop()
    shutil.rmtree(folder)


HEARD = ["plant/sensor-1/state on", "plant/sensor-2/state on"]


def test_the_old_stack_works(stack):
    stack.start()
    try:
        assert mosquitto_clients(stack) == HEARD
        assert paho_round_trip(stack) == [("command/sensor-1", b"open")]
        assert connections_at_once(stack) == 10
    finally:
        stack.stop()


def test_a_dry_run_needs_no_gateway_and_changes_nothing(stack, tmp_path):
    done = subprocess.run([str(build() / "gatehouse"), "--socket", "/nowhere", *map(str, stack.words()), "--dry-run"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    assert "0 refused" in done.stdout
    said = done.stdout.splitlines()
    for file in ("mosquitto.conf", "acl", "passwd"):
        lines = (stack.dir / file).read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                assert any(f"{file}:{number}:" in s for s in said), f"no word about {file}:{number}: {line}"


def restart_with(gateway, path):
    """The gateway with the listeners and bounds of that file."""
    conf = configparser.RawConfigParser()
    conf.read(path)
    gateway.stop()
    for section in conf.sections():
        if section.startswith("listener "):
            keys = " ".join(shlex.quote(f"{k}={v}") for k, v in conf.items(section))
            gateway.options.append(f"--listener={section.removeprefix('listener ')} {keys}")
        else:
            gateway.options += [f"--set={section}.{k}={v}" for k, v in conf.items(section)]
    gateway.start()


@pytest.fixture(scope="module")
def migrated(stack):
    with Gateway() as gw:
        out = gw.dir / "new.conf"
        gw.first = gw.cli(*stack.words(), "--out", out).stdout
        gw.again = gw.cli(*stack.words(), "--out", out, "--force").stdout
        with pytest.raises(CliError) as e:
            gw.cli(*stack.words(), "--out", out)
        gw.not_overwritten = e.value
        subprocess.run([str(build() / "gatehoused"), "--test-config", "--config", str(out)], check=True,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        restart_with(gw, out)
        yield gw


def test_unchanged_clients_work_each_under_its_own_name(migrated, stack):
    assert mosquitto_clients(stack) == HEARD
    assert paho_round_trip(stack) == [("command/sensor-1", b"open")]

    def names():
        events = migrated.json("event", "list", "--name", "client.connected", "--last", "1000")
        return {(e["actor"], e["client_id"]) for e in events}

    wanted = {(n, n) for n in USERS} | {("sensor-1", "sensor-1-paho"), ("panel", "panel-paho")}
    wait_until(lambda: names() >= wanted, what="the events")
    assert {a for a, _ in names()} == set(USERS)


def test_the_bound_per_address_holds(migrated, stack):
    assert connections_at_once(stack) == 10


def test_a_wrong_password_does_not_help_a_right_certificate(migrated, stack):
    words = client_words(stack, "mosquitto_pub", "sensor-1")
    words[words.index("-P") + 1] = "wrong"
    assert subprocess.run(words + ["-t", "x", "-m", "x"], stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=30).returncode != 0


def test_certificate_and_password_of_different_devices(migrated, stack):
    words = client_words(stack, "mosquitto_pub", "sensor-1")
    words[words.index("-u") + 1], words[words.index("-P") + 1] = "panel", USERS["panel"]
    assert subprocess.run(words + ["-t", "x", "-m", "x"], stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=30).returncode != 0


def test_the_local_listener_stays(migrated, stack):
    done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(stack.plain), "-u", "sensor-1", "-P",
                           USERS["sensor-1"], "-q", "1", "-t", "plant/sensor-1/x", "-m", "x"], timeout=30)
    assert done.returncode == 0


def test_it_may_be_repeated(migrated):
    assert "12 changes made, 0 were there" in migrated.first, migrated.first
    assert "0 changes made, 12 were there" in migrated.again, migrated.again
    assert migrated.not_overwritten.code == 6


def test_all_that_was_registered(migrated):
    devices = {d["name"]: d for d in migrated.json("device", "list")}
    assert set(devices) == set(USERS)
    assert all(d["password"] and d["certificate_count"] == 1 for d in devices.values())
    assert [c["via"] for c in migrated.json("cert", "list") if c["device"]] == ["import"] * 3


def accepted(gw, root):
    """Whether a client that trusts this root alone takes what the gateway shows for its own."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gw.mqtts}", "-CAfile", str(root),
                           "-no-CApath", "-no-CAstore", "-verify_return_error", "-verify_hostname", "localhost",
                           "-x509_strict", "-brief"], input="", capture_output=True, text=True, timeout=30)
    return "Verification: OK" in done.stderr


def test_the_old_authority_vouches_for_the_gateway(make_gateway, stack):
    gw = make_gateway()
    root = gw.root_ca
    assert accepted(gw, root) and not accepted(gw, stack.ca.certificate)
    foreign = gw.dir / "foreign.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                    str(foreign)], check=True, capture_output=True)
    for key, says in [(foreign, "belongs to this key"), (stack.ca.certificate, "cannot be read"),
                      (gw.dir / "none", "No such file")]:
        with pytest.raises(CliError) as e:
            gw.cli(*stack.words(), "--ca-key", key, "--out", gw.dir / "no.conf")
        assert e.value.code == 2 and says in e.value.stderr, e.value
    assert gw.json("device", "list") == [] and not accepted(gw, stack.ca.certificate)
    for _ in range(2):
        said = gw.cli(*stack.words(), "--ca-key", stack.ca.key, "--out", gw.dir / "new.conf", "--force").stdout
        assert "it has certified the gateway's root" in said
    wait_until(lambda: accepted(gw, stack.ca.certificate), what="the chain to the old authority")
    assert accepted(gw, root)
    assert gw.cli("ca", "check").stdout.endswith("0 problems\n")
    gw.restart()
    assert accepted(gw, stack.ca.certificate) and accepted(gw, root)
    # It is no more than a word for the gateway: a device's certificate of it opens nothing there.
    with pytest.raises((AssertionError, OSError)):
        pki.open_mqtt(gw.mqtts, root, stack.ca.issue("sensor-1", {"extendedKeyUsage": "clientAuth"}))


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


def dry(folder, *more, code=0):
    done = subprocess.run([str(build() / "gatehouse"), "migrate", "--mosquitto", str(folder / "m.conf"), "--dry-run",
                           "--json", *map(str, more)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("text, said", [
    ("listener 0 /run/x.sock\n", "m.conf:1: a port from 1 to 65535"),
    ("listener 1883 host.example\n", "m.conf:1: \"host.example\" is no IPv4 or IPv6 address"),
    ("\nlistner 1883\n", "m.conf:2: \"listner\" is no option of Mosquitto"),
    ("listener 1883\nallow_anonymous maybe\n", "m.conf:2: allow_anonymous is \"maybe\""),
    ("listener 1883\npassword_file nowhere\n", "nowhere: No such file"),
    ("listener 1883\nmax_inflight_messages many\n", "m.conf:2: max_inflight_messages is \"many\""),
    ("persistent_client_expiration 3\n", "persistent_client_expiration is \"3\""),
    ("listener 1883\nlistener 1883\n", "clashes with"),
])
def test_bad_input(tmp_path, text, said):
    write(tmp_path, m_conf=text)
    lines, errors = dry(tmp_path, code=2)
    assert lines == [] and said in errors and "nothing was changed" in errors


@pytest.mark.parametrize("text, said", [
    ("stream {\n server {\n", "n.conf:3: a block has no end"),
    ("stream { server { listen 1; proxy_pass x:1883 } }", "n.conf:1: a directive ends without"),
    ("}", "n.conf:1: a \"}\" too many"),
    ("http { }", "no server of a stream block"),
    ("stream { server { listen 'x; } }", "a quoted word has no end"),
])
def test_bad_nginx(tmp_path, text, said):
    write(tmp_path, m_conf="listener 1883 127.0.0.1\n", n_conf=text)
    assert said in dry(tmp_path, "--nginx", tmp_path / "n.conf", code=2)[1]


def found(lines, verdict, text):
    return [x for x in lines if x["verdict"] == verdict and text in f"{x['where']}: {x['what']}: {x['note']}"]


def test_what_cannot_be_taken_is_said(tmp_path):
    write(tmp_path, m_conf="listener 1883\nmount_point x/\nallow_anonymous true\nconnection up\naddress a\n")
    lines, _ = dry(tmp_path, code=3)
    assert found(lines, "refused", "m.conf:2: mount_point")
    assert found(lines, "refused", "m.conf:4: connection") and found(lines, "refused", "m.conf:5: option of a bridge")
    assert found(lines, "changed", "only this machine may connect without a login")


def test_passwords_that_are_no_hashes(tmp_path):
    write(tmp_path, m_conf="listener 1883\npassword_file p\n", p="plain:text\nbad name:$7$101$c2FsdHNhbHQ=$AA==\n")
    lines, _ = dry(tmp_path, code=3)
    assert found(lines, "refused", "p:1: user plain: its password is not hashed")
    assert found(lines, "refused", "p:2: user bad name: this cannot be a device's name")


def test_bounds(tmp_path):
    write(tmp_path, m_conf="listener 1883 127.0.0.1\nmax_packet_size 20\nmax_queued_messages 0\nmax_keepalive 120\n"
                           "sys_interval 0\nmax_queued_bytes 0\nmessage_size_limit 0\n"
                           "persistent_client_expiration 2w\nmax_inflight_messages 20\nmax_connections -1\n")
    lines, _ = dry(tmp_path)
    assert found(lines, "changed", "max-packet = 128") and found(lines, "changed", "max-queued-messages = 1000000")
    assert found(lines, "taken", "max-keep-alive = 120s") and found(lines, "taken", "sys-interval = 0s")
    assert found(lines, "changed", "the default of max-queued-bytes") and found(lines, "taken", "max-inflight = 20")
    assert found(lines, "taken", "max-session-expiry = 336h") and found(lines, "changed", "default of max-payload")


def test_included_files(tmp_path):
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", a_conf="listener 1884 127.0.0.1\n", b_conf="max_connections 5\n", c_txt="nonsense\n")
    write(tmp_path, m_conf="allow_anonymous true\ninclude_dir d\n")
    lines, _ = dry(tmp_path)
    assert found(lines, "taken", "d/b.conf:1: max_connections") and found(lines, "taken", "bind = 127.0.0.1:1884")


def test_dynamic_security(make_gateway, tmp_path):
    salt, _, hashed = passwd_hash(tmp_path, "open sesame").rpartition("$")
    iterations, salt = salt.split("$")[2:4]
    write(tmp_path, m_conf="listener 1883 127.0.0.1\nplugin /usr/lib/mosquitto_dynamic_security.so\n"
                           "plugin_opt_config_file dyn.json\n",
          dyn_json=json.dumps({
              "clients": [{"username": "pump", "password": hashed, "salt": salt, "iterations": int(iterations),
                           "roles": [{"rolename": "sensor"}]}, {"username": "old", "disabled": True}],
              "groups": [{"groupname": "hall", "roles": [{"rolename": "reader"}], "clients": [{"username": "pump"}]}],
              "roles": [{"rolename": "sensor", "acls": [
                             {"acltype": "publishClientSend", "topic": "plant/%u/#", "priority": 3, "allow": True},
                             {"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": True}]},
                        {"rolename": "reader", "acls": [
                            {"acltype": "subscribePattern", "topic": "plant/#", "allow": True},
                            {"acltype": "subscribeLiteral", "topic": "hall/#", "allow": True},
                            {"acltype": "publishClientReceive", "topic": "plant/secret", "allow": False}]}],
              "defaultACLAccess": {"publishClientReceive": True}}))
    gw = make_gateway()
    with pytest.raises(CliError) as e:
        gw.cli("migrate", "--mosquitto", tmp_path / "m.conf", "--out", tmp_path / "out")
    assert e.value.code == 3 and "use the gatehouse command" in e.value.stdout
    pump = gw.json("device", "show", "pump")
    assert (pump["roles"], pump["groups"], pump["password"]) == (["reader", "sensor"], ["hall"], True)
    assert gw.json("device", "show", "old")["enabled"] is False
    rules = {(r["subject"], r["effect"], r["actions"][0], r["filter"], r["priority"]) for r in gw.json("acl", "list")}
    assert rules == {("role:sensor", "allow", "publish", "plant/${device}/#", 3),
                     ("role:reader", "allow", "subscribe", "plant/#", 0),
                     ("role:reader", "allow", "subscribe", "hall/#", 0),
                     ("role:reader", "deny", "receive", "plant/secret", 0), ("any", "allow", "receive", "#", -1000)}
    assert [r["filter"] for r in gw.json("acl", "list") if r["literal"]] == ["hall/#"]
    done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(gw.mqtt), "-u", "pump", "-P", "open sesame",
                           "-q", "1", "-t", "plant/pump/x", "-m", "x"], timeout=30)
    assert done.returncode == 0


def passwd_hash(folder, password):
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(folder / "one"), "x", password], check=True)
    return (folder / "one").read_text().strip().partition(":")[2]


SERVER = "listen 127.0.0.1:{port}{how}; proxy_pass 127.0.0.1:1883;"


@pytest.mark.parametrize("how, more, verdict, said", [
    ("", "allow 10.0.0.0/8; allow 192.0.2.1; deny all;", "taken", "allow-from = 10.0.0.0/8, 192.0.2.1"),
    ("", "deny 10.0.0.1; allow all;", "refused", "keep others out with nftables"),
    ("", "deny all; allow 10.0.0.0/8;", "refused", "keep others out with nftables"),
    ("", "allow all;", "refused", "keep others out with nftables"),
    ("", "ssl_preread on;", "refused", "ssl_preread"),
    ("", "proxy_timeout 1h;", "changed", "proxy_timeout"),
    (" proxy_protocol", "set_real_ip_from 192.0.2.0/24;", "taken", "proxy-from = 192.0.2.0/24"),
    (" proxy_protocol", "", "refused", "no set_real_ip_from says whom to believe"),
])
def test_directives_of_nginx(tmp_path, how, more, verdict, said):
    port = free_ports(1)[0]
    write(tmp_path, m_conf="listener 1883 127.0.0.1\n",
          n_conf=f"stream {{ server {{ {SERVER.format(port=port, how=how)} {more} }} }}")
    lines, _ = dry(tmp_path, "--nginx", tmp_path / "n.conf", code=3 if verdict == "refused" else 0)
    assert found(lines, verdict, said), lines
