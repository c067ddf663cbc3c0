# SPDX-License-Identifier: Apache-2.0
"""What a bundle holds for other programs: run as it is where the program is here (those of npm in
tests/interop/test_bundle_examples.py), read by a parser of its language where not. And PKCS#12, in both forms."""
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

import mqtt
from gateway import CliError, wait_until

PASSPHRASE = "for the file"
NOT_RUN = ["telegraf.conf", "esp-idf.c", "arduino.ino", "tasmota.txt", "zigbee2mqtt.yaml", "home-assistant.txt"]


@pytest.fixture(scope="module")
def bundle(gateway):
    folder = gateway.bundle("pump-1")
    gateway.cli("acl", "allow", "device:pump-1", "all", "test/#")
    gateway.cli("acl", "allow", "device:pump-1", "all", "bridge/#")
    return folder


def run(*words, **options):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_place_is_filled(gateway, bundle):
    for path in (bundle / "examples").iterdir():
        text = path.read_text()
        for name in ("DEVICE", "HOST", "PORT", "EST", "DIR"):
            assert f"@{name}@" not in text, path
        assert "pump-1" in text, path
        assert ("Not run by the makers" in text) == (path.name in NOT_RUN), path
        if path.name != "renew.sh":
            assert str(gateway.mqtts) in text, path


def test_paho(bundle):
    assert run(sys.executable, bundle / "examples/paho-client.py", "test/paho", "hello") == "test/paho hello\n"


def test_renewal(gateway, bundle):
    before = (bundle / "device.crt").read_text(), (bundle / "device.key").read_text()
    assert "notAfter" in run(bundle / "examples/renew.sh")
    assert (bundle / "device.crt").read_text() != before[0] and (bundle / "device.key").read_text() != before[1]
    assert (bundle / "device.crt.old").read_text() == before[0]
    assert (bundle / "device.key").stat().st_mode & 0o777 == 0o600
    run(bundle / "connect.sh", "pub", "test/renewed", "x")
    assert len(gateway.json("cert", "list", "--device", "pump-1")) == 2


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_bridge(gateway, bundle, tmp_path):
    tmp_path.chmod(0o755)
    port = free_port()
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                    f"include_dir {tmp_path}/conf.d\n")
    (tmp_path / "conf.d").mkdir()
    shutil.copy(bundle / "examples/mosquitto-bridge.conf", tmp_path / "conf.d/bridge.conf")
    broker = subprocess.Popen(["mosquitto", "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: [c for c in gateway.json("client", "list", "--device", "pump-1") if c["subscriptions"]],
                   seconds=30, what="the bridge")
        there = gateway.bundle("listener")
        gateway.cli("acl", "allow", "device:listener", "all", "bridge/#")
        with mqtt.Client.tls(gateway.mqtts, ca=there / "ca.crt", cert=there / "device.crt",
                             key=there / "device.key") as client:
            client.connect("listener")
            client.subscribe("bridge/up")
            run("mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "bridge/up", "-m", "from there")
            assert client.message().payload == b"from there"
    finally:
        broker.terminate()
        broker.wait()


def test_what_a_parser_reads(gateway, bundle):
    plugin = tomllib.loads((bundle / "examples/telegraf.conf").read_text())["inputs"]["mqtt_consumer"][0]
    for name in ("tls_ca", "tls_cert", "tls_key"):
        assert pathlib.Path(plugin[name]).exists()
    text = (bundle / "examples/zigbee2mqtt.yaml").read_text()
    assert f"ca: {bundle.resolve()}/ca.crt" in text


def test_a_directory_that_would_break_quotes(gateway):
    folder = gateway.dir / 'a "quoted" $(place)'
    gateway.cli("device", "add", "quoted", "--bundle", folder)
    json.loads((folder / "examples/node-red.json").read_text())
    assert "/path/to/the/bundle" in (folder / "examples/telegraf.conf").read_text()
    gateway.cli("acl", "allow", "device:quoted", "all", "test/#")
    run(sys.executable, folder / "examples/paho-client.py", "test/q", "x")


def test_a_zip(gateway, tmp_path):
    folder, file = tmp_path / "b", tmp_path / "b.zip"
    gateway.cli("device", "add", "zipped", "--bundle", folder, "--zip", file)
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as z:
        assert z.testzip() is None
        assert {n.removeprefix("zipped/"): z.read(n) for n in z.namelist()} == {
            str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        modes = {i.filename: i.external_attr >> 16 & 0o777 for i in z.infolist()}
    assert modes["zipped/connect.sh"] == 0o755 and modes["zipped/device.key"] == 0o600
    with pytest.raises(CliError) as failed:
        gateway.cli("cert", "add", "zipped", "--bundle", tmp_path / "c", "--zip", file)
    assert "File exists" in failed.value.stderr and (tmp_path / "c/device.crt").exists()


# ---- PKCS#12


def test_pkcs12(gateway, tmp_path):
    folder = tmp_path / "modern"
    gateway.cli("device", "add", "p12-modern", "--bundle", folder, "--p12", input=PASSPHRASE + "\n")
    file = folder / "device.p12"
    assert file.stat().st_mode & 0o777 == 0o600
    key, own, others = pkcs12.load_key_and_certificates(file.read_bytes(), PASSPHRASE.encode())
    assert own.subject.rfc4514_string() == "CN=p12-modern"
    assert key.public_key().public_numbers() == own.public_key().public_numbers() and len(others) == 2
    info = subprocess.run(["openssl", "pkcs12", "-in", file, "-passin", f"pass:{PASSPHRASE}", "-info", "-noout"],
                          capture_output=True, text=True)
    assert info.returncode == 0 and "MAC: sha256" in info.stderr and info.stderr.count("AES-256-CBC") == 2
    assert subprocess.run(["openssl", "pkcs12", "-in", file, "-passin", "pass:other", "-noout"],
                          capture_output=True).returncode != 0
    # From the file alone to a connection.
    pem = tmp_path / "all.pem"
    pem.write_text(run("openssl", "pkcs12", "-in", file, "-passin", f"pass:{PASSPHRASE}", "-nodes"))
    with mqtt.Client.tls(gateway.mqtts, ca=folder / "ca.crt", cert=pem, key=pem) as client:
        client.connect("p12")


def test_pkcs12_in_the_old_form(gateway, tmp_path):
    folder = tmp_path / "legacy"
    gateway.cli("device", "add", "p12-legacy", "--bundle", folder, "--p12", "--legacy", input=PASSPHRASE + "\n")
    info = subprocess.run(["openssl", "pkcs12", "-legacy", "-in", folder / "device.p12", "-passin",
                           f"pass:{PASSPHRASE}", "-info", "-noout"], capture_output=True, text=True)
    assert info.returncode == 0, info.stderr
    assert "MAC: sha1" in info.stderr and info.stderr.count("3-KeyTripleDES-CBC") == 2


@pytest.mark.parametrize("typed", ["short\n", "with \x7f control\n"])
def test_a_passphrase_that_does_not_do(gateway, tmp_path, typed):
    with pytest.raises(CliError) as failed:
        gateway.cli("cert", "add", "pump-1", "--bundle", tmp_path / "b", "--p12", input=typed)
    assert failed.value.code in (1, 2)


def test_pkcs12_needs_the_key(gateway, tmp_path):
    with pytest.raises(CliError) as failed:
        gateway.cli("cert", "add", "pump-1", "--csr", tmp_path / "none", "--p12")
    assert failed.value.code == 2 and "--bundle" in failed.value.stderr


def test_who_renews_goes_along_with_a_rollover(make_gateway):
    """The script learns the new root before the old one ends."""
    gw = make_gateway()
    folder = gw.bundle("pump-1")
    gw.cli("acl", "allow", "device:pump-1", "publish", "#")
    for step in ("start", "switch"):
        gw.cli("ca", "rollover", step)
        wait_until(lambda: subprocess.run([folder / "examples/renew.sh"], capture_output=True).returncode == 0,
                   what="a renewal")
    gw.cli("ca", "rollover", "finish")
    wait_until(lambda: subprocess.run([folder / "connect.sh", "pub", "a/b", "x"], capture_output=True).returncode == 0,
               what="a connection under the new root alone")
