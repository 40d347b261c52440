"""`run_phantom`: every method on the phantom films of several seeds, judged on all films together.

For each seed a fresh phantom, detector and methods; intervals therefore cover the seeds as well as
the patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch

from data_manifests.atomic import write_json
from data_manifests.manifest import Manifest, read_manifest
from experiments.attention import PairParts
from experiments.baselines.classifier import ClassifierSettings
from experiments.judge import judge_methods
from experiments.kept_settings import refuse_other_settings
from experiments.methods import Method, Road, TestSet, method_prediction
from experiments.pooling import pooled_manifest, pooled_prediction
from experiments.sides import NO_SIDES, SideCount, count_sides
from localize.bundle import load_bundle, read_json
from localize.evaluation import Evaluation
from localize.prediction import Prediction
from localize.quickstart import QuickstartSize, learn_boxes, read_pairs

CPU = torch.device("cpu")
DATASET = "phantom hospital B, test"
# Either says that the detector and the regions of a folder are finished.
FINISHED = ("prepared.json", "evaluation.md")


@dataclass(frozen=True)
class PhantomResult:
    """All methods on the pooled test films, and the share of side words that found their side."""

    evaluations: Mapping[str, Evaluation]
    predictions: Mapping[str, Prediction]
    sides: Mapping[str, SideCount]
    truth: Manifest
    methods: tuple[Method, ...]


def run_phantom(
    out: Path,
    *,
    seeds: Sequence[int],
    size: QuickstartSize,
    methods: Sequence[Method],
    classifier: ClassifierSettings | None = None,
    shift: float | None = None,
    pairs: int | None = None,
    processes: int = 1,
) -> Iterator[str | PhantomResult]:
    """Train and judge every method on every seed; yields progress lines, at the end the result.

    Finished parts in `out` are not done again. `shift` takes hospital B of another strength, with
    the same hospital A and detector; `pairs` trains on the first so many films of hospital B only.
    With several `processes` as many seeds are made at a time, each with one thread.
    """
    finish = partial(
        _finish_seed,
        out,
        size=size,
        methods=tuple(methods),
        classifier=classifier,
        shift=shift,
        pairs=pairs,
    )
    if processes > 1:
        yield from _in_processes(finish, seeds, processes)
    predictions: dict[str, list[tuple[int, Prediction]]] = {one.name: [] for one in methods}
    sides = {method.name: NO_SIDES for method in methods}
    tests = []
    for seed in seeds:
        yield f"seed {seed}"
        road, test, made = finish(seed)
        tests.append((seed, test.films))
        for method in methods:
            predictions[method.name].append((seed, made[method.name]))
            if method.bundle is not None:
                bundle = load_bundle(method.bundle(road))
                sides[method.name] += count_sides(bundle, test.films, CPU)
    truth = pooled_manifest(tests)
    pooled = {
        method.name: pooled_prediction(predictions[method.name], method.draws) for method in methods
    }
    yield PhantomResult(
        evaluations=judge_methods(pooled, methods, truth, planted_attributes(truth)),
        predictions=pooled,
        sides=sides,
        truth=truth,
        methods=tuple(methods),
    )


def _finish_seed(
    out: Path,
    seed: int,
    *,
    size: QuickstartSize,
    methods: tuple[Method, ...],
    classifier: ClassifierSettings | None,
    shift: float | None,
    pairs: int | None,
) -> tuple[Road, TestSet, dict[str, Prediction]]:
    folder = prepare_seed(out / f"seed_{seed}", seed=seed, size=size, shift=shift)
    road = phantom_road(out / f"seed_{seed}", folder, seed=seed, classifier=classifier)
    if pairs is not None:
        road = with_pairs(road, pairs)
    test = phantom_test(folder)
    return road, test, {method.name: method_prediction(method, road, test) for method in methods}


def _in_processes(
    finish: Callable[[int], object], seeds: Sequence[int], processes: int
) -> Iterator[str]:
    """Leave the finished parts of all seeds on the disk."""
    with ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        work = {pool.submit(_only_finish, finish, seed): seed for seed in seeds}
        try:
            for done in as_completed(work):
                done.result()
                yield f"seed {work[done]} is finished"
        except BaseException:
            pool.shutdown(cancel_futures=True)  # seeds that have not begun
            raise


def _only_finish(finish: Callable[[int], object], seed: int) -> None:
    finish(seed)  # the result stays on the disk: it is large


def prepare_seed(base: Path, *, seed: int, size: QuickstartSize, shift: float | None) -> Path:
    """Both hospitals and the detector of a seed; returns the folder of hospital B.

    With a `shift` other than that of `size`, hospital B lies in a folder of its own below `base`.

    Raises:
        ConfigError: the folder was prepared with another size.
    """
    if not any((base / name).exists() for name in FINISHED):
        learn_boxes(base, seed=seed, size=size)
        read_pairs(base, base / "detector", seed=seed, size=size)
        write_json(base / FINISHED[0], {"seed": seed, "size": asdict(size)})
    _check_size(base, size)
    if shift is None or shift == size.shift:
        return base
    shifted, changed = base / f"shift_{shift:.2f}", replace(size, shift=shift)
    if not (shifted / FINISHED[0]).exists():
        read_pairs(shifted, base / "detector", seed=seed, size=changed)
        write_json(shifted / FINISHED[0], {"seed": seed, "size": asdict(changed)})
    _check_size(shifted, changed)
    return shifted


def _check_size(folder: Path, size: QuickstartSize) -> None:
    """Refuse a prepared folder of other films; one of a quickstart does not say its size."""
    marker = folder / FINISHED[0]
    made = read_json(marker).get("size") if marker.exists() else None
    if made is not None:
        refuse_other_settings(folder, made, asdict(size))


def phantom_road(
    base: Path, folder: Path, *, seed: int, classifier: ClassifierSettings | None = None
) -> Road:
    """The road of a prepared seed: hospital A in `base`, hospital B in `folder`."""
    boxed, pairs = read_manifest(base / "hospital_a"), read_manifest(folder / "hospital_b")
    return Road(
        parts=PairParts(
            detector=base / "detector",
            rois=folder / "rois",
            attributes=folder / "attributes",
            words=folder / "words",
            pairs=pairs,
            validation=boxed.split("val"),
            severity_films=pairs.split("train"),
            training_data="phantom films",
        ),
        boxed=boxed,
        place=folder / "methods",
        seed=seed,
        device=CPU,
        classifier=classifier or ClassifierSettings(),
    )


def phantom_test(folder: Path) -> TestSet:
    """The test films of hospital B."""
    films = read_manifest(folder / "hospital_b").split("test")
    return TestSet(DATASET, "prediction", films)


def with_pairs(road: Road, count: int) -> Road:
    """The same road with the first `count` training films of hospital B only."""
    images = road.parts.pairs.images
    is_train = (images["split"] == "train").to_numpy(bool)
    kept = ~is_train | (is_train.cumsum() <= count)
    return replace(
        road,
        parts=replace(road.parts, pairs=road.parts.pairs.subset(kept.tolist())),
        place=road.place.with_name(f"pairs_{count}"),
    )


def planted_attributes(truth: Manifest) -> pd.DataFrame:
    """The planted attributes of every film, whatever its report says."""
    planted = [name for name in truth.labels.columns if str(name).startswith("kw_")]
    table = truth.labels[["image_id", *planted]]
    return table.rename(columns={name: str(name).removeprefix("kw_") for name in planted})
