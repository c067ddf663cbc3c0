# SPDX-License-Identifier: Apache-2.0
"""Helpers for the tests of what operators look at: figures, round trips, clients, traces."""

import itertools

_numbers = itertools.count(1)


def name():
    """A client identifier that no other test has."""
    return f"c{next(_numbers)}"
