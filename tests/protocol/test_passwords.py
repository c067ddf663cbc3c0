# SPDX-License-Identifier: Apache-2.0
"""Guessing passwords: slow, and nobody is kept out by it."""

import pytest

import mqtt
from gateway import wait_until
from mqtt import CONNACK, V311, V5
from told import PASSWORD, name

SETTINGS = ["store.password-tries=5"]
LISTENERS = ["password tls=off auth=password"]
ELSEWHERE, STRANGE = "127.0.0.2", "127.0.0.3"
BUSY = {V5: 0x89, V311: 3}
WRONG = {V5: 0x86, V311: 4}
TOO_MANY = "too many wrong passwords, or logins at the same time; try again later"
TRIES = 5  # of one address at one device, at once


@pytest.fixture
def device(gateway):
    who = name()
    gateway.cli("device", "add", who, "--password", input=PASSWORD + "\n")
    return who


@pytest.fixture
def ask(dial):
    """ask(user, password, source, version): what the CONNACK said."""
    def ask(user, password=PASSWORD, source="127.0.0.1", version=V5):
        c = dial(version, "password", source=source)
        c.send(mqtt.connect(name(), version, username=user, password=password))
        return c.expect(CONNACK).reason

    return ask


def figures(gateway):
    return gateway.json("status")["logins"]


def test_an_address_has_a_few_tries_at_a_device(gateway, ask, device, version, events):
    before = figures(gateway)["refused-source"]
    assert [ask(device, f"guess {i}", version=version) for i in range(TRIES)] == [WRONG[version]] * TRIES

    def once_more():
        assert ask(device, "guess", version=version) == BUSY[version]

    told = events.expect(once_more, "login.refused", actor=device, reason=TOO_MANY)
    assert told["address"].startswith("127.0.0.1:")
    assert figures(gateway)["refused-source"] > before
    # The right password is no exception, so that nobody can tell; from elsewhere it is right.
    assert ask(device, version=version) == BUSY[version]
    assert ask(device, source=ELSEWHERE, version=version) == 0
    # It was verified now: right from anywhere, at any time.
    assert ask(device, version=version) == 0


def test_a_flood_keeps_nobody_out(gateway, dial, ask, device):
    """Fifty guesses at other names and at this one are on their way; the right ones come through."""
    known = name()
    gateway.cli("device", "add", known, "--password", input=PASSWORD + "\n")
    assert ask(known) == 0
    before = figures(gateway)
    flood = [dial(V5, "password", source=STRANGE) for _ in range(50)]
    for i, c in enumerate(flood):
        c.send(mqtt.connect(name(), V5, username=device if i % 2 else f"nobody-{i}", password=f"guess {i}"))
    assert ask(known, source=STRANGE) == 0  # remembered: without a hash, even from there
    assert ask(device, source=ELSEWHERE) == 0
    reasons = [c.expect(CONNACK).reason for c in flood]
    assert set(reasons) == {WRONG[V5], BUSY[V5]}
    assert reasons.count(BUSY[V5]) >= 25 - TRIES - 2
    after = figures(gateway)
    assert after["remembered"] > before["remembered"] and after["wrong"] > before["wrong"]


def test_names_without_a_device_are_judged_alike(ask):
    nobody = name()
    assert [ask(nobody, "guess", source="127.0.0.9") for _ in range(TRIES + 1)] == [WRONG[V5]] * TRIES + [BUSY[V5]]


def test_a_source_that_was_right_may_err(gateway, ask, device):
    """An old password in a device, the new one set meanwhile: it has more tries than a stranger."""
    assert ask(device, source="127.0.0.8") == 0
    gateway.cli("device", "set", device, "--password", input="another " + PASSWORD + "\n")
    assert [ask(device, source="127.0.0.8") for _ in range(TRIES + 2)] == [WRONG[V5]] * (TRIES + 2)
    assert ask(device, "another " + PASSWORD, source="127.0.0.8") == 0


def test_metrics_count_them(gateway, ask, device):
    before = figures(gateway)
    assert ask(device, source="127.0.0.7") == 0
    assert ask(device, source="127.0.0.7") == 0
    now = wait_until(lambda: figures(gateway), what="figures")
    assert now["right"] == before["right"] + 1 and now["remembered"] == before["remembered"] + 1
