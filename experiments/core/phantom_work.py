"""`PhantomWork`: what is made for each seed of a phantom run, and in which process."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread

import torch

from data_manifests.support.atomic import write_json
from data_manifests.support.one_thread import one_thread
from data_manifests.support.other_settings import refuse_other_settings
from data_manifests.tables.manifest import read_manifest
from experiments.core.road import Road, TestSet
from experiments.core.sides import kept_sides
from experiments.methods.classifier import ClassifierSettings
from experiments.methods.method import Method, method_prediction
from localize.bundle.bundle import read_json
from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.pipeline.phantom_stages import PhantomSize, hospital_a_stage, hospital_b_stage
from localize.pipeline.stages import PairParts

CPU = torch.device("cpu")
SHIPPED_WEIGHTS = PACKAGED_BUNDLE / "detector.safetensors"
DATASET = "phantom hospital B, test"
# Either says that the detector and the regions of a folder are finished.
FINISHED = ("prepared.json", "evaluation.md")


@dataclass(frozen=True)
class PhantomWork:
    """Films, detector and methods of any seed, below `out`; finished parts are not made again.

    `shift` takes hospital B of another strength, with the same hospital A and detector; `pairs`
    trains on the first so many films of hospital B only.
    """

    out: Path
    size: PhantomSize
    methods: tuple[Method, ...]
    classifier: ClassifierSettings
    shift: float | None = None
    pairs: int | None = None

    def road(self, seed: int) -> tuple[Road, TestSet]:
        """The prepared road of a seed and its test films; prepares what is not there."""
        base = self.out / f"seed_{seed}"
        folder = prepare_seed(base, seed=seed, size=self.size, shift=self.shift)
        road = phantom_road(base, folder, seed=seed, classifier=self.classifier)
        return (road if self.pairs is None else with_pairs(road, self.pairs)), phantom_test(folder)

    def make(self, seed: int, methods: Sequence[Method]) -> None:
        """Leave a seed's road, predictions and counts of sides on the disk, a method at a time."""
        road, test = self.road(seed)
        for method in methods:
            method_prediction(method, road, test)
            if method.bundle is not None:
                kept_sides(road.place / method.name, method.bundle(road), test.films, road.device)

    def groups(self) -> list[tuple[Method, ...]]:
        """The methods, those of a common part in one group."""
        found: dict[str, list[Method]] = {}
        for method in self.methods:
            found.setdefault(method.part, []).append(method)
        return [tuple(group) for group in found.values()]


def make_in_processes(work: PhantomWork, seeds: Sequence[int], processes: int) -> Iterator[str]:
    """Leave the finished parts of all seeds on the disk; each process has one thread.

    An error in one of them, Ctrl-C or SIGTERM stops all.
    """
    groups = work.groups()
    context = get_context("spawn")  # fork is unsafe beside torch's threads
    with ProcessPoolExecutor(processes, context, initializer=begin_process) as pool:
        # Films and detector of every seed first: making no method prepares its road.
        todo: deque[tuple[int, tuple[Method, ...]]] = deque((seed, ()) for seed in seeds)
        running: dict[Future[None], tuple[int, tuple[Method, ...]]] = {}
        try:
            while todo or running:
                # No more than run at once: a process that is told to stop would begin the next one.
                while todo and len(running) < processes:
                    seed, group = todo.popleft()
                    running[pool.submit(work.make, seed, group)] = seed, group
                for one in wait(running, return_when=FIRST_COMPLETED).done:
                    seed, group = running.pop(one)
                    one.result()
                    if not group:
                        todo.extend((seed, methods) for methods in groups)
                    names = ", ".join(method.name for method in group)
                    yield f"seed {seed}: {names or 'films and detector'}"
        except BaseException:
            for process in active_children():
                process.terminate()  # a training saves its state first
            raise


def begin_process() -> None:
    """What each process of a run does first: one thread, and no life without the run."""
    torch.set_num_threads(1)
    one_thread()
    Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """Ask this process to stop, as `kill` does, when the run that started it is gone."""
    if (parent := parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def prepare_seed(base: Path, *, seed: int, size: PhantomSize, shift: float | None) -> Path:
    """Both hospitals and the detector of a seed; returns the folder of hospital B.

    With a `shift` other than that of `size`, hospital B lies in a folder of its own below `base`.

    Raises:
        ConfigError: the folder was prepared with another size.
    """
    if not any((base / name).exists() for name in FINISHED):
        hospital_a_stage(base, seed=seed, size=size)
        hospital_b_stage(base, base / "detector", seed=seed, size=size)
        write_json(base / FINISHED[0], {"seed": seed, "size": asdict(size)})
    _check_size(base, size)
    if shift is None or shift == size.shift:
        return base
    shifted, changed = base / f"shift_{shift:.2f}", replace(size, shift=shift)
    if not (shifted / FINISHED[0]).exists():
        hospital_b_stage(shifted, base / "detector", seed=seed, size=changed)
        write_json(shifted / FINISHED[0], {"seed": seed, "size": asdict(changed)})
    _check_size(shifted, changed)
    return shifted


def _check_size(folder: Path, size: PhantomSize) -> None:
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
    classifier = classifier or ClassifierSettings()
    return Road(
        parts=PairParts(
            detector=base / "detector",
            rois=folder / "rois",
            attributes=folder / "attributes",
            words=folder / "words",
            pairs=pairs,
            validation=boxed.split("val"),
            training_data="phantom films",
        ),
        boxed=boxed,
        place=folder / "methods",
        seed=seed,
        device=CPU,
        classifier=classifier,
        # Both networks start from the same body.
        backbone_weights=SHIPPED_WEIGHTS if classifier.classifier.is_pretrained else None,
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
