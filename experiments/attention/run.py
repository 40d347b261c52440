"""`run_attention`: detectors, films and gates of all seeds, in parallel processes.

Finished parts are cached, so a run that was cut goes on where it was. Each method of each seed
leaves its ranked boxes in `predictions/seed_N/PAIRS_METHOD.npz`, and the test films' true boxes lie
beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from attributes.vectors.word_vectors import read_word_vectors
from data_manifests.support.arrays import Floats
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import read_manifest
from experiments.attention.adapted import SOURCES, AdaptationFilms, adapted_boxes
from experiments.attention.gates import SeedFilms, method_logits
from experiments.attention.hospital_b import FILMS, Part, draw_part, test_part, train_parts
from experiments.attention.pair_films import (
    PairFilms,
    join_pairs,
    read_boxed,
    read_pairs,
    read_test,
)
from experiments.attention.preset import AttentionPreset
from experiments.attention.ranked import rank_candidates, write_ranked
from experiments.core.processes import Job, run_jobs
from experiments.methods.inputs import Progress
from localize.pipeline.phantom_stages import hospital_a_films, hospital_a_stage

PREDICTIONS = "predictions"
TRUTH = "truth.npz"


@dataclass(frozen=True)
class AttentionRun:
    """A run: `out` gets a folder for each seed, `words` holds word vectors, `device` is a name.

    `detectors` holds `seed_N/detector` or `seed_N` with trained detectors, as `experiment
    detectors` leaves them; None trains them here.
    """

    preset: AttentionPreset
    out: Path
    words: Path
    device: str = "cpu"
    detectors: Path | None = None

    def detector(self, seed: int) -> Path:
        """Folder of a seed's detector; hospital A's films are drawn if they are not there."""
        base, size = self.out / f"seed_{seed}", self.preset.size
        if self.detectors is None:
            hospital_a_stage(base, seed=seed, size=size)
            return base / "detector"
        if not (base / "hospital_a" / "images.csv").exists():
            hospital_a_films(base, seed=seed, size=size)
        given = self.detectors / f"seed_{seed}"
        return given / "detector" if (given / "detector").is_dir() else given


def run_attention(run: AttentionRun, *, processes: int, progress: Progress) -> None:
    """Run all methods of all seeds; with several `processes` films are drawn meanwhile."""
    if processes == 1:
        for seed in run.preset.seeds:
            progress(f"seed {seed}")
            run_seed(run, seed)
        return
    run_jobs([*_seed_jobs(run), *_film_jobs(run)], processes, progress)


def _seed_jobs(run: AttentionRun) -> list[Job]:
    return [Job(f"seed {seed}", partial(run_seed, run, seed)) for seed in run.preset.seeds]


def _film_jobs(run: AttentionRun) -> list[Job]:
    """The films in the order in which they are needed: of every seed the first ones first."""
    counts = sorted(run.preset.methods)
    jobs: dict[str, Job] = {}
    for seed in run.preset.seeds:
        test = _test(run, seed)
        jobs[str(test.folder)] = Job(f"test films of seed {seed}", partial(_draw, test))
    for count in counts:
        for seed in run.preset.seeds:
            for part in _parts(run, seed, count):
                jobs.setdefault(
                    str(part.folder),
                    Job(f"{part.folder.name}, seed {seed}", partial(_draw, part)),
                )
    return list(jobs.values())


def _draw(part: Part) -> None:
    draw_part(part)


def _base(run: AttentionRun, seed: int) -> Path:
    return run.out / f"seed_{seed}"


def _test(run: AttentionRun, seed: int) -> Part:
    return test_part(_base(run, seed), seed, run.preset.film_px, run.preset.films_test)


def _parts(run: AttentionRun, seed: int, count: int) -> list[Part]:
    first = train_parts(_base(run, seed), seed, run.preset.film_px, run.preset.films_b)
    return [part for part in first if part.start < count]


def run_seed(run: AttentionRun, seed: int) -> None:
    """Detector, film maps and every method of one seed; what is there is not done again."""
    device, base = torch.device(run.device), _base(run, seed)
    detector = run.detector(seed)
    boxed = read_manifest(base / "hospital_a")
    test = _test(run, seed)
    draw_part(test)
    films = SeedFilms(
        seed=seed,
        detector=detector,
        boxed=read_boxed(boxed.split("train"), detector, base / "maps_train", device),
        val=read_boxed(boxed.split("val"), detector, base / "maps_val", device),
        test=read_test(test, detector, device),
    )
    films = replace(films, test=replace(films.test, maps=films.test.maps.held(device)))
    films = replace(films, boxed=replace(films.boxed, maps=films.boxed.maps.held(device)))
    folder = run.out / PREDICTIONS / f"seed_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    patients = read_manifest(test.folder / FILMS).images["patient_id"].tolist()
    write_truth(films.test.true_boxes, patients, folder / TRUTH)
    done: dict[str, PairFilms] = {}
    for count, methods in sorted(run.preset.methods.items()):
        pairs = _joined(run, seed, count, detector, device, done)
        for method in methods:
            path = folder / f"{count:05d}_{method}.npz"
            if path.exists():
                continue
            words = read_word_vectors(run.words)
            if method in SOURCES:
                ranked = adapted_boxes(
                    method,
                    _adaptation(run, seed, count, films),
                    pairs,
                    preset=run.preset,
                    words=words,
                    device=device,
                )
            else:
                logits = method_logits(
                    method, films, pairs, preset=run.preset, words=words, device=device
                )
                ranked = rank_candidates(films.test.maps, logits)
            write_ranked(ranked, path)


def _adaptation(run: AttentionRun, seed: int, count: int, films: SeedFilms) -> AdaptationFilms:
    """The manifests of the first `count` pairs and of hospital A."""
    base = _base(run, seed)
    pairs = join_manifests([read_manifest(one.folder / FILMS) for one in _parts(run, seed, count)])
    return AdaptationFilms(
        seed=seed,
        detector=films.detector,
        boxed=read_manifest(base / "hospital_a"),
        pairs=pairs.subset((np.arange(len(pairs.images)) < count).tolist()),
        test=read_manifest(_test(run, seed).folder / FILMS),
        folder=base / f"adapted_{count:05d}",
    )


def _joined(
    run: AttentionRun,
    seed: int,
    count: int,
    detector: Path,
    device: torch.device,
    done: dict[str, PairFilms],
) -> PairFilms:
    """The first `count` pairs; `done` keeps the parts that were read before."""
    parts = _parts(run, seed, count)
    for part in parts:
        if part.folder.name not in done:
            draw_part(part)
            done[part.folder.name] = read_pairs(part, detector, device)
    joined = join_pairs([done[part.folder.name] for part in parts]).first(count)
    return replace(joined, maps=joined.maps.held(device))


def write_truth(true_boxes: Sequence[Floats], patients: Sequence[str], path: Path) -> None:
    """The true boxes and the patients of the test films."""
    counts = [len(boxes) for boxes in true_boxes]
    np.savez_compressed(
        path,
        boxes=np.concatenate([np.zeros((0, 4)), *true_boxes]).astype(np.float32),
        counts=np.array(counts, np.int64),
        patients=np.unique(patients, return_inverse=True)[1].astype(np.int64),
    )
