"""`FilmMaps`: the frozen pyramid of many films on disk, with the candidate ROIs of each.

A film of 128 px has 341 cells of 128 numbers, 87 kB as float16; 11,308 films take 1 GB. The arrays
are mapped, so a training holds one batch in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import clip_boxes_to_image

from data_manifests.support.arrays import Floats32, Ints
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.detector import Detector
from detector.film_stream import batches_of_one_size, stream_films
from detector.network.core import Core, torch_core

FORMAT_VERSION = 1
HEADER = "film_maps.json"
PROGRESS = "unfinished.json"  # what the arrays are of, and how many films are done
ARRAYS = ("maps", "anchors", "boxes", "logits", "lowest_anchors", "lowest_boxes", "sizes")
CANDIDATES = (
    256  # anchors of highest score, before any suppression: their oracle finds .97 of boxes
)
PAD_TO = 32  # torchvision pads films to a multiple of it
LOWEST = 64  # the paper's I_n, from the low end
MIN_SIDE_PX = 1.0
NO_REGION = -30.0  # logit of a candidate without area


class StackedMaps:
    """Mapped arrays (F, cells, D) one after the other, read as one; nothing is copied before."""

    def __init__(self, parts: Sequence[NDArray[np.float16]], rows: Ints) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._rows = rows
        self.shape = (len(rows), *parts[0].shape[1:])

    @classmethod
    def of(cls, parts: Sequence[NDArray[np.float16]]) -> StackedMaps:
        """All films of the parts."""
        return cls(parts, np.arange(sum(len(part) for part in parts)))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> Any:  # Any: as of an array
        if isinstance(rows, slice):
            return StackedMaps(self._parts, self._rows[rows])
        wanted = self._rows[rows]
        found = np.empty((len(wanted), *self.shape[1:]), self._parts[0].dtype)
        of = np.searchsorted(self._starts, wanted, side="right") - 1
        for k in np.unique(of):
            found[of == k] = self._parts[k][wanted[of == k] - self._starts[k]]
        return found

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        return np.asarray(self[np.arange(len(self))], dtype)


@dataclass(frozen=True)
class FilmMaps:
    """F films with C candidates each, in the order of `image_ids`.

    `maps` (F, cells, D) float16 and `level_shapes`, the (rows, columns) of each pyramid level in
    it; `anchors` (F, C) indices over all levels; `boxes` (F, C, 4) film pixels; `logits` (F, C) of
    the detector, highest first, `NO_REGION` where the box has no area; `lowest_anchors` (F, L) and
    `lowest_boxes` (F, L, 4) the lowest-scoring anchors; `sizes` (F, 2) width and height of films.
    """

    image_ids: tuple[str, ...]
    level_shapes: tuple[tuple[int, int], ...]
    detector_sha256: str
    maps: NDArray[np.float16] | StackedMaps | Tensor
    anchors: NDArray[np.int32]
    boxes: Floats32
    logits: Floats32
    lowest_anchors: NDArray[np.int32]
    lowest_boxes: Floats32
    sizes: Floats32

    def pyramid(self, rows: Ints, device: torch.device) -> list[Tensor]:
        """The maps of films `rows` (B,), (B, D, H, W) float16 for each level, channels last."""
        if isinstance(self.maps, Tensor):
            flat = self.maps[torch.from_numpy(rows).to(self.maps.device)].to(device)
        else:
            flat = torch.from_numpy(self.maps[rows]).to(device)
        levels, first = [], 0
        for height, width in self.level_shapes:
            level = flat[:, first : first + height * width]
            levels.append(level.reshape(len(level), height, width, -1).permute(0, 3, 1, 2))
            first += height * width
        return levels

    def held(self, device: torch.device) -> FilmMaps:
        """The same with the maps in the memory of a GPU; on the CPU they stay mapped."""
        if device.type == "cpu" or isinstance(self.maps, Tensor):
            return self
        return replace(self, maps=torch.from_numpy(np.ascontiguousarray(self.maps)).to(device))

    def subset(self, rows: Ints) -> FilmMaps:
        """The films `rows`, without a copy of the maps where rows are a range."""
        keep: Any = rows
        if len(rows) and (np.diff(rows) == 1).all():
            keep = slice(int(rows[0]), int(rows[-1]) + 1)
        return FilmMaps(
            tuple(self.image_ids[k] for k in rows),
            self.level_shapes,
            self.detector_sha256,
            self.maps[keep],
            self.anchors[keep],
            self.boxes[keep],
            self.logits[keep],
            self.lowest_anchors[keep],
            self.lowest_boxes[keep],
            self.sizes[keep],
        )


def write_film_maps(
    detector: Detector,
    films: Manifest,
    out: Path,
    *,
    device: torch.device,
    candidates: int = CANDIDATES,
    batch_size: int = 32,
    threads: int = 2,
) -> FilmMaps:
    """Compute and store the maps of a manifest's films in the folder `out`.

    Every film is padded to the model's square frame, so that all have the same cells. The same call
    goes on where it was interrupted.

    Raises:
        DataError: a film that cannot be read.
    """
    image_ids = films.images["image_id"].tolist()
    model = detector.model.eval().to(device)
    core = torch_core(model)
    out.mkdir(parents=True, exist_ok=True)
    (out / HEADER).unlink(missing_ok=True)
    header = {
        "format_version": FORMAT_VERSION,
        "image_ids": image_ids,
        "detector_sha256": detector.sha256,
    }
    started = {**header, "candidates": candidates, "batch_size": batch_size}
    done = _films_done(out, started)
    stream = stream_films(
        films.film_paths(),
        list(range(done, len(image_ids))),
        image_size=detector.config.image_size,
        threads=threads,
        ahead=2 * batch_size,
        checksums=(),
    )
    side = -(-detector.config.image_size // PAD_TO) * PAD_TO
    arrays: dict[str, NDArray[Any]] = {}
    shapes: tuple[tuple[int, int], ...] = ()
    bar = progress_bar(total=len(image_ids), initial=done, desc="film maps", unit="film")
    for batch in batches_of_one_size(stream, batch_size):
        if batch[0].error is not None:
            raise batch[0].error
        images = [film.image.to(device) for film in batch if film.image is not None]
        found, level_shapes = _candidates(model, core, images, candidates, side)
        shapes = level_shapes
        scale = np.array([(film.scale_x, film.scale_y) * 2 for film in batch], np.float32)
        found["boxes"] /= scale[:, None, :]
        found["lowest_boxes"] /= scale[:, None, :]
        found["sizes"] = np.array([(film.width, film.height) for film in batch], np.float32)
        rows = [film.row for film in batch]
        for name, values in found.items():
            if name not in arrays:
                mode = "r+" if done else "w+"
                arrays[name] = np.lib.format.open_memmap(
                    out / f"{name}.npy", mode, values.dtype, (len(image_ids), *values.shape[1:])
                )
            arrays[name][rows] = values
        bar.update(len(batch))
        if (rows[-1] + 1) % batch_size == 0:  # whole blocks: a last one may be cut by its shapes
            for array in arrays.values():
                array.flush()  # type: ignore[attr-defined] # a memmap
            write_json(out / PROGRESS, {**started, "done": rows[-1] + 1})
    bar.close()
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined] # a memmap
    write_json(out / HEADER, {**header, "level_shapes": shapes})
    (out / PROGRESS).unlink(missing_ok=True)
    return read_film_maps(out)


def _films_done(out: Path, started: Mapping[str, Any]) -> int:  # Any: whatever JSON holds
    """How many films an interrupted call with the same arguments has finished."""
    try:
        found = json.loads((out / PROGRESS).read_text("utf-8"))
        done = int(found.pop("done"))
        # The last block is done again: its arrays may not be on disk, and it gives the shapes.
        is_there = found == started and all((out / f"{name}.npy").exists() for name in ARRAYS)
        return max(0, done - int(started["batch_size"])) if is_there else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def read_film_maps(folder: Path) -> FilmMaps:
    """The maps in a folder; the arrays are mapped, not read.

    Raises:
        CheckpointError: missing or damaged.
    """
    try:
        header = json.loads((folder / HEADER).read_text("utf-8"))
        if header["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version {header['format_version']}")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        shapes = tuple((int(height), int(width)) for height, width in header["level_shapes"])
        return FilmMaps(tuple(header["image_ids"]), shapes, header["detector_sha256"], **arrays)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder}: expected film maps of format_version {FORMAT_VERSION}, got {error!r}; make "
            "them again"
        ) from error


@torch.inference_mode()
def _candidates(
    model: RetinaNet, core: Core, images: Sequence[Tensor], count: int, side: int
) -> tuple[dict[str, NDArray[Any]], tuple[tuple[int, int], ...]]:
    transformed, _ = model.transform(list(images))
    height, width = transformed.tensors.shape[2:]
    padded = functional.pad(transformed.tensors, (0, side - width, 0, side - height))
    image_list = ImageList(padded, transformed.image_sizes)
    maps = core(padded)
    films = len(images)
    per_cell = int(model.anchor_generator.num_anchors_per_location()[0])
    flat = torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in maps.pyramid], dim=1)
    logits = torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level in maps.logits], dim=1)
    deltas = torch.cat(
        [
            level.reshape(films, per_cell, 4, *level.shape[2:]).permute(0, 3, 4, 1, 2).flatten(1, 3)
            for level in maps.deltas
        ],
        dim=1,
    )
    anchors = torch.stack(model.anchor_generator(image_list, list(maps.pyramid)))

    def decoded(chosen: Tensor) -> Tensor:
        corners = chosen[..., None].expand(-1, -1, 4)
        boxes = model.box_coder.decode_single(
            deltas.gather(1, corners).flatten(0, 1), anchors.gather(1, corners).flatten(0, 1)
        )
        clipped: Tensor = clip_boxes_to_image(boxes, image_list.image_sizes[0])
        return clipped.reshape(films, -1, 4)

    top = logits.topk(min(count, logits.shape[1]), dim=1).indices
    low = logits.topk(min(LOWEST, logits.shape[1]), dim=1, largest=False).indices
    boxes = decoded(top)
    has_area = ((boxes[..., 2:] - boxes[..., :2]) >= MIN_SIDE_PX).all(dim=-1)
    chosen = logits.gather(1, top).masked_fill(~has_area, NO_REGION)
    arrays = {
        "maps": flat.half().cpu().numpy(),
        "anchors": top.int().cpu().numpy(),
        "boxes": boxes.float().cpu().numpy(),
        "logits": chosen.float().cpu().numpy(),
        "lowest_anchors": low.int().cpu().numpy(),
        "lowest_boxes": decoded(low).float().cpu().numpy(),
    }
    return arrays, tuple((int(level.shape[2]), int(level.shape[3])) for level in maps.pyramid)
