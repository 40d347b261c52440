"""`ResidentFilms`: all training films decoded once, held on the device and changed there.

A GPU takes a thousand small films a second; reading and warping them on the CPU does not keep up.
Films are uint8, so 8,000 films of 416 px take 1.4 GB. The changes are those of `augment`, drawn
from the same numbers; grey levels differ by the rounding to 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from data_manifests.support.arrays import Bools, Bytes, Floats
from data_manifests.support.worker_pool import worker_pool
from data_manifests.tables.manifest import Manifest
from detector.augment import Augmentation, draw_augmentation, kept_boxes, moved_boxes
from detector.batch_losses import FilmBatch
from detector.dataset import FilmDataset, FilmKey, TrainingFilm
from detector.network.model import IMAGENET_MEAN

READ_AT_ONCE = 64


class ResidentFilms:
    """Films of a manifest on `device`; augmented where `seed` is given."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        image_size: int,
        seed: int | None,
        strength: float,
        device: torch.device,
        processes: int,
    ) -> None:
        """Read all films.

        Raises:
            DataError: a film that cannot be read, or is of another size than the manifest says.
        """
        dataset = FilmDataset(manifest, image_size=image_size, seed=None)
        self.image_ids = dataset.image_ids
        self.is_unplaced = _is_unplaced(manifest)
        self.seed, self.strength, self.device = seed, strength, device
        films = len(dataset)
        self.pixels = torch.zeros((films, image_size, image_size), dtype=torch.uint8, device=device)
        self.boxes: list[Floats] = []
        self.sizes = np.zeros((films, 2))  # width, height of the film in the model's frame
        for first, part in zip(
            range(0, films, READ_AT_ONCE), _read_all(dataset, processes), strict=True
        ):
            canvas = np.zeros((len(part), image_size, image_size), np.uint8)
            for place, (levels, boxes) in enumerate(part):
                height, width = levels.shape
                canvas[place, :height, :width] = levels
                self.sizes[first + place] = width, height
                self.boxes.append(boxes)
            self.pixels[first : first + len(part)] = torch.from_numpy(canvas).to(device)

    def film(self, row: int) -> TrainingFilm:
        """One film as it is, without padding."""
        width, height = self.sizes[row].astype(int)
        levels = self.pixels[row, :height, :width].float() / 255
        return TrainingFilm(
            image=levels.expand(3, -1, -1),
            boxes=torch.from_numpy(self.boxes[row].astype(np.float32)),
            image_id=self.image_ids[row],
        )

    def batches(self, keys: Iterable[list[FilmKey]]) -> Iterator[FilmBatch]:
        """One batch for each list of draws."""
        for batch in keys:
            yield self.batch(batch)

    def batch(self, keys: list[FilmKey]) -> FilmBatch:
        """The drawn films, changed."""
        index = np.array([key.index for key in keys])
        sizes = self.sizes[index]
        pixels = self.pixels[torch.from_numpy(index).to(self.device)].float() / 255
        boxes = [self.boxes[k] for k in index]
        if self.seed is not None:
            changes = [
                draw_augmentation(self.seed, key.epoch, key.position, self.strength) for key in keys
            ]
            pixels = _changed(pixels, changes, sizes)
            boxes = [
                kept_boxes(moved_boxes(xyxy, change, *size), *size)
                for xyxy, change, size in zip(boxes, changes, sizes, strict=True)
            ]
        most = max(1, max(len(xyxy) for xyxy in boxes))
        padded = np.zeros((len(keys), most, 4), np.float32)
        is_box = np.zeros((len(keys), most), np.bool_)
        for row, xyxy in enumerate(boxes):
            padded[row, : len(xyxy)], is_box[row, : len(xyxy)] = xyxy, True
        return FilmBatch(
            images=_framed(pixels, sizes),
            boxes=torch.from_numpy(padded).to(self.device, non_blocking=True),
            is_box=torch.from_numpy(is_box).to(self.device, non_blocking=True),
            is_unplaced=torch.from_numpy(self.is_unplaced[index]).to(self.device),
            image_ids=tuple(self.image_ids[k] for k in index),
        )


def _is_unplaced(manifest: Manifest) -> Bools:
    """Films whose label `opacity` is 1 and that have no box; none where there is no such label."""
    if "opacity" not in manifest.labels:
        return np.zeros(len(manifest.images), np.bool_)
    positive = manifest.labels.loc[manifest.labels["opacity"] == 1, "image_id"]
    ids = manifest.images["image_id"]
    found = ids.isin(set(positive)) & ~ids.isin(set(manifest.boxes["image_id"]))
    return found.to_numpy(np.bool_)


def _read_all(dataset: FilmDataset, processes: int) -> Iterator[list[tuple[Bytes, Floats]]]:
    """All films in order, READ_AT_ONCE at a time, read by so many processes (0: by this one)."""
    starts = range(0, len(dataset), READ_AT_ONCE)
    if processes == 0:
        yield from map(partial(_read, dataset), starts)
        return
    with worker_pool(processes) as pool:
        yield from pool.map(partial(_read, dataset), starts)


def _read(dataset: FilmDataset, first: int) -> list[tuple[Bytes, Floats]]:
    films = []
    for index in range(first, min(first + READ_AT_ONCE, len(dataset))):
        film = dataset[FilmKey(index, 0, 0)]
        levels = np.rint(film.image[0].numpy() * 255).astype(np.uint8)
        films.append((levels, film.boxes.numpy().astype(np.float64)))
    return films


def _changed(pixels: Tensor, changes: list[Augmentation], sizes: Floats) -> Tensor:
    """(B, S, S) films moved and their grey levels changed, as `apply_augmentation` does."""
    side = pixels.shape[2]
    theta = np.zeros((len(changes), 2, 3), np.float32)
    for row, (change, size) in enumerate(zip(changes, sizes, strict=True)):
        factors, offsets = change.movement(*size)
        # From normalised output to normalised input coordinates, -1 to 1 over the whole canvas.
        theta[row, [0, 1], [0, 1]] = 1 / factors
        theta[row, :, 2] = (1 - 2 * offsets / side) / factors - 1
    levels = np.array([[change.gamma, change.contrast] for change in changes], np.float32)
    gamma, contrast = torch.from_numpy(levels).to(pixels.device).T[:, :, None, None]
    grid = functional.affine_grid(
        torch.from_numpy(theta).to(pixels.device),
        [len(changes), 1, side, side],
        align_corners=False,
    )
    moved = functional.grid_sample(pixels[:, None], grid, align_corners=False)[:, 0]
    changed: Tensor = ((moved.clamp(0, 1) ** gamma - 0.5) * contrast + 0.5).clamp(0, 1)
    return changed


def _framed(pixels: Tensor, sizes: Floats) -> Tensor:
    """(B, 3, S, S); beyond the film's own frame the mean level, which the network sees as zero."""
    side = pixels.shape[2]
    place = torch.arange(side, device=pixels.device)
    width, height = torch.from_numpy(sizes).to(pixels.device).T[:, :, None]
    is_film = (place < height)[:, :, None] & (place < width)[:, None, :]
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device)[:, None, None]
    return torch.where(is_film[:, None], pixels[:, None], mean)
