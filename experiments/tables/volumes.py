"""`volumes_table`: the two aids of the volumes' grounding, each alone, both and neither."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_manifests.phantom_volumes.generate import PhantomVolumeOptions, build_phantom_volumes
from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import file_sha256, write_json, write_text
from data_manifests.volumes.volume_set import read_volume_set
from detector.run.provenance import provenance
from detector.run.training_run import has_checkpoint
from experiments.methods.volume_rows import (
    BOTH,
    NEITHER,
    ROWS,
    SPACING_MM,
    VolumeRow,
    row_settings,
)
from localize.evaluation.bootstrap import INTERVAL_PERCENT, patient_weights
from localize.volumes.evaluation.evaluate import GroundingEvaluation, evaluate_grounder
from localize.volumes.evaluation.score_examples import GroundingScores
from localize.volumes.inference.load_grounder import load_grounder
from localize.volumes.training.train import train_grounder

REPLICATES = 1000
SCORES = ("dice", "miou", "accuracy")
PAPER = {  # its table 1, in percent: 10,410 studies of one hospital
    "transformer-neither": "not converged",
    "attention-neither": "27.4 / 15.6 / 66.0",
    "attention-anatomy": "28.1 / 16.6 / 67.9",
    "attention-structuring": "33.0 / 20.3 / 75.9",
    "attention-anatomy-structuring": "34.5 / 21.5 / 77.8",
}


@dataclass(frozen=True)
class RowResult:
    """A trained row on the test volumes; the device and processor time (s) of its training, None
    where it was interrupted."""

    row: VolumeRow
    seed: int
    evaluation: GroundingEvaluation
    train_cpu_s: float | None
    device: str


def run_rows(
    out: Path,
    seeds: Sequence[int],
    *,
    volumes: int,
    epochs: int,
    device: torch.device,
    progress: Callable[[str], None],
) -> list[RowResult]:
    """Train and evaluate every row with every seed; finished trainings are only evaluated.

    Raises:
        Interrupted: a signal; the same call goes on.
    """
    folder = out / "set"
    if not (folder / "set.json").exists():
        options = PhantomVolumeOptions(spacing_mm=SPACING_MM)
        build_phantom_volumes(folder, options, volumes=volumes)
    volume_set = read_volume_set(folder)
    results = []
    for seed in seeds:
        for row in ROWS:
            run, timing = out / f"{row.name}-{seed}", out / f"{row.name}-{seed}" / "time.json"
            started = time.process_time()
            if not timing.exists():
                is_new = not has_checkpoint(run)
                settings = row_settings(row, seed, epochs)
                train_grounder(volume_set, run, settings, device, cache=out / "cache")
                name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
                cpu_s = round(time.process_time() - started, 1) if is_new else None
                write_json(timing, {"cpu_s": cpu_s, "device": name})
            result = evaluate_grounder(
                load_grounder(run, device), volume_set, "test", cache=out / "cache", seed=seed
            )
            spent = json.loads(timing.read_text("utf-8"))
            results.append(RowResult(row, seed, result, spent["cpu_s"], spent["device"]))
            means = result.means
            progress(
                f"{row.name} seed {seed}: Dice {means.dice:.3f}, accuracy {means.accuracy:.3f}"
            )
    return results


def volumes_table(
    results: Sequence[RowResult], out: Path, *, command: str, volumes: int, epochs: int
) -> dict[str, Any]:
    """What `volumes.json` holds."""
    both = [one for one in results if one.row == BOTH]
    denied = sum(one.evaluation.denied for one in both)
    without = sum((one.evaluation.denied_without_map or 0) * one.evaluation.denied for one in both)
    patients = _patients(results)
    return {
        "command": command,
        "provenance": provenance(),
        "data": {
            "volumes": volumes,
            "epochs": epochs,
            "anomalies_sha256": file_sha256(out / "set" / "anomalies.csv"),
        },
        "rows": [
            {
                "method": one.row.method,
                "anatomy": one.row.anatomy,
                "structuring": one.row.structuring,
                "seed": one.seed,
                **{name: round(getattr(one.evaluation.means, name), 4) for name in SCORES},
                "anomalies": one.evaluation.means.anomalies,
                "train_cpu_s": one.train_cpu_s,
                "device": one.device,
            }
            for one in results
        ],
        "means": [
            {
                "row": row.name,
                **{name: _estimate(_values(results, row, name), patients) for name in SCORES},
            }
            for row in ROWS
        ],
        "minus_neither": [
            {
                "row": row.name,
                **{
                    name: _estimate(
                        _values(results, row, name) - _values(results, NEITHER, name), patients
                    )
                    for name in SCORES
                },
            }
            for row in ROWS
            if row != NEITHER
        ],
        "by_kind": [
            {"organ": organ, "type": kind, **asdict(scores)}
            for (organ, kind), scores in _by_kind(both).items()
        ],
        "denied": denied,
        "denied_without_map": without / denied if denied else None,
    }  # fmt: skip


def write_volumes(table: dict[str, Any], folder: Path) -> Path:
    """Write `volumes.json` and `volumes.md`; returns the page."""
    write_json(folder / "volumes.json", table)
    write_text(folder / "volumes.md", volumes_page(table))
    return folder / "volumes.md"


def volumes_page(table: dict[str, Any]) -> str:
    """The page of a `volumes.json`."""
    seeds = sorted({row["seed"] for row in table["rows"]})
    minus = {row["row"]: row for row in table["minus_neither"]}
    lines = [
        "# Grounding in volumes: what the two aids add",
        "",
        f"`{table['command']}`",
        "",
        f"{table['data']['volumes']} phantom volumes, {len(seeds)} trainings of "
        f"{table['data']['epochs']} epochs for each row (seeds {', '.join(map(str, seeds))}), "
        f"{table['rows'][0]['anomalies']} anomalies of unseen test volumes. Brackets: 95 % "
        "bootstrap intervals over volumes; differences are paired. Simulated volumes: nothing here "
        "says how good it is on patients.",
        "",
        "| row | Dice | mIoU | accuracy | accuracy minus neither | paper, %: Dice / mIoU / acc. |",
        "|---|---|---|---|---|---|",
    ]
    for row in table["means"]:
        difference = minus.get(row["row"])
        cells = [_cell(row[name]) for name in SCORES]
        cells.append("-" if difference is None else _cell(difference["accuracy"]))
        lines.append(f"| {row['row']} | {' | '.join(cells)} | {PAPER[row['row']]} |")
    lines += [
        "",
        f"Denied anomalies of all seeds: {table['denied']}; without map: "
        f"{table['denied_without_map']:.1%}.",
        "",
        "**By organ and anomaly type**, both aids, all seeds (the paper's figure 4 gives Dice):",
        "",
        "| organ | type | anomalies | Dice | mIoU | accuracy |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one['organ']} | {one['type']} | {one['anomalies']} | {one['dice']:.3f} | "
            f"{one['miou']:.3f} | {one['accuracy']:.3f} |"
            for one in table["by_kind"]
        ),
    ]
    return "\n".join(lines) + "\n"


def _cell(estimate: dict[str, float]) -> str:
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _patients(results: Sequence[RowResult]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The index of each anomaly's volume: in the phantom each is a patient of its own."""
    names = [item.volume_id for item in results[0].evaluation.scores]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names])


def _values(results: Sequence[RowResult], row: VolumeRow, name: str) -> Floats:
    """A score of every test anomaly, the mean over seeds."""
    field = {"dice": "dice", "miou": "miou", "accuracy": "is_hit"}[name]
    of_seeds = [
        [float(getattr(item.score, field)) for item in one.evaluation.scores]
        for one in results
        if one.row == row
    ]
    return np.asarray(np.mean(of_seeds, axis=0))


def _estimate(
    values: Floats, patients: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[str, float]:
    weights = patient_weights(patients, range(REPLICATES), 0)
    means = weights @ values / weights.sum(axis=1)
    low, high = np.percentile(means, INTERVAL_PERCENT)
    return {"mean": round(float(values.mean()), 4), "low": round(float(low), 4),
            "high": round(float(high), 4)}  # fmt: skip


def _by_kind(results: Sequence[RowResult]) -> dict[tuple[str, str], GroundingScores]:
    """Means over the anomalies of all seeds."""
    tables = [one.evaluation.by_kind() for one in results]
    return {
        kind: GroundingScores(
            sum(table[kind].anomalies for table in tables),
            *(float(np.mean([getattr(table[kind], name) for table in tables])) for name in SCORES),
        )
        for kind in tables[0]
    }
