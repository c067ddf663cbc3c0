# SPDX-License-Identifier: Apache-2.0
"""What a release brings beside the programs: the list of components and the signed apt repository."""

import json
import os
import subprocess

import pytest

from gateway import TESTS, build

ROOT = TESTS.parent
PACKAGING = ROOT / "packaging"


def run(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


def sbom(**environment):
    done = run(PACKAGING / "sbom", "1.2.3", ROOT / "webui/package-lock.json", build() / "gatehoused",
               build() / "gatehouse", env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_list_of_components_names_every_library():
    found = json.loads(sbom(SOURCE_DATE_EPOCH="86400"))
    assert found["bomFormat"] == "CycloneDX" and found["specVersion"] == "1.5"
    assert found["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"
    assert found["metadata"]["component"]["version"] == "1.2.3"
    names = {(c["group"], c["name"]) for c in found["components"]}
    assert {("debian", n) for n in ("libc6", "libgnutls30", "libsqlite3-0", "libjansson4", "libseccomp2")} <= names
    assert any(name.startswith("libmicrohttpd") for group, name in names if group == "debian")
    with open(ROOT / "webui/package.json") as f:
        bundled = json.load(f)["dependencies"]
    assert {name for group, name in names if group == "npm"} == set(bundled)
    for component in found["components"]:
        name, version = component["purl"].split("?")[0].rsplit("@", 1)
        assert version and name.endswith("/" + component["name"])
        assert ":" not in version and "+" not in version


def test_the_list_of_components_is_reproducible():
    assert sbom(SOURCE_DATE_EPOCH="86400") == sbom(SOURCE_DATE_EPOCH="86400")


@pytest.fixture
def keyring(tmp_path):
    """The environment of a gpg that has one key, release@example.org."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    done = run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "release@example.org", "ed25519", "sign",
               env=environment)
    assert done.returncode == 0, done.stderr
    yield environment
    run("gpgconf", "--kill", "all", env=environment)


def package(folder, version, architecture="all"):
    tree = folder / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: sample\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Sample <s@example.org>\n"
        "Description: sample\n")
    file = folder / f"sample_{version}_{architecture}.deb"
    assert run("dpkg-deb", "--build", "--root-owner-group", tree, file).returncode == 0
    return file


def apt(folder, repository, *words):
    """apt with sources and state of its own; it trusts the key of the repository alone."""
    for name in ("lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d"):
        (folder / "apt" / name).mkdir(parents=True, exist_ok=True)
    (folder / "apt/status").touch()
    (folder / "apt/etc/sources.list.d/gatehouse.sources").write_text(
        f"Types: deb\nURIs: file:{repository}\nSuites: stable\nComponents: main\n"
        f"Signed-By: {repository}/gatehouse.asc\n")
    options = {"Dir::State": folder / "apt", "Dir::State::lists": folder / "apt/lists",
               "Dir::State::status": folder / "apt/status", "Dir::Cache": folder / "apt/cache",
               "Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": folder / "apt/etc/sources.list.d",
               "Dir::Etc::preferencesparts": folder / "apt/etc/preferences.d", "APT::Sandbox::User": "root"}
    return run(words[0], *[f"-o{k}={v}" for k, v in options.items()], *words[1:])


def test_apt_takes_packages_from_the_signed_repository(tmp_path, keyring):
    repository = tmp_path / "repository"
    for version in ("1.0", "1.1"):
        done = run(PACKAGING / "apt-repository", repository, "release@example.org", package(tmp_path, version),
                   env=keyring)
        assert done.returncode == 0, done.stderr
    done = apt(tmp_path, repository, "apt-get", "update")
    assert done.returncode == 0 and "W:" not in done.stderr, done.stderr
    assert "Candidate: 1.1" in apt(tmp_path, repository, "apt-cache", "policy", "sample").stdout
    assert apt(tmp_path, repository, "apt-cache", "madison", "sample").stdout.count("sample |") == 2

    # A changed index is not believed.
    release = repository / "dists/stable/InRelease"
    release.write_text(release.read_text().replace("Origin: Gatehouse", "Origin: Somebody"))
    done = apt(tmp_path, repository, "apt-get", "update")
    assert "BADSIG" in done.stderr or "not signed" in done.stderr or "invalid" in done.stderr.lower(), done.stderr


@pytest.mark.parametrize("what", ["no key", "no package"])
def test_a_repository_is_not_made_of_something_else(tmp_path, keyring, what):
    file = package(tmp_path, "1.0")
    key = "release@example.org"
    if what == "no key":
        key = "nobody@example.org"
    else:
        file.write_bytes(b"not a package")
    done = run(PACKAGING / "apt-repository", tmp_path / "repository", key, file, env=keyring)
    assert done.returncode == 1
    assert (key if what == "no key" else str(file)) in done.stderr
    assert not (tmp_path / "repository").exists()
