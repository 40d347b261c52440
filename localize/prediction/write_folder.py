"""`predict_folder`: a prediction written block by block: flat memory, and a kill loses one block.

The tables grow in `.OUT.unfinished` beside OUT. After each block its end is noted; a restart cuts
the tables there and goes on with the next block, so the result is that of an uninterrupted run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from detector.propose import Shard
from localize.bundle.bundle import Bundle
from localize.prediction.predict_films import (
    FilmToPredict,
    PredictedBlock,
    PredictOptions,
    as_prediction,
    predicted_blocks,
    prediction_info,
)
from localize.prediction.shards import join_shards, shard_folder
from localize.prediction.tables import DESCRIPTION, read_prediction
from localize.prediction.unfinished import UnfinishedPrediction

logger = logging.getLogger(__name__)
# Films in, blocks of `batch_size` of them out, in order: here, or on a cluster.
BlockSource = Callable[[Sequence[FilmToPredict]], Iterator[PredictedBlock]]


@dataclass(frozen=True)
class PredictReport:
    """Films of this run's share: `predicted` and `skipped`, `boxes` on them; `already_done` were
    there from an earlier run."""

    predicted: int
    skipped: int
    boxes: int
    already_done: int


def predict_folder(
    bundle: Bundle,
    films: Sequence[FilmToPredict],
    out: Path,
    options: PredictOptions,
    device: torch.device,
    *,
    shard: Shard | None = None,
    blocks_of: BlockSource | None = None,
    tell: Callable[[str], None] = logger.warning,
) -> PredictReport:
    """Predict films into the folder `out`; goes on where the same prediction was interrupted.

    A shard takes every n-th block of films and writes `out/shards/i-of-n`; the one that ends last
    joins them into `out`, equal to what one process would write. `blocks_of` computes elsewhere;
    `tell` hears of each film that is skipped.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false, none can be read, another
            process is writing the same, or `out` holds another finished prediction.
    """
    shard = shard or Shard()
    size = options.batch_size
    mine = [
        film
        for first in range(shard.index * size, len(films), size * shard.of)
        for film in films[first : first + size]
    ]
    info = prediction_info(bundle, options)
    _refuse_another(out, films, info)
    run = {**_run(bundle, films, options), "shard": str(shard)}
    target = shard_folder(out, shard)
    is_whole = shard.of == 1
    if not is_whole and (done := _finished(target, run)) is not None:
        report = PredictReport(**done, already_done=len(mine))
    else:
        with UnfinishedPrediction(target, run) as unfinished:
            first = unfinished.films
            source = blocks_of or (lambda rest: predicted_blocks(bundle, rest, options, device))
            with progress_bar(total=len(mine), initial=first, desc="predict", unit="film") as bar:
                for block in source(mine[first:]) if first < len(mine) else ():
                    for row in block.skipped:
                        tell(f"skipped {row['image_id']}: {row['error']}")
                    for row in block.images:
                        if row["warning"]:
                            logger.warning("%s %s", row["image_id"], row["warning"])
                    unfinished.append(as_prediction(block, bundle.words.keywords, info))
                    bar.update(len(block.images))
            counts = unfinished.counts()
            if is_whole and counts["skipped"] == len(films) > 0:
                first_error = unfinished.discard()
                raise DataError(f"none of {len(films)} films can be read; the first: {first_error}")
            unfinished.finish(info if is_whole else {**info, "run": run, "counts": counts})
        report = PredictReport(**counts, already_done=first)
    if not is_whole:
        join_shards(out, shard.of, size)
    return report


def _refuse_another(out: Path, films: Sequence[FilmToPredict], info: Mapping[str, Any]) -> None:
    """Keep a finished prediction, and the page and corrections that were made from it."""
    if not (out / DESCRIPTION).is_file():
        return
    old = read_prediction(out)
    ids = list(old.images[["image_id", "path"]].itertuples(index=False, name=None))
    other = [
        word
        for word, is_same in (
            ("films", ids == [(film.image_id, film.path) for film in films]),
            ("model", old.info.get("bundle_id") == info["bundle_id"]),
            ("options", old.info.get("options") == info["options"]),
        )
        if not is_same
    ]
    if other:
        raise DataError(
            f"{out}: holds a finished prediction with other {' and '.join(other)}; choose another "
            "--out, or delete it"
        )


def _run(bundle: Bundle, films: Sequence[FilmToPredict], options: PredictOptions) -> dict[str, Any]:
    """What must be equal for one run to go on with, or be joined to, another's work."""
    digest = hashlib.sha256()
    for film in films:
        digest.update(json.dumps([film.image_id, film.path]).encode())
    settings = asdict(options)
    del settings["skip_errors"]  # touches no finished film
    if options.engine == "ray":
        settings["engine"] = "torch"
    return {"bundle_id": bundle.bundle_id, "films": digest.hexdigest(), "options": settings}


def _finished(target: Path, run: dict[str, Any]) -> dict[str, int] | None:
    """The counts of a shard that an earlier run has finished, or None."""
    try:
        content = json.loads((target / DESCRIPTION).read_text("utf-8"))
        if content["run"] == run:
            return {
                name: int(content["counts"][name]) for name in ("predicted", "skipped", "boxes")
            }
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or something else: made again
    return None
