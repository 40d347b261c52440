"""`predict_folder`: a prediction written block by block; a kill loses one block at most.

The tables grow in `.OUT.unfinished` beside OUT, and the end of each block is noted. A restart cuts
the tables there and goes on with the next block: the result is that of an uninterrupted run. Memory
does not grow with the number of films.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from detector.propose import Shard
from localize.inference.film_list import FilmToPredict
from localize.inference.model import Model
from localize.inference.predict_films import prediction_info
from localize.inference.shards import join_shards, shard_folder
from localize.inference.unfinished import UnfinishedPrediction
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.film_tables import prediction_of_films
from localize.prediction.tables import DESCRIPTION, read_prediction

logger = logging.getLogger(__name__)
# Predicts films in order: on this machine, or on a cluster.
FilmSource = Callable[[Sequence[FilmToPredict]], Iterator[FilmPrediction | SkippedFilm]]


@dataclass(frozen=True)
class PredictReport:
    """Films `predicted` and `skipped` by this process and its earlier runs, and their `boxes`;
    `already_done` films come from earlier runs. `missing_shards` are not finished yet."""

    predicted: int
    skipped: int
    boxes: int
    already_done: int
    missing_shards: tuple[int, ...] = ()


def predict_folder(
    model: Model,
    films: Sequence[FilmToPredict],
    out: Path,
    *,
    shard: Shard | None = None,
    source: FilmSource | None = None,
    report_skipped: Callable[[str], None] = logger.warning,
) -> PredictReport:
    """Predict films into the folder `out`; goes on where the same prediction was interrupted.

    A shard takes every n-th block of films and writes `out/shards/i-of-n`. The shard that ends last
    joins them into `out`, equal to what one process would write.

    Args:
        model: predicts, unless `source` does; its options are those of the prediction.
        films: all films of the prediction, those of other shards included.
        out: the prediction's folder.
        shard: the share of this process; all films by default.
        source: predicts films elsewhere, such as `ray_source`.
        report_skipped: called with a message for each film that is skipped.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false, none can be read, another
            process writes the same, or `out` holds another finished prediction.
    """
    shard = shard or Shard()
    size = model.options.batch_size
    mine = [
        film
        for first in range(shard.index * size, len(films), size * shard.of)
        for film in films[first : first + size]
    ]
    info = prediction_info(model)
    _refuse_another(out, films, info)
    run = {**_run(model, films), "shard": str(shard)}
    target = shard_folder(out, shard)
    is_whole = shard.of == 1
    if not is_whole and (done := _finished(target, run)) is not None:
        report = PredictReport(**done, already_done=len(mine), missing_shards=())
    else:
        with UnfinishedPrediction(target, run) as unfinished:
            first = unfinished.films
            rest = mine[first:]
            stream = (source or model.predict_listed)(rest) if rest else iter(())
            with progress_bar(total=len(mine), initial=first, desc="predict", unit="film") as bar:
                while block := list(islice(stream, size)):
                    _report_problems(block, report_skipped)
                    unfinished.append(prediction_of_films(block, model.keywords, info))
                    bar.update(len(block))
            counts = unfinished.counts()
            if is_whole and counts["skipped"] == len(films) > 0:
                first_error = unfinished.discard()
                raise DataError(f"none of {len(films)} films can be read; the first: {first_error}")
            described = info if is_whole else {**info, "run": run, "counts": counts}
            unfinished.finish(described, is_shard=not is_whole)
        report = PredictReport(**counts, already_done=first, missing_shards=())
    if not is_whole:
        report = replace(report, missing_shards=join_shards(out, shard.of, size))
    return report


def _report_problems(
    block: Sequence[FilmPrediction | SkippedFilm], report_skipped: Callable[[str], None]
) -> None:
    for film in block:
        if isinstance(film, SkippedFilm):
            report_skipped(f"skipped {film.image_id}: {film.error}")
        elif film.warning:
            logger.warning("%s: %s", film.image_id, film.warning)


def _refuse_another(out: Path, films: Sequence[FilmToPredict], info: Mapping[str, Any]) -> None:
    """Refuse to overwrite another finished prediction: pages and corrections belong to it."""
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


def _run(model: Model, films: Sequence[FilmToPredict]) -> dict[str, Any]:
    """The settings that two runs must share to resume or join each other's work."""
    digest = hashlib.sha256()
    for film in films:
        digest.update(json.dumps([film.image_id, film.path]).encode())
    settings = asdict(model.options)
    del settings["skip_errors"], settings["verify"]  # they change no finished film
    if model.options.engine == "ray":
        settings["engine"] = "torch"
    return {"bundle_id": model.bundle_id, "films": digest.hexdigest(), "options": settings}


def _finished(target: Path, run: dict[str, Any]) -> dict[str, int] | None:
    """The counts of a shard that an earlier run has finished, or None."""
    try:
        content = json.loads((target / DESCRIPTION).read_text("utf-8"))
        if content["run"] == run:
            return {
                name: int(content["counts"][name]) for name in ("predicted", "skipped", "boxes")
            }
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or another run: predicted again
    return None
