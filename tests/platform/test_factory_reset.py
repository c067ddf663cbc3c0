# SPDX-License-Identifier: Apache-2.0
"""gatehouse factory-reset: nothing of the gateway is left, nothing else is touched, and only after a clear word."""

import os
import pathlib
import shlex
import socket
import subprocess

import pytest

from daemon import Daemon, free_ports
from gateway import build

OK, FAILED, USAGE, REFUSED, UNREACHABLE, NOT_FOUND, CONFLICT = range(7)
HOST = socket.gethostname()


def reset(state, *words, input=""):
    return subprocess.run([build() / "gatehouse", "factory-reset", "--state-dir", state, *words], input=input,
                          capture_output=True, text=True, timeout=60)


def files(folder):
    return {p: p.read_bytes() for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file()}


@pytest.fixture
def d():
    d = Daemon()
    d.start()
    d.await_ready()
    d.cli("device", "add", "pump", "--code")
    d.cli("config", "set", "broker.max-payload", "100K")
    d.cli("setup", "--admin", "ann", input="a long enough secret\n")
    yield d
    d.close()


def stop(d):
    assert d.stop() == 0
    d.forget_fds()


def test_the_next_start_finds_a_new_machine(d):
    root = (d.state / "pub" / "roots.pem").read_bytes()
    stop(d)
    done = reset(d.state, "--yes")
    assert done.returncode == OK and done.stderr == "" and "setup-code" in done.stdout
    assert os.listdir(d.state) == []
    d.start()
    d.await_ready()
    assert (d.state / "pub" / "roots.pem").read_bytes() != root
    assert d.cli("device", "list", "--json").stdout == "" and d.cli("audit", "list", "--json").stdout == ""
    assert "Setup code: " in d.cli("setup-code").stdout
    assert "default" in d.cli("config", "show", "broker.max-payload").stdout


@pytest.mark.parametrize("said", ["", "\n", "yes\n", HOST[:-1] + "\n", HOST + HOST + "\n"])
def test_another_word_than_the_name_changes_nothing(d, said):
    stop(d)
    before = files(d.state)
    done = reset(d.state, input=said)
    assert done.returncode == REFUSED and "nothing was changed" in done.stderr and HOST in done.stderr
    assert files(d.state) == before


def test_the_name_of_the_machine_is_the_word(d):
    stop(d)
    done = reset(d.state, input=HOST + "\n")
    assert done.returncode == OK and os.listdir(d.state) == []


def test_a_gateway_that_runs_is_not_touched(d):
    done = reset(d.state, "--yes")
    assert done.returncode == CONFLICT and "stop it first" in done.stderr
    assert (d.state / "vault" / "root.key").exists() and "pump" in d.cli("device", "list").stdout


def test_what_others_put_there_stays(d, tmp_path):
    stop(d)
    outside = tmp_path / "precious"
    outside.write_text("precious")
    (d.state / "notes.txt").write_text("mine")
    (d.state / "storeroom").mkdir()
    (d.state / "store" / "link").symlink_to(outside)
    (d.state / "vault.before-restore-2026").mkdir()
    (d.state / "vault.before-restore-2026" / "root.key").write_text("old")
    done = reset(d.state, "--yes")
    assert done.returncode == OK, done
    assert sorted(os.listdir(d.state)) == ["notes.txt", "storeroom"] and outside.read_text() == "precious"
    assert f"{d.state}/notes.txt is not the gateway's and stays" in done.stdout


def test_a_directory_without_a_gateway_is_refused(tmp_path):
    (tmp_path / "settings.conf").write_text("of another program")
    for folder in (tmp_path, tmp_path / "none"):
        done = reset(folder, "--yes")
        assert done.returncode == NOT_FOUND and str(folder) in done.stderr
    assert (tmp_path / "settings.conf").exists()


def test_the_socket_of_another_gateway_is_no_word_for_this_one(tmp_path):
    done = subprocess.run([build() / "gatehouse", "--socket", tmp_path / "s", "factory-reset", "--yes"],
                          capture_output=True, text=True)
    assert done.returncode == USAGE and "--state-dir" in done.stderr


def test_only_root_may(d):
    stop(d)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", build() / "gatehouse",
                           "factory-reset", "--yes", "--state-dir", d.state], capture_output=True, text=True)
    assert done.returncode == REFUSED and "only root" in done.stderr and (d.state / "vault" / "root.key").exists()


# Its places are those of the package, on disks that only this shell sees.
PACKAGE = """
set -e
mount -t tmpfs none /var/lib && mkdir /var/lib/gatehouse
mount -t tmpfs none /run && mkdir -p /run/systemd/system
mount -t tmpfs none {prefix}
mkdir -p {prefix}/etc/gatehouse {prefix}/share/gatehouse
echo '# shipped' >{prefix}/share/gatehouse/gatehouse.conf
printf "%s\\n" "[gateway]" "name = localhost" "[listener a]" "bind = 127.0.0.1:{a}" \\
	"[admin]" "bind = 127.0.0.1:{b}" "[enrol]" "bind = 127.0.0.1:{c}" \\
	>{prefix}/etc/gatehouse/gatehouse.conf
{daemon} --config {prefix}/etc/gatehouse/gatehouse.conf -o gateway.state-dir=/var/lib/gatehouse \\
	-o gateway.run-dir=/run/gatehouse -o gateway.group=root 2>/run/log &
gateway=$!
until {gatehouse} status >/dev/null 2>&1; do kill -0 $gateway; sleep 0.1; done
printf '#!/bin/sh\\necho "$@" >/run/asked\\nkill %d; while kill -0 %d 2>/dev/null; do sleep 0.1; done\\n' \\
	$gateway $gateway >{tmp}/systemctl
chmod 755 {tmp}/systemctl
PATH={tmp}:$PATH
# It is this shell's child: somebody has to take its end, so that systemctl sees it.
({gatehouse} factory-reset --yes --config >{tmp}/said 2>&1; echo $? >{tmp}/code) &
wait $gateway || true
wait
cp /run/asked {tmp}/asked
ls -A /var/lib/gatehouse >{tmp}/left
cp {prefix}/etc/gatehouse/gatehouse.conf {tmp}/conf
"""


def test_the_service_is_stopped_and_the_configuration_reset(tmp_path):
    a, b, c = free_ports(3)
    prefix = (build() / "config.log").read_text().split("\nprefix='")[1].split("'")[0]
    script = PACKAGE.format(prefix=prefix, a=a, b=b, c=c, tmp=shlex.quote(str(tmp_path)),
                            daemon=shlex.quote(str(build() / "gatehoused")),
                            gatehouse=shlex.quote(str(build() / "gatehouse")))
    done = subprocess.run(["unshare", "--mount", "bash", "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done
    said = (tmp_path / "said").read_text()
    assert (tmp_path / "code").read_text() == "0\n", said
    assert (tmp_path / "asked").read_text() == "stop gatehouse.service\n" and "was stopped" in said
    assert (tmp_path / "left").read_text() == "" and (tmp_path / "conf").read_text() == "# shipped\n"
