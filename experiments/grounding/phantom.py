"""`run_grounding`: the four rows of the paper's table 1 on described phantom films.

Rows: with and without the lungs as a second channel (anatomy), with and without structured phrases
(structure). Each seed has films, word vectors and networks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from data_manifests.support.arrays import Bools, Floats, Floats32, Ints
from experiments.data.described_films import (
    DescribedExamples,
    DescribedSize,
    described_examples,
)
from experiments.methods.inputs import Progress, no_progress
from localize.evaluation.bootstrap import Estimate, estimates, patient_weights
from localize.grounding.network.map_scores import score_maps
from localize.grounding.network.train import (
    GroundingTraining,
    maps_of_logits,
    predict_logits,
    train_grounding,
)
from localize.pipeline.cached import cached

REPLICATES = 1000
LOGITS = "logits.npy"


@dataclass(frozen=True)
class Aids:
    """A row: which of the paper's two aids the network has."""

    anatomy: bool
    structuring: bool

    @property
    def name(self) -> str:
        """Such as `both`."""
        names = [name for name in ("anatomy", "structuring") if getattr(self, name)]
        return "both" if len(names) == 2 else names[0] if names else "neither"


ROWS = (Aids(False, False), Aids(True, False), Aids(False, True), Aids(True, True))


@dataclass(frozen=True)
class PhantomGrounding:
    """The films, the training and the output folder `out`; finished parts there are reused."""

    out: Path
    size: DescribedSize = field(default_factory=DescribedSize)
    training: GroundingTraining = field(
        default_factory=lambda: GroundingTraining(has_anatomy=False, has_structure=False)
    )


@dataclass(frozen=True)
class RowScores:
    """One row on the Q test findings of all seeds; NaN where a score is not defined.

    `dice`, `miou`, `is_hit`, `all_regions`, `has_box` (Q,) as in `MapScores`.
    """

    dice: Floats
    miou: Floats
    is_hit: Floats
    all_regions: Floats
    has_box: Floats


@dataclass(frozen=True)
class GroundingTable:
    """All rows on the same findings.

    Args:
        rows: by the name of the aids.
        patients: (Q,) patient of each finding; no patient is in two seeds.
        findings: Q names.
        is_absent: (Q,) findings without a region: denied, or resolved.
        seeds: of the films and trainings.
    """

    rows: Mapping[str, RowScores]
    patients: Ints
    findings: tuple[str, ...]
    is_absent: Bools
    seeds: tuple[int, ...]

    def estimates_of(self, values: Mapping[str, Floats]) -> dict[str, Estimate]:
        """Means with 95 % intervals of a bootstrap over patients; NaN values are left out."""
        return mean_estimates(values, self.patients)


def mean_estimates(values: Mapping[str, Floats], patients: Ints) -> dict[str, Estimate]:
    """Means of (Q,) values without their NaN, with intervals over patients (Q,) of any numbers."""
    owners = np.unique(patients, return_inverse=True)[1]
    columns = np.stack(list(values.values()), axis=1)
    known = np.isfinite(columns)
    filled = np.where(known, columns, 0.0)

    def means(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            found: Floats = (weights @ filled) / (weights @ known)
        return found

    plain = means(np.ones((1, len(patients))))
    drawn = [means(patient_weights(owners, range(k, k + 1), 0)) for k in range(REPLICATES)]
    return dict(zip(values, estimates(np.concatenate([plain, *drawn])), strict=True))


def run_grounding(
    run: PhantomGrounding, seeds: Sequence[int], *, progress: Progress = no_progress
) -> GroundingTable:
    """Train every row on every seed, and score all on the same test findings."""
    scores: dict[str, list[RowScores]] = {aids.name: [] for aids in ROWS}
    patients, findings, absent = list[Ints](), list[str](), list[Bools]()
    for seed in seeds:
        progress(f"seed {seed}: films")
        train, test = described_examples(run.out / f"seed_{seed}", seed, run.size)
        for aids in ROWS:
            progress(f"seed {seed}: {aids.name}")
            maps = maps_of_logits(_logits(run, seed, aids, train, test))
            found = score_maps(maps, test.examples.boxes)
            scores[aids.name].append(
                RowScores(found.dice, found.miou, found.is_hit, found.all_regions, found.has_box)
            )
        patients.append(test.patients + seed * (run.size.train + run.size.test))
        findings += test.findings
        absent.append(np.array([word != "present" for word in test.assertions]))
    return GroundingTable(
        {name: _pooled(parts) for name, parts in scores.items()},
        np.concatenate(patients),
        tuple(findings),
        np.concatenate(absent),
        tuple(seeds),
    )


def _logits(
    run: PhantomGrounding,
    seed: int,
    aids: Aids,
    train: DescribedExamples,
    test: DescribedExamples,
) -> Floats32:
    """The test logits of one row, trained unless they are there."""
    training = replace(
        run.training, has_anatomy=aids.anatomy, has_structure=aids.structuring, seed=seed
    )

    def build(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        device = torch.device("cpu")
        network = train_grounding(train.examples, training, device)
        logits = predict_logits(network, test.examples, has_anatomy=aids.anatomy, device=device)
        np.save(folder / LOGITS, logits.astype(np.float16), allow_pickle=False)

    settings = {**asdict(training), "size": asdict(run.size)}
    folder = cached(run.out / f"seed_{seed}" / aids.name, settings, build)
    return np.asarray(np.load(folder / LOGITS, allow_pickle=False), np.float32)


def _pooled(parts: Sequence[RowScores]) -> RowScores:
    names = ("dice", "miou", "is_hit", "all_regions", "has_box")
    return RowScores(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))
