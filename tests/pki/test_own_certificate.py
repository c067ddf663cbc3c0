# SPDX-License-Identifier: Apache-2.0
"""A listener with a certificate and a key of its own: what is presented, replaced and refused."""

import os
import signal
import ssl

import pytest

from gateway import wait_until


def make_pair(run, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")


@pytest.fixture
def files(tmp_path, run):
    """files(CERTIFICATE, KEY): puts these two in place."""
    for name in ("one", "two"):
        make_pair(run, name)

    def put(certificate, key):
        for source, target in ((f"{certificate}.crt", "own.crt"), (f"{key}.key", "own.key")):
            (tmp_path / "new").write_bytes((tmp_path / source).read_bytes())
            (tmp_path / "new").chmod(0o600)
            (tmp_path / "new").rename(tmp_path / target)

    put("one", "one")
    return put


@pytest.fixture
def listener(tmp_path):
    return f"own tls=on auth=password certificate={tmp_path}/own.crt key={tmp_path}/own.key"


def presented(gw):
    try:
        return ssl.get_server_certificate(("127.0.0.1", gw.listeners["own"]), timeout=5)
    except OSError:
        return None


def test_a_new_pair_is_taken(make_gateway, files, listener, tmp_path):
    gw = make_gateway(listeners=[listener])
    assert presented(gw) == (tmp_path / "one.crt").read_text()
    files("two", "two")
    os.kill(gw.pid, signal.SIGHUP)
    wait_until(lambda: presented(gw) == (tmp_path / "two.crt").read_text(), what="the new certificate")


def test_a_wrong_key_changes_nothing(make_gateway, files, listener, tmp_path):
    gw = make_gateway(listeners=[listener])
    files("two", "one")
    os.kill(gw.pid, signal.SIGHUP)
    wait_until(lambda: "do not belong together" in gw.log_text(), what="the warning")
    assert presented(gw) == (tmp_path / "one.crt").read_text()
    files("two", "two")
    os.kill(gw.pid, signal.SIGHUP)
    wait_until(lambda: presented(gw) == (tmp_path / "two.crt").read_text(), what="the new certificate")


def test_no_start_with_a_wrong_key(make_gateway, files, listener):
    files("two", "one")
    with pytest.raises(RuntimeError, match="listener own: .*: its certificate and its key do not belong"):
        make_gateway(listeners=[listener])
