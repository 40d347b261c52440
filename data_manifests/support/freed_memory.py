"""`freed_memory_returned`: arrays of a megabyte and more leave no holes in memory when freed.

`return_freed_memory` also returns what many small ones left.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

MIB = 1 << 20
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)


@contextmanager
def freed_memory_returned() -> Iterator[None]:
    """Inside, freed memory of large arrays and Arrow tables goes back to the system at once.

    Allocators keep it instead, in case it is needed again; over the columns of a large table that
    adds up to half of the peak. Outside the system is asked for large arrays as rarely as it is by
    default, which is quicker where arrays of one size come and go. Without glibc only Arrow is set.
    """
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    _set_thresholds(trim=MIB, mmap=2 * MIB)
    try:
        yield
    finally:
        pa.set_memory_pool(pool)
        _set_thresholds(trim=64 * MIB, mmap=32 * MIB)  # the highest that glibc adapts itself to


def return_freed_memory() -> None:
    """Give freed memory back to the system, also that of small objects; nothing without glibc."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _set_thresholds(*, trim: int, mmap: int) -> None:
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(TRIM_THRESHOLD, trim)
        library.mallopt(MMAP_THRESHOLD, mmap)
