"""`ray_blocks`: prediction on a Ray cluster, by processes that hold the model.

Each block of films is a task of its own. Ray gives the tasks of a process or machine that dies to
another one; what comes back is written here, as without a cluster, so a restart goes on, too.
The films and the bundle must be readable under the same paths on all machines.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from data_manifests.support.errors import ConfigError, DataError
from detector.run.device import choose_device
from localize.bundle.bundle import load_bundle
from localize.prediction.predict_films import (
    FilmToPredict,
    PredictedBlock,
    PredictOptions,
    predicted_blocks,
)

Task = dict[str, Any]  # Any: Ray hands rows over as plain columns


def ray_blocks(
    bundle: Path, options: PredictOptions, device: str, *, actors: int
) -> Callable[[Sequence[FilmToPredict]], Iterator[PredictedBlock]]:
    """A source of blocks for `predict_folder`, computed by `actors` processes of a Ray cluster.

    The cluster is the one that `RAY_ADDRESS` names, or a local one. On a GPU each process has its
    own.

    Raises:
        ConfigError: the `ray` extra is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("--engine ray: expected the package ray; pip install 'pneumoloc[ray]'")

    def blocks_of(films: Sequence[FilmToPredict]) -> Iterator[PredictedBlock]:
        import ray
        import ray.data

        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        size = options.batch_size
        tasks = [
            {"films": json.dumps([_as_text(film) for film in films[first : first + size]])}
            for first in range(0, len(films), size)
        ]
        uses_gpu = choose_device(device).type == "cuda"
        # One task a block: what is finished can be written, and little is done again.
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
            yield _block(row)

    return blocks_of


class BlockPredictor:
    """The model in a process of the cluster; called with one block of films at a time."""

    def __init__(self, bundle: str, options: PredictOptions, device: str, threads: int) -> None:
        # As many threads as where the run was started: their number decides on the last bits.
        torch.set_num_threads(threads)
        self._bundle = load_bundle(Path(bundle))
        self._options = options
        self._device = choose_device(device)

    def __call__(self, task: Task) -> Task:
        content = json.loads(str(task["films"][0]))
        films = [FilmToPredict(one["image_id"], Path(one["file"]), one["path"]) for one in content]
        try:
            (block,) = predicted_blocks(self._bundle, films, self._options, self._device)
        except DataError as error:  # a bad film is no reason to try again elsewhere
            return {"block": [""], "error": [str(error)]}
        return {"block": [json.dumps(asdict(block))], "error": [""]}


def _as_text(film: FilmToPredict) -> dict[str, str]:
    return {"image_id": film.image_id, "file": str(film.file.resolve()), "path": film.path}


def _block(row: Task) -> PredictedBlock:
    if row["error"]:
        raise DataError(str(row["error"]))
    return PredictedBlock(**json.loads(str(row["block"])))
