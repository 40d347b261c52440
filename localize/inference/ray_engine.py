"""`ray_source`: prediction on a Ray cluster, in processes that hold the model.

Each block of films is one task. Ray gives the tasks of a process or machine that dies to another
one. The tables are written by the process that started the run, so resuming works as without a
cluster. All machines must see the films and the bundle under the same paths.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from data_manifests.support.errors import ConfigError, DataError
from detector.run.device import choose_device
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import FilmToPredict
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_folder import FilmSource
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm

Task = dict[str, Any]  # column -> one value in a list. Any: Ray's own columns are arrays


def ray_source(bundle: Path, options: PredictOptions, device: str, *, actors: int) -> FilmSource:
    """A source of films for `predict_folder`, computed by `actors` processes of a Ray cluster.

    The cluster is the one of `RAY_ADDRESS`, or a local one. On GPUs each process has its own.

    Raises:
        ConfigError: the `ray` extra is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--engine ray: expected the package ray; pip install 'pneumoloc[ray]'")

    def predict(films: Sequence[FilmToPredict]) -> Iterator[FilmPrediction | SkippedFilm]:
        import ray
        import ray.data

        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        size = options.batch_size
        tasks = [
            {"films": task_of_films(films[first : first + size])["films"][0]}
            for first in range(0, len(films), size)
        ]
        uses_gpu = choose_device(device).type == "cuda"
        # One task a block: finished blocks are written at once, and a kill repeats little.
        found = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            BlockPredictor,
            fn_constructor_kwargs={
                "bundle": str(bundle.resolve()),
                "options": replace(options, engine="torch"),
                "device": device,
                "threads": torch.get_num_threads(),
            },
            batch_size=1,
            concurrency=actors,
            num_gpus=1 if uses_gpu else None,
        )
        for row in found.iter_rows():
            yield from films_of_block({name: [value] for name, value in row.items()})

    return predict


class BlockPredictor:
    """The model in a process of the cluster; called with one block of films at a time."""

    def __init__(self, bundle: str, options: PredictOptions, device: str, threads: int) -> None:
        # The last bits of a convolution depend on the number of threads: as in the first process.
        torch.set_num_threads(threads)
        self._model = Model(load_bundle(Path(bundle)), options, choose_device(device))

    def __call__(self, task: Task) -> Task:
        content = json.loads(str(task["films"][0]))
        films = [
            FilmToPredict(one["image_id"], Path(one["file"]), one["path"], one["sha256"])
            for one in content
        ]
        try:
            block = [film.to_dict() for film in self._model.predict_listed(films)]
        except DataError as error:  # an unreadable film is no reason to try on another machine
            return {"block": [""], "error": [str(error)]}
        return {"block": [json.dumps(block)], "error": [""]}


def task_of_films(films: Sequence[FilmToPredict]) -> Task:
    """A block of films as a `BlockPredictor` takes it."""
    listed = [
        {
            "image_id": film.image_id,
            "file": str(film.file.resolve()),
            "path": film.path,
            "sha256": film.sha256,
        }
        for film in films
    ]
    return {"films": [json.dumps(listed)]}


def films_of_block(block: Task) -> Iterator[FilmPrediction | SkippedFilm]:
    """The films that a `BlockPredictor` returned.

    Raises:
        DataError: a film of the block could not be read.
    """
    if block["error"][0]:
        raise DataError(str(block["error"][0]))
    for film in json.loads(str(block["block"][0])):
        yield SkippedFilm(**film) if "error" in film else FilmPrediction.from_dict(film)
