# SPDX-License-Identifier: Apache-2.0
"""gatehouse enrol csv: codes and bundles for a table of devices; what is wrong in the table is said by line."""

import csv
import io
import os
import stat
import subprocess

import pytest

from gateway import build
from mqtt import V5, Client

USAGE, NOT_FOUND, CONFLICT = 2, 5, 6


def write(folder, text, name="devices.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_codes(gateway, tmp_path):
    gateway.cli("role", "add", "meter")
    table = write(tmp_path, "name,kind,group,role,profile,note\n"
                            "m-1,meter,north cellar,meter,manual,\"first, and best\"\n"
                            "\n"
                            "m-2,,,,,\n")
    done = gateway.cli("enrol", "csv", table, "--ttl", "7d")
    assert done.stderr == "gatehouse: 2 of 2 lines done\n"
    made = rows(done.stdout)
    assert [(r["name"], r["profile"], len(r["code"])) for r in made] == [("m-1", "manual", 35), ("m-2", "device", 35)]
    listed = {c["name"]: c for c in gateway.json("code", "list")}
    assert (listed["m-1"]["groups"], listed["m-1"]["roles"]) == (["north", "cellar"], ["meter"])
    assert (listed["m-1"]["kind"], listed["m-1"]["note"]) == ("meter", "first, and best")
    assert listed["m-2"]["state"] == "valid" and listed["m-2"]["groups"] == []
    assert gateway.cli("device", "list", "--match", "m-").stdout == ""


def test_codes_on_a_terminal_stay_whole_lines(gateway, tmp_path):
    master, slave = os.openpty()
    table = write(tmp_path, "name\ntty-1\ntty-2\n")
    done = subprocess.run([build() / "gatehouse", "--socket", gateway.socket, "enrol", "csv", table], stdout=slave,
                          stderr=slave, timeout=60)
    os.close(slave)
    seen = os.read(master, 4000).decode().split("\r\n")
    os.close(master)
    assert done.returncode == 0 and [x.split(",")[0] for x in seen] == ["name", "tty-1", "tty-2",
                                                                       "gatehouse: 2 of 2 lines done", ""]


def test_a_table_again(gateway, tmp_path):
    table = write(tmp_path, "name\nagain-1\nagain-2\n")
    gateway.cli("enrol", "csv", table)
    done = gateway.cli("enrol", "csv", table, "--keep")
    assert done.stderr == "gatehouse: 2 of 2 lines done\n"
    done = gateway.cli("enrol", "csv", table)
    assert done.stderr == "gatehouse: 2 of 2 lines done\ngatehouse: 4 older codes for these names no longer count\n"
    valid = [c["name"] for c in gateway.json("code", "list") if c["state"] == "valid"]
    assert sorted(n for n in valid if n.startswith("again-")) == ["again-1", "again-2"]


def test_codes_into_a_file(gateway, tmp_path):
    table = write(tmp_path, "name\nf-1\n")
    out = tmp_path / "codes.csv"
    assert gateway.cli("enrol", "csv", table, "--out", out).stdout == ""
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [r["name"] for r in rows(out.read_text())] == ["f-1"]
    done = gateway.cli("enrol", "csv", table, "--out", out, check=False)
    assert done.returncode == CONFLICT and "File exists" in done.stderr


def test_forms_of_spreadsheets(gateway, tmp_path):
    table = write(tmp_path, b"\xef\xbb\xbfname;kind\r\n s-1 ;\"a \"\"b\"\"\"\r\ns-2;\"two\nlines\"\r\n")
    assert [r["name"] for r in rows(gateway.cli("enrol", "csv", table).stdout)] == ["s-1", "s-2"]
    listed = {c["name"]: c["kind"] for c in gateway.json("code", "list")}
    assert listed["s-1"] == 'a "b"' and listed["s-2"] == "two\nlines"


def test_bundles(gateway, tmp_path):
    table = write(tmp_path, "name,group\nb-1,north\nb-2,north\n")
    folder = tmp_path / "bundles"
    assert gateway.cli("enrol", "csv", table, "--bundles", folder).stderr == "gatehouse: 2 of 2 lines done\n"
    assert {p.name for p in folder.iterdir()} == {"b-1", "b-2"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    client = Client.tls(gateway.mqtts, V5, bundle=folder / "b-2")
    client.connect("b-2")
    client.close()
    assert gateway.json("device", "show", "b-1")["groups"] == ["north"]


def test_a_refused_line_changes_nothing_and_stops_nothing(gateway, tmp_path):
    gateway.cli("device", "add", "r-2")
    folder = tmp_path / "bundles"
    table = write(tmp_path, "name,role\nr-1,\nr-2,\nr-3,nobody\nr 4,\nr-5,\n")
    done = gateway.cli("enrol", "csv", table, "--bundles", folder, check=False)
    assert done.returncode == USAGE  # of the last line that failed
    assert 'gatehouse: line 3: there is a device "r-2" already' in done.stderr
    assert 'gatehouse: line 4: there is no role "nobody"' in done.stderr
    assert "line 5: " in done.stderr
    assert done.stderr.endswith("gatehouse: 2 of 5 lines done; the others changed nothing\n")
    assert {p.name for p in folder.iterdir()} == {"r-1", "r-5"}
    assert {d["name"] for d in gateway.json("device", "list", "--match", "r-")} == {"r-1", "r-2", "r-5"}


@pytest.mark.parametrize("text, says", [
    ("", "the file is empty"),
    ("name\n", "no device behind the titles"),
    ("kind\nx\n", "the first line must have the titles"),
    ("name,colour\nx,red\n", 'line 1: there is no column "colour"'),
    ("name\nq-1\n\nq-1\n", 'line 4: "q-1" is in line 2 already'),
    ("name,kind\nq-1,a,b\n", "line 2: it has more fields"),
    ("name,kind\n,a\n", "line 2: the name is missing"),
    ('name,kind\nq-1,"open\n', "line 2: the quotes around a field are not closed"),
    ('name,kind\nq-1,"a"b\n', "line 2: the quotes"),
    (b"name,kind\nq-1,\xff\n", "line 2: a field is not text in UTF-8"),
])
def test_a_wrong_table_makes_nothing(gateway, tmp_path, text, says):
    before = len(gateway.json("code", "list"))
    done = gateway.cli("enrol", "csv", write(tmp_path, text), check=False)
    assert done.returncode == USAGE and says in done.stderr and done.stdout == "", done
    assert len(gateway.json("code", "list")) == before


def test_options_that_do_not_fit(gateway, tmp_path):
    table = write(tmp_path, "name,profile\no-1,device\n")
    for words in (["--bundles", tmp_path / "b", "--ttl", "1h"], ["--bundles", tmp_path / "b"],
                  ["--host", "a b"]):
        done = gateway.cli("enrol", "csv", table, *words, check=False)
        assert done.returncode == USAGE and not (tmp_path / "b").exists(), done
    assert gateway.cli("enrol", "csv", tmp_path / "nothing", check=False).returncode == USAGE


def test_many(gateway, tmp_path):
    table = write(tmp_path, "name\n" + "".join(f"many-{i}\n" for i in range(300)))
    made = rows(gateway.cli("enrol", "csv", table).stdout)
    assert len({r["code"] for r in made}) == 300


def test_codes_for_the_devices_that_are_there(gateway, tmp_path):
    table = write(tmp_path, "name,group\n" + "".join(f"e-{i},emergency\n" for i in range(120)))
    gateway.cli("enrol", "csv", table, "--bundles", tmp_path / "bundles")
    out = tmp_path / "codes.csv"
    done = gateway.cli("enrol", "devices", "--group", "emergency", "--ttl", "30d", "--profile", "manual", "--out", out)
    assert done.stdout == "" and done.stderr == "gatehouse: 120 of 120 lines done\n"
    made = rows(out.read_text())
    assert {r["name"] for r in made} == {f"e-{i}" for i in range(120)}
    assert len({r["code"] for r in made}) == 120 and {r["profile"] for r in made} == {"manual"}
    done = gateway.cli("enrol", "devices", "--match", "no such device", check=False)
    assert done.returncode == NOT_FOUND and done.stderr == "none\n"


# -- device import

def test_devices_with_passwords_and_codes(gateway, tmp_path):
    gateway.cli("role", "add", "importer")
    table = write(tmp_path, "name,kind,groups,roles,note,password,code\n"
                            "i-1,meter,north cellar,importer,\"first, and best\",a long password,\n"
                            "i-2,,,,,,yes\n"
                            "i-3,,,,,,no\n")
    done = gateway.cli("device", "import", table, "--ttl", "7d")
    assert done.stderr == "gatehouse: 3 of 3 lines done\n"
    made = rows(done.stdout)
    assert [(r["name"], len(r["code"])) for r in made] == [("i-2", 35)]
    one = gateway.json("device", "show", "i-1")
    assert (one["kind"], one["note"], one["roles"]) == ("meter", "first, and best", ["importer"])
    assert sorted(one["groups"]) == ["cellar", "north"] and one["password"] is True
    assert gateway.json("device", "show", "i-3")["password"] is False
    with Client.tls(gateway.mqtts, V5, ca=gateway.root_ca) as client:
        client.connect("i-1", username="i-1", password=b"a long password")


def test_devices_from_standard_input(gateway):
    done = gateway.cli("device", "import", "-", input="name,group\npipe-1,piped\npipe-2,piped\n")
    assert done.stdout == "" and done.stderr == "gatehouse: 2 of 2 lines done\n"
    assert [d["name"] for d in gateway.json("device", "list", "--group", "piped")] == ["pipe-1", "pipe-2"]
    again = gateway.cli("device", "import", "-", input="name\npipe-2\npipe-3\n", check=False)
    assert again.returncode == CONFLICT and 'line 2: there is a device "pipe-2" already' in again.stderr
    assert again.stderr.endswith("gatehouse: 1 of 2 lines done; the others changed nothing\n")


def test_the_list_of_the_browser_comes_back_in(gateway):
    """What it only shows is left out, and that is said."""
    done = gateway.cli("device", "import", "-", input="name,kind,enabled,last_seen,added\nback-1,pump,true,,2026\n")
    assert "left out: enabled, last_seen, added" in done.stderr
    assert gateway.json("device", "show", "back-1")["kind"] == "pump"


def test_a_table_of_the_browser(gateway):
    done = gateway.cli("device", "import", "-", input="name,certificate,password\nweb-1,code,\nweb-2,no,a long one\n")
    assert [r["name"] for r in rows(done.stdout)] == ["web-1"]
    assert gateway.json("device", "show", "web-2")["password"] is True


@pytest.mark.parametrize("words, text, says", [
    (("device", "import"), "name,profile\nx,device\n", 'the column "profile" is for codes (enrol csv), not'),
    (("device", "import"), "name,colour\nx,red\n", "known are name, kind, groups, roles, note, password, code"),
    (("device", "import"), "name,code\nx,maybe\n", 'line 2: the column "code" says whether a code is made: yes or no'),
    (("enrol", "csv"), "name,password\nx,secret word\n", 'the column "password" is for device import, not for codes'),
    (("enrol", "csv"), "name,colour\nx,red\n", "known are name, kind, groups, roles, note, profile, network"),
])
def test_columns_that_are_for_something_else(gateway, words, text, says):
    done = gateway.cli(*words, "-", input=text, check=False)
    assert done.returncode == USAGE and says in done.stderr, done
    assert gateway.cli("device", "show", "x", check=False).returncode == NOT_FOUND
