# SPDX-License-Identifier: Apache-2.0
"""The container's first process, without a container: with the real programs as the container's user, in a network
and over disks that only they see, with the configuration that is shipped."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from gateway import TESTS, build

OCI = TESTS.parent / "packaging" / "oci"
ENTRYPOINT = OCI / "entrypoint"
CONF = TESTS.parent / "packaging" / "conf" / "gatehouse.conf"
PASSWORD = "a long enough secret"
USER = ["setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]

# Each line of RUN is done by the user of the container.
SCRIPT = """
set -e
ip link set lo up
mkdir {tmp}/disk && mount -t tmpfs none {tmp}/disk && mkdir {tmp}/disk/upper {tmp}/disk/work
mount -t overlay overlay -o lowerdir=/etc,upperdir={tmp}/disk/upper,workdir={tmp}/disk/work /etc
mkdir -p /etc/gatehouse && cp {conf} /etc/gatehouse
mount -t tmpfs none /var/lib && mkdir /var/lib/gatehouse && chown 10001:10001 /var/lib/gatehouse
export PATH={build}:$PATH GATEHOUSE_SOCKET=/var/lib/gatehouse/run/control.sock
as_user() {{
	{user} "$@"
}}
start() {{
	{user} {entrypoint} >>{tmp}/log 2>&1 &
	pid=$!
	until as_user gatehouse status >/dev/null 2>&1; do kill -0 $pid; sleep 0.1; done
}}
stop() {{
	kill $pid
	wait $pid
}}
said() {{
	until grep -q "$1" {tmp}/log; do kill -0 $pid; sleep 0.1; done
}}
{run}
"""


@pytest.fixture
def place():
    """A folder that the container's user can reach, with its secrets."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-"))
    folder.chmod(0o755)
    for name, content in (("password", PASSWORD + "\n"), ("gatehouse-seal", "k" * 32)):
        path = folder / name
        path.write_text(content)
        path.chmod(0o600)
        os.chown(path, 10001, 10001)
    yield folder
    shutil.rmtree(folder)


def container(place, run, **env):
    places = {"tmp": place, "conf": CONF, "build": build(), "entrypoint": ENTRYPOINT, "user": " ".join(USER)}
    script = SCRIPT.format(run=run.format(**places), **places)
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script],
                          env={**os.environ, **{k: str(v) for k, v in env.items()}}, capture_output=True, text=True,
                          timeout=100)
    log = (place / "log").read_text() if (place / "log").exists() else ""
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{log}"
    return done.stdout, log


def test_the_first_administrator_comes_from_a_file(place):
    out, log = container(place, """
start; said "administrator ann was made"; stop
start; as_user gatehouse admin list; as_user gatehouse status; stop
""", GATEHOUSE_ADMIN="ann", GATEHOUSE_ADMIN_PASSWORD_FILE=place / "password")
    assert re.search(r"^ann +admin", out, re.M) and log.count("was made\n") == 1
    for port in (8883, 8443, 8444):
        assert f"*:{port}" in out
    assert PASSWORD not in log and "error" not in log


def test_without_one_it_tells_how_to_begin(place):
    out, log = container(place, 'start; said "setup-code"; as_user gatehouse setup-code; stop')
    assert "Setup code: " in out and "Setup code: " not in log


def test_settings_come_from_the_environment(place):
    out, _ = container(place, """
start; as_user gatehouse config show broker.max-payload; as_user gatehouse config show gateway.names; stop
""", GATEHOUSE_NAMES="gw.example.org, 192.0.2.7", GATEHOUSE_SET="broker.max-payload=100K\nlog.level=debug\n")
    assert re.search(r"^value +100K$", out, re.M) and "gw.example.org, 192.0.2.7" in out


def test_the_keys_are_sealed_with_what_is_outside_the_volume(place):
    out, _ = container(place, """
start; stop
ls /var/lib/gatehouse
! GATEHOUSE_SEAL_FILE= {user} {entrypoint} 2>/dev/null
echo refused without it
start; stop
""", GATEHOUSE_SEAL_FILE=place / "gatehouse-seal")
    assert "host.key" not in out.splitlines() and "refused without it" in out


@pytest.mark.parametrize("env, says", [
    ({"GATEHOUSE_ADMIN": "ann"}, "GATEHOUSE_ADMIN_PASSWORD_FILE="),
    ({"GATEHOUSE_ADMIN": "ann", "GATEHOUSE_ADMIN_PASSWORD_FILE": "/nonexistent"}, "cannot read it"),
    ({"GATEHOUSE_SEAL_FILE": "/nonexistent/gatehouse-seal"}, "cannot read it"),
    ({"GATEHOUSE_SEAL_FILE": "/etc/passwd"}, "must be named gatehouse-seal"),
    ({"GATEHOUSE_SET": "broker.max-payload 100K"}, "write section.key=value")])
def test_what_is_wrong_is_named(env, says):
    done = subprocess.run([*USER, ENTRYPOINT], env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True)
    assert done.returncode == 2 and says in done.stderr


def test_the_image_and_the_service_agree():
    image, service = (OCI / "Containerfile").read_text(), (OCI / "compose.yaml").read_text()
    assert "USER 10001:10001" in image and "chown -R 10001 secrets" in service
    for needed in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "network_mode: host"):
        assert needed in service
    entrypoint = ENTRYPOINT.read_text()
    for name in re.findall(r"GATEHOUSE_[A-Z_]+", service):
        assert name in entrypoint, name
