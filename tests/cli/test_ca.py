# SPDX-License-Identifier: Apache-2.0
"""The authority's everyday life: lock, audit, backup and restore, how its keys rest."""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from gateway import CliError, Gateway, build
from mqtt import V5, Client

PASSPHRASE = "correct horse battery\n"


@pytest.fixture
def gw(make_gateway):
    return make_gateway()


def connect(gw, bundle, client_id="c"):
    client = Client.tls(gw.mqtts, V5, ca=gw.root_ca, cert=bundle / "device.crt", key=bundle / "device.key")
    client.connect(client_id)
    return client


def refuses(gw, *words, code, says, **options):
    with pytest.raises(CliError) as failed:
        gw.cli(*words, **options)
    assert failed.value.code == code, failed.value
    assert says in failed.value.stderr, failed.value.stderr


def vault(gw):
    return gw.dir / "state/vault"


# ---- lock


def test_a_locked_authority_issues_nothing_and_serves(gw):
    bundle = gw.bundle("pump-1")
    with connect(gw, bundle) as live:
        gw.cli("ca", "lock", input=PASSPHRASE)
        refuses(gw, "device", "add", "pump-2", "--bundle", gw.dir / "no", code=4, says="gatehouse ca unlock")
        refuses(gw, "ca", "lock", code=6, says="locked already", input=PASSPHRASE)
        live.ping()
    connect(gw, bundle).close()
    assert gw.json("ca", "show")["locked"] is True
    # A lock outlives a restart: nobody but the passphrase opens it.
    gw.restart()
    connect(gw, bundle).close()
    refuses(gw, "cert", "add", "pump-1", "--bundle", gw.dir / "neither", code=4, says="gatehouse ca unlock")
    refuses(gw, "ca", "unlock", code=3, says="does not open", input="another\n")
    gw.cli("ca", "unlock", input=PASSPHRASE)
    refuses(gw, "ca", "unlock", code=6, says="not locked", input=PASSPHRASE)
    gw.bundle("pump-2")
    gw.restart()
    gw.bundle("pump-3")
    assert gw.json("ca", "show")["locked"] is False


@pytest.mark.parametrize("typed", ["short\n", "x" * 512 + "\n", "\n"])
def test_a_passphrase_has_bounds(gw, typed):
    refuses(gw, "ca", "lock", code=2, says="8 to 511 are allowed", input=typed)
    assert gw.json("ca", "show")["locked"] is False


def test_a_passphrase_that_cannot_be_typed(gw):
    for words in (["ca", "lock"], ["ca", "export-root", gw.dir / "root.p8"]):
        refuses(gw, *words, code=2, says="no controls", input="long \x7f enough\n")
    assert gw.json("ca", "show")["locked"] is False and not (gw.dir / "root.p8").exists()
    gw.bundle("pump-1")


def test_renewed_names_wait_for_the_lock(gw):
    """Server certificates stay usable while the authority is locked, and follow when it is not."""
    gw.cli("ca", "lock", input=PASSPHRASE)
    before = {c["fingerprint"] for c in gw.json("ca", "show")["server_certificates"]}
    gw.stop()
    gw.options += ["--set=gateway.names=gw.plant.example"]
    gw.start()
    assert {c["fingerprint"] for c in gw.json("ca", "show")["server_certificates"]} == before
    gw.cli("ca", "unlock", input=PASSPHRASE)
    after = {c["fingerprint"] for c in gw.json("ca", "show")["server_certificates"]}
    assert len(after) == len(before) and not after & before


def post(gw, path, token, body):
    """Status and answer of the interface, over HTTPS with an API token."""
    context = ssl.create_default_context(cafile=gw.root_ca)
    request = urllib.request.Request(f"https://127.0.0.1:{gw.admin}{path}", json.dumps(body).encode(), method="POST",
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


@pytest.mark.parametrize("path, body", [
    ("rollover", {"step": "start"}), ("lock", {"passphrase": "long enough"}), ("request", {}), ("copy", {}),
    ("forget-root", {"fingerprint": "0" * 64}), ("compromise", {"fingerprint": "0" * 64})])
def test_changes_are_made_on_the_gateway_itself(gateway, path, body):
    """Not over the network, whoever asks; and not by those who have no level on the control socket."""
    token = gateway.json("token", "add", f"robot-{path}", "admin")["token"]
    status, answer = post(gateway, f"/api/v1/ca/{path}", token, body)
    assert status == 403 and "on the gateway itself" in answer["detail"], answer
    show = gateway.json("ca", "show")
    assert show["rollover"] == "none" and show["locked"] is False and len(show["authorities"]) == 2


def test_a_stranger_on_the_machine_changes_nothing(gateway):
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    nobody = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", build() / "gatehouse",
                             "--socket", gateway.socket, "ca", "rollover", "start"], capture_output=True, text=True)
    assert nobody.returncode in (3, 4)
    assert gateway.json("ca", "show")["rollover"] == "none"


# ---- how keys rest


def test_keys_rest_sealed(gw):
    gw.bundle("pump-1")
    for key in vault(gw).glob("*.key"):
        text = key.read_text()
        assert text.startswith("-----BEGIN GATEHOUSE SEALED KEY-----"), key
    assert (gw.dir / "state/host.key").stat().st_mode & 0o777 == 0o600
    gw.stop()
    # The same directory on a host with another key is worth nothing, and says what to do.
    mine = gw.dir / "state/host.key"
    mine.rename(gw.dir / "kept")
    with pytest.raises(RuntimeError) as failed:
        gw.start()
    assert "sealed on another host" in str(failed.value) + gw.log_text()
    mine.write_bytes((gw.dir / "kept").read_bytes())
    gw.start()
    gw.bundle("pump-2")


def test_keys_that_were_plain_are_sealed(gw):
    """As from a version before, or a restored backup."""
    bundle = gw.bundle("pump-1")
    backup = gw.dir / "backup"
    gw.cli("ca", "backup", backup, input=PASSPHRASE)
    gw.stop()
    restore(gw, backup, gw.dir / "state", "--force")
    plain = (vault(gw) / "issuing.key").read_text()
    assert plain.startswith("-----BEGIN PRIVATE KEY-----")
    gw.start()
    assert (vault(gw) / "issuing.key").read_text().startswith("-----BEGIN GATEHOUSE SEALED KEY-----")
    connect(gw, bundle).close()


def test_the_credential_of_systemd_seals(gw, tmp_path, monkeypatch):
    gw.stop()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    secret = credentials / "gatehouse-seal"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o400)
    before = (vault(gw) / "issuing.key").read_text()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    gw.start()
    assert (vault(gw) / "issuing.key").read_text() != before  # sealed anew
    gw.stop()
    (gw.dir / "state/host.key").unlink()  # needed no more
    gw.start()
    gw.bundle("pump-1")
    assert not (gw.dir / "state/host.key").exists()


# ---- audit


def registry(gw):
    return sqlite3.connect(gw.dir / "state/store/registry.db")


def test_a_check_of_many(gw):
    for i in range(3):
        gw.bundle(f"pump-{i}")
    with_bundle = gw.json("ca", "check")
    assert with_bundle == {"checked": 2 + 6 + 3, "problems": 0}


@pytest.mark.parametrize("sql, says", [
    ("DELETE FROM cert WHERE name = 'pump-1'", "the registry does not know it"),
    ("UPDATE cert SET not_after = not_after + 1 WHERE name = 'pump-1'", "something else of it"),
    ("UPDATE cert SET der = zeroblob(300) WHERE name = 'pump-1'", "another certificate under this fingerprint"),
    ("INSERT INTO cert(fp, serial, ca_id, name, spki, der, profile, not_before, not_after, issued_at, issued_by, via, "
     "status) SELECT zeroblob(32), x'00', ca_id, 'ghost', x'00', x'00', 'device', 0, 9999999999, 0, '', 'cli', 0 "
     "FROM cert LIMIT 1", "the journal does not know"),
])
def test_a_check_finds_a_changed_registry(gw, sql, says):
    gw.bundle("pump-1")
    gw.stop()
    with contextlib.closing(registry(gw)) as db:
        db.execute(sql)
        db.commit()
    gw.start()
    done = gw.cli("ca", "check", check=False)
    assert done.returncode == 3 and says in done.stdout, done.stdout
    assert done.stdout.endswith("1 problem\n")


def test_a_check_finds_a_changed_journal(gw):
    gw.bundle("pump-1")
    journal = vault(gw) / "journal"
    data = bytearray(journal.read_bytes())
    data[len(data) - 100] ^= 1
    # While it runs: the vault reads the disk, not what it remembers.
    with open(journal, "r+b") as f:
        f.write(data)
    refuses(gw, "ca", "check", code=3, says="was changed")
    data[len(data) - 100] ^= 1
    with open(journal, "r+b") as f:
        f.write(data)
    gw.cli("ca", "check")
    with open(journal, "ab") as f:
        f.write(b"x")
    refuses(gw, "ca", "check", code=3, says="was changed")


# ---- backup


def restore(gw, backup, state, *options, typed=PASSPHRASE):
    done = subprocess.run([build() / "gatehouse", "ca", "restore", backup, "--state-dir", state, *options],
                          input=typed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_a_backup_brings_everything_back_on_another_machine(gw, make_gateway):
    bundle = gw.bundle("pump-1")
    gw.cli("ca", "rollover", "start")
    gw.cli("ca", "rollover", "switch")
    backup = gw.dir / "backup"
    said = gw.cli("ca", "backup", backup, input=PASSPHRASE).stdout
    assert "under your passphrase" in said
    assert not list((gw.dir / "state/store").glob("*.copy"))
    assert backup.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" not in backup.read_bytes() and b"pump-1" not in backup.read_bytes()
    refuses(gw, "ca", "backup", backup, code=2, says="name a new file", input=PASSPHRASE)
    show = gw.json("ca", "show")
    gw.stop()
    other = make_gateway(start=False)
    restore(other, backup, other.dir / "state")
    assert sorted(p.name for p in (other.dir / "state").iterdir()) == ["lock", "store", "vault"]
    other.start()
    anew = {"staples_until": None, "lists_until": None}  # those are made again at the start
    assert {**other.json("ca", "show"), **anew} == {**show, **anew}
    assert other.cli("ca", "check").stdout.endswith("0 problems\n")
    connect(other, bundle).close()
    other.bundle("pump-2")


def test_a_restore_overwrites_nothing_by_accident(gw):
    bundle = gw.bundle("pump-1")
    backup = gw.dir / "backup"
    gw.cli("ca", "backup", backup, input=PASSPHRASE)
    state = gw.dir / "state"
    refuses(gw, "ca", "restore", backup, "--state-dir", state, "--force", code=6, says="stop it first",
            input=PASSPHRASE)
    gw.bundle("pump-2")
    gw.stop()

    def attempt(*options, file=backup, typed=PASSPHRASE):
        return subprocess.run([build() / "gatehouse", "ca", "restore", file, "--state-dir", state, *options],
                              input=typed, capture_output=True, text=True)

    before = {p: p.read_bytes() for p in sorted(state.rglob("*")) if p.is_file()}
    done = attempt()
    assert done.returncode == 6 and "--force" in done.stderr
    done = attempt("--force", typed="another\n")
    assert done.returncode == 3 and "does not open" in done.stderr
    whole = backup.read_bytes()
    broken = gw.dir / "broken"
    for bad in (whole[:-1], whole[:200], whole[:60000] + bytes([whole[60000] ^ 1]) + whole[60001:], b"hello", b""):
        broken.write_bytes(bad)
        done = attempt("--force", file=broken)
        assert done.returncode == 1 and "nothing was changed" in done.stderr, (len(bad), done.stderr)
    assert {p: p.read_bytes() for p in sorted(state.rglob("*")) if p.is_file()} == before
    done = attempt("--force")
    assert done.returncode == 0, done.stderr
    kept = list(state.glob("vault.before-restore-*"))
    assert len(kept) == 1 and (kept[0] / "root.crt").exists()
    gw.start()
    assert [d["name"] for d in gw.json("device", "list")] == ["pump-1"]
    connect(gw, bundle).close()


def test_a_backup_that_is_older_than_the_journal(gw):
    """Certificates that the vault issued after the copy of the registry: the check names them."""
    backup = gw.dir / "backup"
    gw.cli("ca", "backup", backup, input=PASSPHRASE)
    gw.bundle("late")
    gw.stop()
    old = gw.dir / "old"
    restore(gw, backup, old)
    store = gw.dir / "state/store"
    uid, gid = store.stat().st_uid, store.stat().st_gid
    for file in store.glob("registry.db*"):
        file.unlink()
    shutil.copy(old / "store/registry.db", store)
    os.chown(store / "registry.db", uid, gid)
    gw.start()
    done = gw.cli("ca", "check", check=False)
    assert done.returncode == 3 and "an older backup" in done.stdout


def test_a_restore_into_an_empty_place_makes_it(tmp_path):
    with Gateway() as gw:
        backup = pathlib.Path(tmp_path / "b")
        gw.cli("ca", "backup", backup, input=PASSPHRASE)
        restore(gw, backup, tmp_path / "new")
        assert (tmp_path / "new/vault/root.crt").read_text() == (vault(gw) / "root.crt").read_text()


def test_a_restore_asks_where_the_state_of_another_gateway_is(gateway, tmp_path):
    """The default folder belongs to the gateway of the default socket."""
    backup = tmp_path / "gateway.bak"
    gateway.cli("ca", "backup", backup, input="correct horse battery\n")
    done = gateway.cli("ca", "restore", backup, input="correct horse battery\n", check=False)
    assert done.returncode == 2 and "--state-dir" in done.stderr and "restored" not in done.stdout
