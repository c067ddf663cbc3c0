# SPDX-License-Identifier: Apache-2.0
"""What every suite above unit level shares: private gateways, and their logs beside a failure."""

import pytest

from gateway import Gateway

LOG_LINES = 60


@pytest.fixture(scope="module")
def gateway():
    """One gateway with the default listeners for all tests of a file."""
    with Gateway() as gw:
        yield gw


@pytest.fixture
def make_gateway():
    """make_gateway(set=[…], listeners=[…]): as many as a test needs; stopped when it ends."""
    made = []

    def make(**options):
        made.append(Gateway(**options))
        return made[-1]

    yield make
    errors = []
    for gw in made:
        try:
            gw.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.failed:
        for gw in Gateway.live:
            tail = "\n".join(gw.log_text().splitlines()[-LOG_LINES:])
            report.sections.append((f"log of the gateway in {gw.dir}", tail))
