# SPDX-License-Identifier: Apache-2.0
"""Sixty megabytes for a client that never reads: the broker keeps what its setting says, no more."""

import os
import pathlib

import pytest

import mqtt
from gateway import Gateway, wait_until
from mqtt import V5
from told import OPEN, name

MB = 1 << 20
OUTPUT = 1 * MB
PIECE = 60000
PIECES = 60 * MB // PIECE


@pytest.fixture(scope="module")
def gateway():
    before = os.environ.get("ASAN_OPTIONS")
    # The address sanitizer would hold freed memory back.
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, [before, "quarantine_size_mb=1"]))
    try:
        with Gateway(set=["broker.max-output-bytes=1M", "broker.publish-bytes-per-device=0"], listeners=[OPEN]) as gw:
            gw.cli("acl", "allow", "any", "all", "#")
            yield gw
    finally:
        if before is None:
            del os.environ["ASAN_OPTIONS"]
        else:
            os.environ["ASAN_OPTIONS"] = before


def resident(gateway):
    """Bytes of memory that the broker has."""
    pages = pathlib.Path(f"/proc/{gateway.processes()['broker']}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def publish_all(publisher, topic, each=lambda: None):
    payload = b"x" * PIECE
    for i in range(PIECES):
        publisher.send(mqtt.publish(topic, payload, version=V5))
        each()
        if i % 50 == 49:
            publisher.ping()
    publisher.ping()


def dropped(gateway):
    return gateway.json("status")["counters"].get("messages.dropped.slow-reader", 0)


def test_memory_stays_within_the_setting(gateway, join, dial, topic, events):
    publisher = join(V5)
    reader = join(V5)
    reader.subscribe(topic)
    publish_all(publisher, topic, lambda: reader.message())  # what the broker needs for the work itself
    reader.unsubscribe(topic)

    slow = dial(V5, receive_buffer=4096)
    slow.connect(name())
    slow.subscribe(topic)
    before = resident(gateway)
    told = events.expect(lambda: publish_all(publisher, topic), "limit.reached", reason="max-output-bytes")
    grown = resident(gateway) - before
    assert grown < OUTPUT + 8 * MB, f"{grown >> 20} MiB more"
    assert told["value"] == OUTPUT and told["dropped"] >= 1
    # Nearly all of it: the queue, and what the kernel holds for the two sockets, is the rest.
    wait_until(lambda: dropped(gateway) > PIECES / 2, what="the dropped ones in the figures")
    counters = gateway.json("status")["counters"]
    assert counters["limits.refused.max-output-bytes"] == counters["messages.dropped.slow-reader"]
    # When it reads at last it gets what was kept, in whole messages, and is served again.
    slow.send(mqtt.pingreq())
    got = 0
    while (p := slow.receive()).kind == mqtt.PUBLISH:
        assert len(p.payload) == PIECE
        got += 1
    assert p.kind == mqtt.PINGRESP
    # The figures of the status are up to a second old.
    wait_until(lambda: got == PIECES - dropped(gateway), what="as many dropped ones as are missing")
