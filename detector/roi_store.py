"""`RoiStore`: the regions of many films on disk, in constant memory, written by many workers.

A folder of plain `.npy` arrays, which any numpy can map, and `store.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data_manifests.support.arrays import Bools, Bytes, Floats32, Ints
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError, ConfigError, DataError, Problem
from data_manifests.support.temporary import temporary_folder
from detector.array_file import ArrayFile
from detector.proposals import FilmRois, ProposalOptions

FORMAT_VERSION = 1
HEADER = "store.json"
PENDING, DONE, SKIPPED = 0, 1, 2


@dataclass(frozen=True)
class RoiBatch:
    """Regions of B films, padded to N.

    `features` (B, N, D) float32, `boxes` (B, N, 4) float32 film pixels, `scores` (B, N) float32,
    `mask` (B, N) true where there is a region, `sizes` (B, 2) width and height of the film.
    """

    features: Floats32
    boxes: Floats32
    scores: Floats32
    mask: Bools
    sizes: Floats32

    def geometry(self) -> Floats32:
        """Box corners over the film's size, (B, N, 4) in [0, 1]: the paper's g; padding is zero."""
        scale = np.tile(self.sizes, 2)[:, None, :]
        # A film without regions (skipped) has no size either.
        geometry: Floats32 = np.divide(
            self.boxes, scale, out=np.zeros_like(self.boxes), where=scale > 0
        )
        return geometry


@dataclass(frozen=True)
class StoreHeader:
    """What a store holds: films, regions per film N, feature width D, and where they come from."""

    films: int
    count: int
    width: int
    detector_sha256: str
    options: ProposalOptions


class RoiStore:
    """An open store. Rows are films in the order of `image_ids`."""

    def __init__(self, folder: Path, *, writable: bool = False) -> None:
        """Open a store.

        Raises:
            CheckpointError: not a store, another version, or a file of another shape or size.
        """
        self.folder = folder
        self.header = _read_header(folder)
        mode = os.O_RDWR if writable else os.O_RDONLY
        self._arrays: dict[str, ArrayFile] = {}
        try:
            self._arrays["image_ids"] = ArrayFile(
                folder / "image_ids.npy", mode, (self.header.films,), "S"
            )
            for name, (shape, dtype) in _array_shapes(self.header).items():
                self._arrays[name] = ArrayFile(folder / f"{name}.npy", mode, shape, dtype)
        except CheckpointError:
            self.close()
            raise

    def __enter__(self) -> RoiStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for array in self._arrays.values():
            array.close()

    def __len__(self) -> int:
        return self.header.films

    def image_ids(self) -> list[str]:
        """The film of each row."""
        ids = self._arrays["image_ids"].read_all()
        return [bytes(image_id).decode("utf-8") for image_id in ids]

    def rows_of(self, image_ids: Sequence[str]) -> Ints:
        """The rows of films, in the order of `image_ids`; skipped films have a row without regions.

        Raises:
            DataError: names every film that is not in the store or still to be done.
        """
        known = {image_id: row for row, image_id in enumerate(self.image_ids())}
        status = self.status()
        problems = [
            Problem(
                file=str(self.folder),
                field="status" if image_id in known else "image_ids",
                expected="the regions of every film of the manifest",
                got=f"{image_id} still to be done" if image_id in known else f"no {image_id}",
                fix="run `pneumoloc detector propose` on this manifest",
            )
            for image_id in image_ids
            if image_id not in known or status[known[image_id]] == PENDING
        ]
        if problems:
            raise DataError.from_problems(problems)
        return np.array([known[image_id] for image_id in image_ids], np.int64)

    def status(self) -> Bytes:
        """For each row: 0 to do, 1 done, 2 skipped because the film could not be read."""
        return self._arrays["status"].read_all()

    def read(self, rows: Ints, *, lowest: bool = False) -> RoiBatch:
        """The best (or the lowest-ranking) regions of these films."""
        prefix = "lowest_" if lowest else ""
        counts = self._arrays[f"{prefix}counts"].read(rows)
        return RoiBatch(
            features=self._arrays[f"{prefix}features"].read(rows).astype(np.float32),
            boxes=self._arrays[f"{prefix}boxes"].read(rows),
            scores=self._arrays[f"{prefix}scores"].read(rows),
            mask=np.arange(self.header.count)[None, :] < counts[:, None],
            sizes=self._arrays["sizes"].read(rows),
        )

    def write(
        self, row: int, rois: FilmRois, width: int, height: int, scale: tuple[float, float]
    ) -> None:
        """Write one film; `scale` (x, y) turns film pixels into the regions' frame.

        The status follows the data, so a kill in between leaves the film to do.

        Raises:
            FloatingPointError: a number that is not finite (in float16); nothing is written.
            OSError: the disk is full; the film stays to be done.
        """
        to_film = np.array([scale[0], scale[1], scale[0], scale[1]], np.float32)
        limits = np.array([width, height, width, height], np.float32)
        values: dict[str, NDArray[Any]] = {}
        for prefix, part in (("", rois.best), ("lowest_", rois.lowest)):
            # Division can leave a corner an ulp outside the film.
            values[f"{prefix}boxes"] = np.minimum(part.boxes.cpu().numpy() / to_film, limits)
            values[f"{prefix}features"] = part.features.cpu().to(torch.float16).numpy()
            values[f"{prefix}scores"] = part.scores.cpu().numpy()
            values[f"{prefix}counts"] = np.array(len(part.scores), np.int32)
        for name, array in values.items():
            if not np.isfinite(array).all():
                raise FloatingPointError(
                    f"ROI store row {row}: {name} not finite; is the detector sound?"
                )
        for name, array in values.items():
            self._arrays[name].write(row, array)
        self._arrays["sizes"].write(row, np.array([width, height]))
        self._arrays["status"].write(row, np.array(DONE))

    def skip(self, row: int) -> None:
        """Mark a film that cannot be read."""
        self._arrays["status"].write(row, np.array(SKIPPED))

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        for array in self._arrays.values():
            array.sync()


def create_store(folder: Path, image_ids: list[str], header: StoreHeader) -> None:
    """Make an empty store, or accept the same one (another worker's, or a resumed run's).

    The folder is built under another name and renamed, so that no worker opens half of it.

    Raises:
        CheckpointError: there is a store of other films, another detector or other options.
        OSError: the disk is full; it names `folder`.
    """
    if (folder / HEADER).exists():
        _check_same(folder, image_ids, header)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.name, folder.parent) as temporary:
        building = Path(temporary) / folder.name
        try:
            _write_empty(building, image_ids, header)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        try:
            os.rename(building, folder)
        except OSError:
            # Another worker was first, or the folder holds something else.
            _check_same(folder, image_ids, header)


def _write_empty(folder: Path, image_ids: list[str], header: StoreHeader) -> None:
    folder.mkdir()
    encoded = np.array([image_id.encode("utf-8") for image_id in image_ids], dtype="S")
    np.save(folder / "image_ids.npy", encoded, allow_pickle=False)
    for name, (shape, dtype) in _array_shapes(header).items():
        array = np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape
        )
        del array  # a sparse file of zeros
    write_json(folder / HEADER, {"format_version": FORMAT_VERSION, **asdict(header)})


def _array_shapes(header: StoreHeader) -> dict[str, tuple[tuple[int, ...], str]]:
    films, count, width = header.films, header.count, header.width
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "status": ((films,), "u1"),
        "sizes": ((films, 2), "<f4"),
    }
    for prefix in ("", "lowest_"):
        shapes[f"{prefix}features"] = ((films, count, width), "<f2")
        shapes[f"{prefix}boxes"] = ((films, count, 4), "<f4")
        shapes[f"{prefix}scores"] = ((films, count), "<f4")
        shapes[f"{prefix}counts"] = ((films,), "<i4")
    return shapes


def _read_header(folder: Path) -> StoreHeader:
    try:
        content: dict[str, Any] = json.loads((folder / HEADER).read_text("utf-8"))
        version = content.pop("format_version")
        options = ProposalOptions(**content.pop("options"))
        header = StoreHeader(**content, options=options)
        for name in ("films", "count", "width"):
            if not isinstance(content[name], int) or content[name] < 0:
                raise ValueError(f"{name} {content[name]!r}")
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder}: expected a ROI store, got no {HEADER}; make one with "
            "`pneumoloc detector propose`"
        ) from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        ConfigError,
    ) as error:
        raise CheckpointError(f"{folder / HEADER}: expected a store header, got {error}") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder / HEADER}: expected format_version {FORMAT_VERSION}, got {version}"
        )
    return header


def _check_same(folder: Path, image_ids: list[str], header: StoreHeader) -> None:
    with RoiStore(folder) as store:
        if store.header != header or store.image_ids() != image_ids:
            raise CheckpointError(
                f"{folder}: holds regions of other films, another detector or other options; "
                "choose another --out or delete it"
            )
