"""`ArrayFile`: a `.npy` file read and written by rows, in constant memory.

Rows are read with `pread`, not through a memory map: pages of a map count as the process's memory
until the system takes them back, and an epoch in random order would touch them all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_manifests.support.arrays import Ints
from data_manifests.support.errors import CheckpointError, DataError, raise_if_out_of_memory


class ArrayFile:
    """An open `.npy` file of a known shape (rows, ...).

    Raises:
        CheckpointError: not such an array.
    """

    def __init__(self, path: Path, mode: int, shape: tuple[int, ...], dtype: str) -> None:
        try:
            array = np.lib.format.open_memmap(path, mode="r")  # refuses objects: no pickles
        except (OSError, ValueError) as error:
            raise_if_out_of_memory(error)
            raise CheckpointError(
                f"{path}: expected an array of a ROI store, got {error}"
            ) from error
        if array.shape != shape or not np.issubdtype(array.dtype, np.dtype(dtype).type):
            raise CheckpointError(
                f"{path}: expected an array {shape} of {np.dtype(dtype).name}, "
                f"got {array.shape} of {array.dtype.name}"
            )
        self.dtype, self.row_shape, self.rows = array.dtype, array.shape[1:], array.shape[0]
        self._offset: int = array.offset
        self._row_bytes = int(np.prod(self.row_shape, dtype=np.int64)) * self.dtype.itemsize
        self._path, self._file = path, os.open(path, mode)

    def read(self, rows: Ints) -> NDArray[Any]:
        """These rows, in the order given."""
        out = np.empty((len(rows), *self.row_shape), self.dtype)
        flat = out.reshape(-1).view(np.uint8)
        for place, row in enumerate(rows):
            if not 0 <= row < self.rows:
                raise IndexError(f"row {row} of a ROI store of {self.rows} films")
            start = place * self._row_bytes
            self._read_into(flat.data[start : start + self._row_bytes], int(row))
        return out

    def read_all(self) -> NDArray[Any]:
        """The whole array."""
        out = np.empty((self.rows, *self.row_shape), self.dtype)
        self._read_into(out.reshape(-1).view(np.uint8).data, 0)
        return out

    def _read_into(self, target: memoryview, row: int) -> None:
        if len(target) == 0:
            return
        got = os.preadv(self._file, [target], self._offset + row * self._row_bytes)
        if got != len(target):
            raise DataError(f"ROI store: row {row} is cut short; write the store again")

    def write(self, row: int, values: NDArray[Any]) -> None:
        """Write the first entries of a row; the rest of the row stays as it is (zero).

        Raises:
            OSError: the disk is full; it names the file.
        """
        data = memoryview(np.ascontiguousarray(values, self.dtype).tobytes())
        if len(data) > self._row_bytes or not 0 <= row < self.rows:
            raise ValueError(f"{len(data)} bytes for row {row} of {self.rows} x {self._row_bytes}")
        start = self._offset + row * self._row_bytes
        try:
            while data:  # a disk that is nearly full takes a part without an error
                written = os.pwrite(self._file, data, start)
                data, start = data[written:], start + written
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def sync(self) -> None:
        """Flush to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
