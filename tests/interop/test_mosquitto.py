# SPDX-License-Identifier: Apache-2.0
"""mosquitto_pub and mosquitto_sub."""

import json
import re
import subprocess
import threading

import pytest

from gateway import wait_until
from told import PASSWORD, ROBOT, name

VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5.0": "mqttv5"}
WAYS = ["tcp", "tls", "mtls"]


def words(way, version, *more, password=PASSWORD):
    """Options of both programs."""
    found = ["-h", "localhost", "-p", way.port, "-V", VERSIONS[version], "-i", name(), *more]
    for option, value in (("--cafile", way.ca), ("--cert", way.cert), ("--key", way.key)):
        found += [option, value] if value else []
    return [str(w) for w in found + (["-u", ROBOT, "-P", password] if way.login else [])]


def publish(way, version, *more, **login):
    return subprocess.run(["mosquitto_pub", *words(way, version, *more, **login)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30)


class Subscriber:
    """A mosquitto_sub with -d, whose lines are collected; entered when its SUBACK is there."""

    def __init__(self, way, version, *more):
        self.lines = []
        self.process = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", *words(way, version, *more)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        self.reader = threading.Thread(target=lambda: self.lines.extend(x.rstrip("\n") for x in self.process.stdout),
                                       daemon=True)

    def __enter__(self):
        self.reader.start()
        wait_until(lambda: any("Subscribed" in x for x in self.lines) or self.process.poll() is not None,
                   what="SUBACK")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        finally:
            self.process.kill()
        self.reader.join(20)

    def messages(self):
        """Without what -d tells."""
        return [x for x in self.lines if not re.match(r"Client |Subscribed |\(|$", x)]

    def finish(self):
        """After -C: waits for its end."""
        assert self.process.wait(20) == 0, self.lines
        self.reader.join(20)
        return self.messages()


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_round_trip(way, topic, kind, version, qos):
    w = way(kind)
    with Subscriber(w, version, "-t", f"{topic}/#", "-q", qos, "-C", 3, "-v") as s:
        for i in range(3):
            done = publish(w, version, "-t", f"{topic}/{i}", "-m", f"message {i}", "-q", qos)
            assert done.returncode == 0, done.stdout
        assert s.finish() == [f"{topic}/{i} message {i}" for i in range(3)]
        assert s.process.returncode == 0


@pytest.mark.parametrize("publisher", VERSIONS)
@pytest.mark.parametrize("subscriber", VERSIONS)
def test_versions_mix(way, topic, publisher, subscriber):
    with Subscriber(way("mtls"), subscriber, "-t", topic, "-q", 1, "-C", 1) as s:
        assert publish(way("tcp"), publisher, "-t", topic, "-m", "text", "-q", 1).returncode == 0
        assert s.finish() == ["text"]


@pytest.mark.parametrize("version", VERSIONS)
def test_many_lines(way, topic, version):
    w = way("mtls")
    with Subscriber(w, version, "-t", topic, "-q", 1, "-C", 500) as s:
        lines = "".join(f"{i}\n" for i in range(500))
        done = subprocess.run(["mosquitto_pub", *words(w, version, "-t", topic, "-q", "1", "-l")], input=lines,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        assert done.returncode == 0, done.stdout
        assert s.finish() == lines.split()


@pytest.mark.parametrize("kind", WAYS)
def test_large_file(way, topic, kind, tmp_path):
    w = way(kind)
    data = tmp_path / "data"
    data.write_bytes(bytes(range(33, 127)) * 9000)
    with Subscriber(w, "5.0", "-t", topic, "-q", 1, "-C", 1) as s:
        assert publish(w, "5.0", "-t", topic, "-f", data, "-q", 1).returncode == 0
        assert s.finish() == [data.read_text()]


def test_properties(way, topic):
    w = way("mtls")
    with Subscriber(w, "5.0", "-t", topic, "-q", 1, "-C", 1, "-F", "%j") as s:
        done = publish(w, "5.0", "-t", topic, "-m", "x", "-q", 1, "-D", "publish", "user-property", "colour", "blue",
                       "-D", "publish", "content-type", "text/plain", "-D", "publish", "response-topic", "r",
                       "-D", "publish", "correlation-data", "c", "-D", "publish", "message-expiry-interval", "100")
        assert done.returncode == 0, done.stdout
        told = json.loads(s.finish()[0])
    assert told["properties"]["content-type"] == "text/plain" and told["properties"]["response-topic"] == "r"
    assert told["payload"] == "x" and 90 <= told["properties"]["message-expiry-interval"] <= 100


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_session_is_kept(way, topic, version):
    w, who = way("mtls"), name()
    keep = ["-i", who, "-c", "-t", topic, "-q", 1]
    with Subscriber(w, version, *keep):
        pass
    for i in range(3):
        assert publish(w, version, "-t", topic, "-m", str(i), "-q", 1).returncode == 0
    with Subscriber(w, version, *keep, "-C", 3) as s:
        assert s.finish() == ["0", "1", "2"]


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_will(way, topic, version):
    w = way("tls")
    with Subscriber(w, version, "-t", f"{topic}/will", "-q", 1, "-C", 1) as s:
        with Subscriber(w, version, "-t", f"{topic}/x", "--will-topic", f"{topic}/will", "--will-payload", "gone",
                        "--will-qos", 1) as dying:
            dying.process.kill()
        assert s.finish() == ["gone"]


@pytest.mark.parametrize("version, says", [("3.1.1", "Connection Refused: bad user name or password"),
                                           ("5.0", "Bad User Name or Password")])
def test_wrong_password(way, topic, version, says):
    done = publish(way("tls"), version, "-t", topic, "-m", "x", password="wrong")
    assert done.returncode != 0 and says.lower() in done.stdout.lower(), done.stdout


def test_refused_filter(way):
    with Subscriber(way("mtls"), "5.0", "-t", "#") as s:
        wait_until(lambda: any("All subscription requests were denied" in x for x in s.lines), what="the denial")
        s.process.wait(20)  # by itself


def test_connect_script_of_the_bundle(gateway, topic):
    """What the README of a bundle tells people to do."""
    script = gateway.robot / "connect.sh"
    s = subprocess.Popen([script, "sub", topic, "-C", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def pub():
        done = subprocess.run([script, "pub", topic, "hello", "-i", name()], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)
        assert done.returncode == 0, done.stdout
        return s.poll() is not None

    wait_until(pub, what="the end of connect.sh sub -C 1")
    assert s.stdout.read() == f"{topic} hello\n" and s.wait() == 0
