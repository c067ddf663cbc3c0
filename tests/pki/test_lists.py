# SPDX-License-Identifier: Apache-2.0
"""Revocation lists of the gateway, read and judged by openssl and certtool."""

import datetime
import re
import sqlite3
import subprocess

import pytest

from gateway import CliError, wait_until
from pki import openssl

PASSPHRASE = "a good passphrase\n"
COUNTS = {"key-compromise": "Key Compromise", "superseded": "Superseded", "cessation": "Cessation Of Operation",
          "affiliation-changed": "Affiliation Changed", "unspecified": None}


def certificate(gw, device):
    return gw.json("device", "show", device)["certificates"][0]


def lists(gw):
    done = gw.json("ca", "crl")
    return done if isinstance(done, list) else [done]


def list_after(gw, number):
    """The list that follows, and holds what happened before this call."""
    return wait_until(lambda: next((x for x in lists(gw) if x["number"] > number), None), what="a new list")


def first_list(gw):
    def there():
        try:
            return lists(gw)[0]
        except CliError as e:
            assert e.code == 4 and "no revocation list has been made yet" in e.stderr
            return None

    return wait_until(there, what="the first list")


def authorities(gw, tmp_path):
    """Files with the root and the issuing certificate."""
    files = []
    for kind in ("root", "issuing"):
        path = tmp_path / f"{kind}.pem"
        path.write_text(next(a["pem"] for a in gw.json("ca", "show")["authorities"] if a["kind"] == kind))
        files.append(path)
    return files


@pytest.fixture(scope="module")
def revoked(gateway):
    """{reason: bundle} of revoked devices, and one that is good."""
    number = first_list(gateway)["number"]
    bundles = {reason: gateway.bundle(f"pump-{reason}") for reason in COUNTS}
    bundles["good"] = gateway.bundle("pump-good")
    for reason in COUNTS:
        gateway.cli("cert", "revoke", "--device", f"pump-{reason}", "--reason", reason)
    wait_until(lambda: first_list(gateway)["entries"] == len(COUNTS), what="the list with all of them")
    assert first_list(gateway)["number"] > number
    return bundles


def test_openssl_reads_it(gateway, revoked, tmp_path):
    root, issuing = authorities(gateway, tmp_path)
    said = gateway.cli("ca", "crl", "--out", tmp_path / "list.pem").stdout
    assert f"{len(COUNTS)} revoked" in said and "written to" in said
    text = openssl("crl", "-in", tmp_path / "list.pem", "-noout", "-text", "-CAfile", issuing)
    done = subprocess.run(["openssl", "crl", "-in", str(tmp_path / "list.pem"), "-noout", "-CAfile", str(issuing)],
                          stderr=subprocess.PIPE, text=True)
    assert "verify OK" in done.stderr
    assert "Version 2" in text and "X509v3 CRL Number" in text and "X509v3 Authority Key Identifier" in text
    for reason, words in COUNTS.items():
        serial = certificate(gateway, f"pump-{reason}")["serial"].upper()
        entry = text[text.index(f"Serial Number: {serial}"):].split("Serial Number:")[1]
        assert words is None or words in entry, entry


def test_openssl_verifies_with_it(gateway, revoked, tmp_path):
    root, issuing = authorities(gateway, tmp_path)
    gateway.cli("ca", "crl", "--out", tmp_path / "list.pem")

    def verify(bundle):
        leaf = tmp_path / "leaf.pem"
        leaf.write_text(openssl("x509", "-in", bundle / "device.crt"))
        return subprocess.run(["openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", str(root), "-untrusted",
                               str(issuing), "-CRLfile", str(tmp_path / "list.pem"), str(leaf)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

    assert verify(revoked["good"]).strip().endswith("OK")
    for reason in COUNTS:
        assert "certificate revoked" in verify(revoked[reason])


def test_certtool_reads_it(gateway, revoked, tmp_path):
    root, issuing = authorities(gateway, tmp_path)
    gateway.cli("ca", "crl", "--out", tmp_path / "list.pem")
    done = subprocess.run(["certtool", "--verify-crl", "--load-ca-certificate", str(issuing), "--infile",
                           str(tmp_path / "list.pem")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    text = subprocess.run(["certtool", "--crl-info", "--infile", str(tmp_path / "list.pem")], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    assert f"Revoked certificates ({len(COUNTS)})" in text


def test_hold_and_release_on_the_list(gateway, revoked, tmp_path):
    fp = certificate(gateway, "pump-good")["fingerprint"]
    number = first_list(gateway)["number"]
    gateway.cli("cert", "hold", fp)
    held = list_after(gateway, number)
    (tmp_path / "held.pem").write_text(held["pem"])
    assert "Certificate Hold" in openssl("crl", "-in", tmp_path / "held.pem", "-noout", "-text")
    gateway.cli("cert", "release", fp)
    after = list_after(gateway, held["number"])
    assert after["entries"] == held["entries"] - 1


def test_a_list_outlives_a_restart(make_gateway):
    gw = make_gateway()
    first = first_list(gw)
    gw.bundle("pump-1")
    gw.cli("cert", "revoke", "--device", "pump-1")
    before = list_after(gw, first["number"])
    gw.restart()
    assert first_list(gw)["number"] == before["number"]


def test_two_authorities(make_gateway, tmp_path):
    """During a rollover each has its list, and each answers for its own by OCSP."""
    gw = make_gateway()
    bundles = {"old": gw.bundle("old")}
    gw.cli("ca", "rollover", "start")
    gw.cli("ca", "rollover", "switch")
    bundles["new"] = gw.bundle("new")
    for name in bundles:
        gw.cli("cert", "revoke", "--device", name)
    # On the old one are the server certificates as well that the switch replaced.
    wait_until(lambda: [x["entries"] for x in lists(gw)] == [1, 1 + 6], what="both lists")
    known = [a for a in gw.json("ca", "show")["authorities"] if a["kind"] == "issuing"]
    assert {x["name"][:16] for x in lists(gw)} == {a["fingerprint"][:16] for a in known}
    gw.cli("ca", "crl", "--out", tmp_path / "all.pem")
    roots = tmp_path / "roots.pem"
    roots.write_text("".join(a["pem"] for a in gw.json("ca", "show")["authorities"] if a["kind"] == "root"))
    issuing = tmp_path / "issuing.pem"
    issuing.write_text("".join(a["pem"] for a in known))
    for bundle in bundles.values():
        leaf = tmp_path / "leaf.pem"
        leaf.write_text(openssl("x509", "-in", bundle / "device.crt"))
        said = subprocess.run(["openssl", "verify", "-crl_check", "-CAfile", str(roots), "-untrusted", str(issuing),
                               "-CRLfile", str(tmp_path / "all.pem"), str(leaf)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        assert "certificate revoked" in said
        of_issuer = tmp_path / "one.pem"
        of_issuer.write_text(next(a["pem"] for a in known if signed(a, leaf, tmp_path)))
        said = subprocess.run(["openssl", "ocsp", "-issuer", str(of_issuer), "-cert", str(leaf), "-url",
                               f"https://localhost:{gw.enrol}/ocsp", "-CAfile", str(roots), "-no_nonce"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        assert "Response verify OK" in said and ": revoked" in said, said


def signed(authority, leaf, tmp_path):
    (tmp_path / "candidate.pem").write_text(authority["pem"])
    return subprocess.run(["openssl", "verify", "-partial_chain", "-CAfile", str(tmp_path / "candidate.pem"),
                           str(leaf)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).returncode == 0


def days(text):
    """From now on."""
    then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (then - datetime.datetime.now(datetime.timezone.utc)) / datetime.timedelta(days=1)


def test_lists_for_the_time_of_a_lock(make_gateway):
    """They are made before the key is away: with all that was revoked until then, and good for a month."""
    gw = make_gateway()
    first = first_list(gw)
    gw.bundle("pump-1")
    gw.bundle("pump-2")
    gw.cli("cert", "revoke", "--device", "pump-1")
    said = gw.cli("ca", "lock", input=PASSPHRASE + PASSPHRASE).stdout
    made = lists(gw)[0]
    assert made["number"] > first["number"] and made["entries"] == 1 and 29 < days(made["next_update"]) <= 30
    assert 6 < days(first["next_update"]) <= 7
    show = gw.json("ca", "show")
    assert show["lists_until"] == made["next_update"] and 29 < days(show["staples_until"]) <= 30
    assert f"revocation lists are good until {made['next_update']}" in said and show["staples_until"] in said
    gw.cli("cert", "revoke", "--device", "pump-2")
    gw.cli("ca", "unlock", input=PASSPHRASE)
    after = list_after(gw, made["number"])
    assert after["entries"] == 2 and 6 < days(after["next_update"]) <= 7
    wait_until(lambda: days(gw.json("ca", "show")["staples_until"]) < 5, what="staples as ever")
    assert "no new revocation list" not in gw.log_text()


def test_the_end_of_the_lists_of_a_lock_is_told(make_gateway):
    gw = make_gateway()
    first_list(gw)
    gw.cli("ca", "lock", input=PASSPHRASE + PASSPHRASE)
    gw.stop()
    with sqlite3.connect(f"{gw.state}/store/registry.db") as db:
        db.execute("UPDATE crl SET next_update = unixepoch() + 4 * 86400")
    db.close()
    gw.start()
    event = wait_until(lambda: gw.json("event", "list", "--name", "ca.lists-ending"), what="the event")[0]
    assert event["severity"] == "warning" and "gatehouse ca unlock" in event["reason"]
    assert event["detail"]["next_update"] == lists(gw)[0]["next_update"]


def test_the_name_is_the_authority(gateway):
    issuing = next(a for a in gateway.json("ca", "show")["authorities"] if a["kind"] == "issuing")
    assert first_list(gateway)["name"] == f"{issuing['fingerprint'][:16]}.crl"
    assert re.fullmatch(r"Gatehouse Issuing CA [0-9a-f]{6}", first_list(gateway)["authority"])
