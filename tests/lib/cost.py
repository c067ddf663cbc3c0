# SPDX-License-Identifier: Apache-2.0
"""What processes cost, for benchmarks."""

import time


def cpu_us(pids):
    """CPU time that these processes have used, all threads, in microseconds."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids) / 1000


def memory_kb(pids):
    """Proportional set size of these processes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(x.split()[1]) for x in f if x.startswith("Pss:"))
    return total
