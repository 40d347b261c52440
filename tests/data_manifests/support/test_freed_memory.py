"""Memory of large arrays inside and after `freed_memory_returned`."""

from __future__ import annotations

import platform
import subprocess
import sys

import pyarrow as pa
import pytest

from data_manifests.support.freed_memory import freed_memory_returned

# Arrays of 8 MB are freed, but for a small one between each two.
WORK = """
import contextlib, sys
import numpy as np
from data_manifests.support.freed_memory import freed_memory_returned

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

np.ones(4_000_000)  # 32 MB; once freed, glibc takes smaller arrays from its heap
with freed_memory_returned() if sys.argv[1] == "inside" else contextlib.nullcontext():
    before = resident()
    large, small = [], []
    for _ in range(12):
        large.append(np.ones(1_000_000))
        small.append(np.ones(10_000))
    large.clear()
    print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators differ")
def test_freed_arrays_leave_no_holes_inside() -> None:
    left = [
        int(
            subprocess.run(
                [sys.executable, "-c", WORK, where], check=True, capture_output=True, text=True
            ).stdout
        )
        for where in ("inside", "outside")
    ]
    assert left[0] < 10  # MiB
    assert left[1] > 50


def test_arrow_has_its_pool_back_afterwards() -> None:
    pool = pa.default_memory_pool().backend_name
    with freed_memory_returned():
        assert pa.default_memory_pool().backend_name == "system"
    assert pa.default_memory_pool().backend_name == pool
