"""`propose_store`: a frozen detector over a manifest into a ROI store; shards, resumes, skips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torchvision.models.detection import RetinaNet
from tqdm import tqdm

from data_manifests.errors import DataError, Problem
from data_manifests.manifest import Manifest
from detector.config import DetectorConfig
from detector.film_stream import batches_of_one_size, stream_films
from detector.proposals import ProposalOptions, propose_rois
from detector.roi_store import TODO, RoiStore, StoreHeader, create_store

READ_THREADS = 2


@dataclass(frozen=True)
class Shard:
    """Part `index` of `of` equal parts of the films."""

    index: int = 0
    of: int = 1


@dataclass(frozen=True)
class ProposeReport:
    """What a run did: films written now, films that were there, and the unreadable ones."""

    written: int
    already_done: int
    skipped: tuple[Problem, ...]


def propose_store(
    model: RetinaNet,
    config: DetectorConfig,
    manifest: Manifest,
    out: Path,
    *,
    detector_sha256: str,
    options: ProposalOptions,
    shard: Shard,
    skip_errors: bool,
    batch_size: int,
    device: torch.device,
) -> ProposeReport:
    """Write the regions of a manifest's films; films already in the store are not done again.

    Any number of processes may write one store at a time, each with its own shard.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false.
        CheckpointError: `out` is a store of other films, detector or options.
    """
    header = StoreHeader(
        films=len(manifest.images),
        count=options.count,
        width=config.fpn_width,
        detector_sha256=detector_sha256,
        options=options,
    )
    create_store(out, manifest.images["image_id"].tolist(), header)
    model.eval().to(device)
    skipped: list[Problem] = []
    written = 0
    with RoiStore(out, writable=True) as store:
        mine = np.arange(shard.index, len(store), shard.of)
        todo = mine[store.status()[mine] == TODO]
        films = stream_films(
            manifest.film_paths(),
            todo.tolist(),
            image_size=config.image_size,
            threads=READ_THREADS,
            ahead=2 * batch_size,
        )
        bar = tqdm(total=len(mine), initial=len(mine) - len(todo), desc="propose", unit="film")
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
            for film, rois in zip(batch, propose_rois(model, images, options), strict=True):
                store.write(film.row, rois, film.width, film.height, (film.scale_x, film.scale_y))
            written += len(batch)
        bar.close()
        store.sync()
    if written == 0 and skipped and len(skipped) == len(mine):
        raise DataError.from_problems(skipped)
    return ProposeReport(written, len(mine) - len(todo), tuple(skipped))
