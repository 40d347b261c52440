"""Attention training: a step against per-report loops, an epoch of the paper's pairs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attributes.vectors.word_vectors import WordVectors
from detector.proposals import FilmRois, ProposalOptions, Rois
from detector.roi_store import RoiStore, StoreHeader, create_store
from experiments.benchmark.peak import Cost, in_process
from experiments.benchmark.rows import BenchmarkRow, alternately, scaled, seconds_of
from experiments.benchmark.scan_loops import backward_with_all_films, loop_losses
from experiments.benchmark.sizes import Bench, BenchmarkSize
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.localizer import Localizer, Regions, build_localizer
from localize.training.objective import Objective, build_objective
from localize.training.pair_batch import PairBatch, make_pair_batch
from localize.training.pairs import Pairs
from localize.training.train import train_localizer
from localize.training.training_data import TrainingData

KEYWORDS = 22  # the paper's
EPOCH_GOAL_S, MEMORY_GOAL_MIB = 60.0, 1024
WORDS_A_REPORT = 4
VALIDATION_PAIRS = 64
CPU = torch.device("cpu")


def attention_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """A training step beside the loops, and one epoch from a ROI store in a new process."""
    yield from _step_rows(bench)
    yield from _epoch_rows(bench)


def random_words(size: BenchmarkSize) -> WordVectors:
    """Word vectors in random directions; neighbours are each other's negatives."""
    random = np.random.default_rng(0)
    return WordVectors(
        keywords=tuple(f"word {k}" for k in range(KEYWORDS)),
        axes=("zone",) * KEYWORDS,
        vectors=random.standard_normal((KEYWORDS, size.word_width)).astype(np.float32),
        negatives=np.arange(KEYWORDS, dtype=np.int64) ^ 1,
        policy="fixed",
    )


def random_pairs(count: int, *, first_row: int = 0) -> Pairs:
    """Pairs whose reports name each keyword with the same small probability, and at least one."""
    random = np.random.default_rng(first_row + 1)
    targets = (random.random((count, KEYWORDS)) < WORDS_A_REPORT / KEYWORDS).astype(np.float32)
    targets[np.arange(count), random.integers(0, KEYWORDS, count)] = 1
    rows = np.arange(first_row, first_row + count, dtype=np.int64)
    return Pairs(
        rows=rows,
        image_ids=tuple(f"film {row}" for row in rows),
        patient_ids=tuple(f"patient {row}" for row in rows),
        targets=targets,
        mask=np.ones_like(targets),
        boxes=(None,) * count,
    )


def random_regions(films: int, size: BenchmarkSize, seed: int) -> Regions:
    """Random ROIs, none masked."""
    noise = torch.Generator().manual_seed(seed)
    corner = torch.rand(films, size.regions, 2, generator=noise) * 0.5
    side = 0.1 + torch.rand(films, size.regions, 2, generator=noise) * 0.4
    return Regions(
        features=torch.randn(films, size.regions, size.region_width, generator=noise),
        geometry=torch.cat([corner, corner + side], dim=2),
        scores=torch.rand(films, size.regions, generator=noise),
        mask=torch.ones(films, size.regions, dtype=torch.bool),
    )


@dataclass(frozen=True)
class AttentionStep:
    """A localizer, its objective and one batch of pairs."""

    model: Localizer
    objective: Objective
    batch: PairBatch


def make_step(size: BenchmarkSize) -> AttentionStep:
    """The default localizer without dropout on one batch of noise."""
    words, pairs = random_words(size), random_pairs(size.attention_batch)
    config, training = LocalizerConfig(dropout=0.0), LocalizeTrainConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_localizer(
            config,
            feature_width=size.region_width,
            word_width=size.word_width,
            keywords=KEYWORDS,
        )
    batch = make_pair_batch(
        random_regions(len(pairs), size, seed=0),
        random_regions(len(pairs), size, seed=1),
        pairs,
        np.arange(len(pairs)),
        CPU,
    )
    return AttentionStep(model, build_objective(config, training, words, pairs, CPU), batch)


def _step_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    size = bench.size
    step = make_step(size)
    model, objective, batch = step.model, step.objective, step.batch

    def backward(losses: dict[str, Tensor]) -> None:
        model.zero_grad(set_to_none=True)
        objective.total(losses).mean().backward()  # type: ignore[no-untyped-call] # as in training

    def ours() -> None:
        backward(objective.parts(model, batch))

    def loops() -> None:
        backward(loop_losses(objective, model, batch))

    def all_films() -> None:
        model.zero_grad(set_to_none=True)
        backward_with_all_films(objective, model, batch)

    def forward() -> None:
        with torch.no_grad():
            objective.parts(model, batch)

    whole, own_film, only_forward, all_pairs = alternately(
        [ours, loops, forward, all_films], bench.runs
    )
    sizes = f"batch {len(batch)}, {size.regions} regions, {KEYWORDS} attributes"
    row = BenchmarkRow(
        name="attention_vs_loops",
        group="attention",
        what=f"forward and backward of the printed loss, {sizes}",
        ours=whole,
        baseline=all_pairs,
        baseline_is="as SCAN: report after report, each with every film of the batch",
        ratio_is="baseline / ours",
        goal=">= 20",
        unit="ms/step",
        runs=bench.runs,
    )
    yield scaled(row, 1e3)
    row = BenchmarkRow(
        name="attention_vs_pair_loops",
        group="attention",
        what="the same against loops that leave out what the printed loss does not need",
        ours=whole,
        baseline=own_film,
        baseline_is="report after report, each with its own film only",
        ratio_is="baseline / ours",
        unit="ms/step",
        runs=bench.runs,
        detail={"forward_share": only_forward / whole},
    )
    yield scaled(row, 1e3)


def _epoch_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    size = bench.size
    store = bench.work / "pairs"
    writing = seconds_of(partial(write_random_store, store, size.pairs + VALIDATION_PAIRS, size))
    cost = in_process(partial(train_one_epoch, store, size), bench.runs)
    yield epoch_row(
        "attention_epoch_11308",
        "attention",
        f"one epoch of {size.pairs} pairs from a ROI store, start and validation included",
        cost,
        runs=bench.runs,
        detail={"hours_for_185_epochs": cost.seconds * 185 / 3600},
    )
    batch, steps = size.attention_batch, -(-size.pairs // size.attention_batch)
    with RoiStore(store) as opened:
        rows = np.random.default_rng(0).permutation(size.pairs)[:batch]

        def read() -> None:
            for lowest in (False, True):
                Regions.from_batch(opened.read(rows, lowest=lowest), CPU)

        (reading,) = alternately([read], bench.runs)
    yield BenchmarkRow(
        name="attention_epoch_reading",
        group="attention",
        what="of that: reading regions from the store (cached by the system)",
        ours=reading * steps,
        unit="s/epoch",
        runs=bench.runs,
        detail={"share": reading * steps / cost.seconds, "store_written_s": writing},
    )


def epoch_row(
    name: str, group: str, what: str, cost: Cost, *, runs: int, detail: Mapping[str, float]
) -> BenchmarkRow:
    """An epoch of the paper's pairs beside the goals for its time and memory."""
    return BenchmarkRow(
        name=name,
        group=group,
        what=what,
        ours=cost.seconds,
        baseline=EPOCH_GOAL_S,
        baseline_is="the goal",
        goal="<= 1.00",
        unit="s/epoch",
        runs=runs,
        detail={
            "peak_mib": cost.peak_mib,
            "peak_of_imports_mib": cost.imports_mib,
            "peak_goal_mib": MEMORY_GOAL_MIB,
            "threads": torch.get_num_threads(),
            **detail,
        },
    )


def write_random_store(folder: Path, films: int, size: BenchmarkSize) -> None:
    """A ROI store of noise; ten films' noise is repeated."""
    header = StoreHeader(films, size.regions, size.region_width, "0" * 64, ProposalOptions())
    create_store(folder, [f"film {row}" for row in range(films)], header)
    kinds = [_random_rois(size, seed) for seed in range(10)]
    with RoiStore(folder, writable=True) as store:
        for row in range(films):
            store.write(row, kinds[row % len(kinds)], 1000, 1000, (1.0, 1.0))


def _random_rois(size: BenchmarkSize, seed: int) -> FilmRois:
    best, lowest = (random_regions(1, size, seed=2 * seed + k) for k in (0, 1))
    return FilmRois(
        *(
            Rois(part.features[0], part.geometry[0] * 1000, part.scores[0])
            for part in (best, lowest)
        )
    )


def train_one_epoch(store: Path, size: BenchmarkSize) -> None:
    """`train_localizer` for one epoch, into a folder that is thrown away."""
    config = LocalizerConfig()
    training = LocalizeTrainConfig(epochs=1, batch_size=size.attention_batch)
    with tempfile.TemporaryDirectory(dir=store.parent) as out, RoiStore(store) as opened:
        data = TrainingData(
            opened,
            random_pairs(size.pairs),
            random_pairs(VALIDATION_PAIRS, first_row=size.pairs),
            random_words(size),
        )
        train_localizer(
            build_localizer(config, **data.sizes),
            build_objective(config, training, data.words, data.train, CPU),
            data,
            Path(out),
            training=training,
        )
