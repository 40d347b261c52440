"""`propose_store`: a frozen detector over a manifest into a ROI store; shards, resumes, skips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.detector import Detector
from detector.film_stream import batches_of_one_size, stream_films
from detector.network.core import Core, torch_core
from detector.network.torchvision_parts import RetinaNet
from detector.proposals import FilmRois, ProposalOptions, propose_rois
from detector.roi_store import DONE, RoiStore, StoreHeader, create_store
from detector.run.memory import in_halves


@dataclass(frozen=True)
class Shard:
    """Part `index` of `of` equal parts of the films."""

    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise ConfigError(f"shard: expected i/n with 0 <= i < n, got {self}")

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


def parse_shard(text: str) -> Shard:
    """`0/4` is the first of four parts.

    Raises:
        ConfigError: other text, or a part that is not there.
    """
    index, slash, of = text.partition("/")
    if not (slash and index.isdecimal() and of.isdecimal()):
        raise ConfigError(f"shard: expected i/n such as 0/4, got {text!r}")
    return Shard(int(index), int(of))


@dataclass(frozen=True)
class ProposeReport:
    """What a run did: films written now, films that were there, and the unreadable ones."""

    written: int
    already_done: int
    skipped: tuple[Problem, ...]


def propose_store(
    detector: Detector,
    manifest: Manifest,
    out: Path,
    *,
    device: torch.device,
    options: ProposalOptions | None = None,
    shard: Shard | None = None,
    skip_errors: bool = False,
    batch_size: int = 8,
    verify: bool = True,
    threads: int = 2,
) -> ProposeReport:
    """Write the regions of a manifest's films; films already in the store are not done again.

    Any number of processes may write one store in parallel, one shard each. `threads` read
    films ahead. Films that were skipped before are tried again. `verify` compares films with the
    manifest's `sha256` where it has one.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false.
        CheckpointError: `out` is a store of other films, detector or options.
    """
    options, shard = options or ProposalOptions(), shard or Shard()
    header = StoreHeader(
        films=len(manifest.images),
        count=options.count,
        width=detector.config.fpn_width,
        detector_sha256=detector.sha256,
        options=options,
    )
    create_store(out, manifest.images["image_id"].tolist(), header)
    model = detector.model.eval().to(device)
    core = torch_core(model)
    skipped: list[Problem] = []
    written = 0
    with RoiStore(out, writable=True) as store:
        mine = np.arange(shard.index, len(store), shard.of)
        open_films = store.status()[mine] != DONE
        # Whole batches are done again, see `batches_of_one_size`.
        unfinished = np.unique(np.flatnonzero(open_films) // batch_size)
        todo = mine[np.isin(np.arange(len(mine)) // batch_size, unfinished)]
        films = stream_films(
            manifest.film_paths(),
            todo.tolist(),
            image_size=detector.config.image_size,
            threads=threads,
            ahead=2 * batch_size,
            checksums=manifest.images["sha256"].tolist() if verify else (),
        )
        bar = progress_bar(
            total=len(mine), initial=len(mine) - len(todo), desc="propose", unit="film"
        )
        for batch in batches_of_one_size(films, batch_size):
            bar.update(len(batch))
            if batch[0].error is not None:
                if not skip_errors:
                    bar.close()
                    raise batch[0].error
                skipped += batch[0].error.problems
                store.skip(batch[0].row)
                continue
            images = [film.image.to(device) for film in batch if film.image is not None]
            found = in_halves(partial(_proposed, model, options, core), images)
            for film, rois in zip(batch, found, strict=True):
                store.write(film.row, rois, film.width, film.height, (film.scale_x, film.scale_y))
            written += len(batch)
        bar.close()
        store.sync()
    if written == 0 and skipped and len(skipped) == len(mine):
        raise DataError.from_problems(skipped)
    return ProposeReport(written, len(mine) - len(todo), tuple(skipped))


def _proposed(
    model: RetinaNet, options: ProposalOptions, core: Core, images: Sequence[Tensor]
) -> list[FilmRois]:
    return propose_rois(model, list(images), options, core)
