"""`evaluate_lungs`: the lung network against masks, on spoilt and on ordinary films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from data_manifests.films.read_film import read_film
from data_manifests.tables.manifest import Manifest
from detector.lungs.lung_fields import LungFields
from detector.lungs.packaged import load_segmenter
from detector.lungs.segment import LungSegmenter
from experiments.data.box_films import TEST_GROUPS, box_films
from experiments.data.lung_films import COVID, lung_films
from experiments.lungs.dice import DiceRow, dice_rows
from experiments.lungs.spoilt_films import SpoiltRow, spoilt_rows
from experiments.lungs.write_results import LungFiles, write_results
from experiments.tables.rows import estimate_cell
from localize.evaluation.bootstrap import Estimate

COMMAND = "pneumoloc experiment lungs evaluate --data DATA --results docs/results"
FOUND_FILMS = 100  # of each group of test films without masks
SEED = 0


@dataclass(frozen=True)
class FoundRow:
    """Ordinary test films without masks: shares with both lungs, with one, with none."""

    group: str
    films: int
    both: float
    one: float
    none: float


@dataclass(frozen=True)
class LungResults:
    """All tables."""

    dice: Sequence[DiceRow]
    spoilt: Sequence[SpoiltRow]
    found: Sequence[FoundRow]


def evaluate_lungs(data: Path, device: torch.device) -> LungResults:
    """Measure the package's lung network.

    Raises:
        DataError: a missing table, film or mask.
    """
    segmenter = load_segmenter(device=device)
    masked = [film for film in lung_films(data) if film.split == "test"]
    return LungResults(
        dice=dice_rows(segmenter, masked, seed=SEED),
        spoilt=spoilt_rows(segmenter, [film for film in masked if film.group == COVID], seed=SEED),
        found=found_rows(segmenter, box_films(data).split("test")),
    )


def found_rows(segmenter: LungSegmenter, films: Manifest) -> list[FoundRow]:
    """A row for each group, on films drawn from a seed."""
    rng = np.random.default_rng(SEED)
    rows = []
    for group, sources in TEST_GROUPS.items():
        part = films.subset(films.images["source"].isin(sources))
        chosen = rng.permutation(len(part.images))[:FOUND_FILMS]
        paths = part.film_paths()
        found: list[LungFields] = [
            segmenter.fields(read_film(paths[int(row)]).pixels) for row in chosen
        ]
        complete = np.mean([one.is_complete for one in found])
        any_lung = np.mean([one.is_found for one in found])
        rows.append(
            FoundRow(
                group,
                len(found),
                float(complete),
                float(any_lung - complete),
                float(1 - any_lung),
            )
        )
    return rows


def write_lung_results(results: LungResults, data: Path, folder: Path) -> str:
    """Write `lungs.json` and `lungs.md` into `folder`; returns the page."""
    covid = next(row for row in results.dice if row.group == COVID)
    summary = {
        "dice_right": covid.dice_right.value,
        "dice_left": covid.dice_left.value,
        "patients": covid.patients,
    }
    files = LungFiles(folder, "lungs", COMMAND, SEED, data)
    return write_results(files, {"lungs": summary, **asdict(results)}, lung_page(results))


def lung_page(results: LungResults) -> str:
    """The page of all tables."""
    lines = [
        "# Lung fields",
        "",
        f"```\n{COMMAND}\n```",
        "",
        "Held-out patients; brackets: 95 % intervals of a bootstrap over patients.",
        "",
        "## Against masks",
        "",
        "Mean Dice over films, on the pixels that the source's masks know: V7's masks of COVID "
        "films have no heart, JSRT's lungs lack the part behind the heart.",
        "",
        "| source | films | patients | right lung | left lung | heart | a lung missing | sides "
        "swapped |",
        "|---" * 8 + "|",
    ]
    for row in results.dice:
        cells = [_cell(one) for one in (row.dice_right, row.dice_left, row.dice_heart)]
        lines.append(
            f"| {row.group} | {row.films} | {row.patients} | {' | '.join(cells)} | "
            f"{row.incomplete} | {row.swapped} |"
        )
    lines += [
        "",
        "## Ordinary test films without masks",
        "",
        "| films of | films | both lungs found | one | none |",
        "|---" * 5 + "|",
    ]
    for one in results.found:
        lines.append(
            f"| {one.group} | {one.films} | {one.both:.2f} | {one.one:.2f} | {one.none:.2f} |"
        )
    lines += [
        "",
        "## Spoilt films",
        "",
        "The COVID test films, each changed; Dice of the lungs that were found, against masks "
        "changed alike (of a mirrored film: with the sides as displayed). Turned: the reason says "
        "that the film is on its side or upside down.",
        "",
        "| change | pictures | both lungs | one | none | said to be turned | Dice right | Dice "
        "left |",
        "|---" * 8 + "|",
    ]
    for spoilt in results.spoilt:
        dice = [_number(value) for value in (spoilt.dice_right, spoilt.dice_left)]
        lines.append(
            f"| {spoilt.kind} | {spoilt.pictures} | {spoilt.both:.2f} | {spoilt.one:.2f} | "
            f"{spoilt.none:.2f} | {spoilt.said_turned:.2f} | {' | '.join(dice)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(estimate: Estimate) -> str:
    return "-" if estimate.value is None else estimate_cell(estimate)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
