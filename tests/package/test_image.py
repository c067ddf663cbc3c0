# SPDX-License-Identifier: Apache-2.0
"""The image of packaging/oci, built of the package and run: one user who is not root, a root of the file system that
this user cannot write, the sandboxes of the processes, and a health check that tells the truth.

It needs the network of this machine, which the tests of test_machine.py leave: by its name it comes before them."""

import json
import os
import signal
import subprocess

import pytest

from gateway import TESTS, wait_until
from machine import call, folder, plain_environment

IMAGE = "localhost/gatehouse-tested"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def buildah(deb):
    """The command line of a buildah that has the image."""
    place = folder() / "images"
    call(TESTS.parent / "packaging/oci/build", deb, IMAGE, env=plain_environment(STORAGE=str(place)))
    return ["buildah", "--storage-driver", "vfs", "--root", str(place / "storage"), "--runroot", str(place / "run")]


@pytest.fixture
def container(buildah):
    name = call(*buildah, "from", IMAGE).strip()
    yield name
    call(*buildah, "rm", name)


def inside(buildah, container, *words):
    return subprocess.run([*buildah, "run", "--isolation", "chroot", container, "--", *words], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)


def test_the_image_says_how_it_is_to_be_run(buildah):
    image = json.loads(call(*buildah, "inspect", "--type", "image", IMAGE))["Docker"]["config"]
    assert image["User"] == "10001:10001"
    assert set(image["ExposedPorts"]) == {"8883/tcp", "8443/tcp", "8444/tcp"}
    assert list(image["Volumes"]) == ["/var/lib/gatehouse"]
    assert image["Healthcheck"]["Test"] == ["CMD", "gatehouse", "status", "--json"]
    assert image["Entrypoint"] == ["/usr/libexec/gatehouse/entrypoint"]


def test_all_of_it_serves_without_root(buildah, container):
    health = ("gatehouse", "status", "--json")
    assert inside(buildah, container, *health).returncode != 0
    # In a network of its own: the ports of the image are not those of this machine.
    run = subprocess.Popen(["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *buildah, "run",
                            "--isolation", "chroot", container, "--", "/usr/libexec/gatehouse/entrypoint"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           start_new_session=True)
    try:
        wait_until(lambda: inside(buildah, container, *health).returncode == 0 or run.poll() is not None, 120)
        assert run.poll() is None, run.stdout.read()
        status = json.loads(inside(buildah, container, *health).stdout)
        assert {p["state"] for p in status["processes"]} == {"serving"}
        assert inside(buildah, container, "id", "-u").stdout.strip() == "10001"
        assert inside(buildah, container, "touch", "/usr/bin/x").returncode != 0
    finally:
        os.killpg(run.pid, signal.SIGTERM)
        run.communicate(timeout=60)
