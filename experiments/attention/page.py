"""`controlled-attention.json` and its Markdown page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import provenance
from experiments.attention.preset import AttentionPreset
from experiments.attention.table import (
    BASE_PAIRS,
    METRICS,
    Difference,
    MethodScores,
    differences,
)

STEM = "controlled-attention"
FORMAT_VERSION = 1
Content = Mapping[str, Any]  # Any: what JSON holds
HEADS = ("IoU@.25", "IoU@.5", "IoU@.75", "AP@.5", "film AUC")
MEANINGS = {
    "retinanet": "the frozen detector, candidates ranked by its own score",
    "proposed": "gates taught by the words of the reports",
    "own": "no text: the detector's best candidates, on as many films and lungs as reports name",
    "shuffled": "the same reports, shuffled among the films whose report states an opacity",
    "finding": "whether there is an opacity, no word of place or size",
    "sides": "the sides that a report names, no other word",
    "truth": "the ceiling: gates taught by hospital B's true boxes",
    "more_steps": "no film of hospital B: as many steps on hospital A's boxes",
    "size_prior": "the detector's logit + c log(area), c chosen on hospital A's validation films",
    "two_rounds": "`proposed`, then again with the scores of the first gate in the teacher",
    "soft_targets": "`proposed` with probabilities as targets instead of the teacher's best box",
    "with_triplet": "`proposed` with the triplet loss, the gates as alpha",
    "with_bce": "`proposed` with the attribute loss, the gates as alpha",
    "proposed_printed": "the paper's attention, taken literally",
    "report_adapted": "the whole detector fine-tuned on hospital A's boxes and on pseudo-labels "
    "from the words of the reports (`localize adapt`), ranked by its own score",
    "report_adapted_shuffled": "the same with the reports shuffled among the films whose report "
    "states an opacity",
    "report_adapted_more_steps": "no film of hospital B: as many steps on hospital A's boxes",
    "report_adapted_proposed": "`report_adapted`, then `proposed` on its maps",
    "best_available": "oracle: the candidates that overlap the true boxes most",
}

LATER = (
    "The rows `report_adapted*`, and `sides` and `more_steps` with 11,308 pairs, were added to the "
    "preset after the others had been seen. In `report_adapted*` the whole detector is trained "
    "further, with the default settings of `localize adapt`; of the pairs 15 % choose the epoch."
)

FEWER = (
    "Means over fewer seeds than the others' do not compare with them; the differences below do, "
    "which take the seeds that both rows have."
)


def attention_content(
    scores: Sequence[MethodScores], preset: AttentionPreset, command: str, development: Content
) -> Content:
    """The JSON of the table; `development` holds rows of the seeds that settings were chosen on."""
    return {
        "format_version": FORMAT_VERSION,
        "command": command,
        "rows": score_rows(scores),
        "differences": [asdict(one) for one in differences(scores)],
        "development": dict(development),
        "provenance": {**provenance(), **preset.model_dump(mode="json")},
    }


def score_rows(scores: Sequence[MethodScores]) -> list[dict[str, Any]]:
    """One row for each method, number of pairs and seed."""
    ordered = sorted(scores, key=lambda one: (one.pairs, one.method, one.seed))
    return [
        {"method": one.method, "pairs": one.pairs, "seed": one.seed}
        | {name: round(float(value), 5) for name, value in zip(METRICS, one.plain, strict=True)}
        for one in ordered
    ]


def write_attention(content: Content, folder: Path) -> str:
    """Write JSON and page into a folder; returns the page."""
    write_json(folder / f"{STEM}.json", content)
    page = attention_page(content)
    write_text(folder / f"{STEM}.md", page)
    return page


def attention_page(content: Content) -> str:
    """The Markdown page."""
    rows, found = content["rows"], [Difference(**one) for one in content["differences"]]
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        "# Does the text move boxes while the detector is frozen?",
        "",
        f"`{content['command']}`",
        "",
        f"Simulated films and reports of seeds {seeds[0]} to {seeds[-1]}, each with its own "
        "detector. The detector and its boxes are frozen; a gate on its frozen maps ranks the "
        "candidates from the film alone. Settings were fixed before these seeds were run, once.",
        "",
        "Every number is the mean over the seeds of the metric of a seed. Brackets are 95 % "
        "intervals of paired differences: over the patients of each seed, then over the seeds "
        "(Student's t). The film AUC is that of the film's highest gate or score, for all methods.",
        "",
        *([LATER, ""] if _has(rows, "report_adapted") else []),
        *_rows_table(rows),
        *([FEWER, ""] if _has_fewer_seeds(rows) else []),
        "**Methods**",
        "",
        *(f"- `{name}`: {MEANINGS[name]}" for name in MEANINGS if _has(rows, name)),
        "",
        "**Differences**",
        "",
        *_difference_table(found),
        *_not_run(rows, content["provenance"]["methods"], seeds),
        *_development(content["development"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _not_run(rows: Sequence[Content], methods: Content, seeds: Sequence[int]) -> list[str]:
    """A sentence for the rows of the preset that are missing on some seeds."""
    found = {(row["method"], row["pairs"], row["seed"]) for row in rows}
    lines = []
    for count, names in methods.items():
        for name in names:
            pairs = 0 if name in BASE_PAIRS else int(count)
            missing = [str(seed) for seed in seeds if (name, pairs, seed) not in found]
            if missing:
                on = "" if len(missing) == len(seeds) else f" on seeds {', '.join(missing)}"
                lines.append(f"{name} with {int(count):,} pairs{on}")
    return [f"**Not run**: {'; '.join(lines)}.", ""] if lines else []


def _has(rows: Sequence[Content], name: str) -> bool:
    return any(row["method"] == name for row in rows)


def _has_fewer_seeds(rows: Sequence[Content]) -> bool:
    counts = Counter((row["pairs"], row["method"]) for row in rows)
    return min(counts.values()) < max(counts.values())


def _rows_table(rows: Sequence[Content]) -> list[str]:
    keys = sorted({(row["pairs"], row["method"]) for row in rows}, key=_order)
    lines = [f"| pairs | method | seeds | {' | '.join(HEADS)} |", "|---" * (len(HEADS) + 3) + "|"]
    for pairs, method in keys:
        some = [row for row in rows if (row["pairs"], row["method"]) == (pairs, method)]
        cells = [f"{np.mean([row[metric] for row in some]):.3f}" for metric in METRICS]
        shown = "-" if pairs == 0 else f"{pairs:,}"
        lines.append(f"| {shown} | {method} | {len(some)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _order(key: tuple[int, str]) -> tuple[int, int]:
    return key[0], list(MEANINGS).index(key[1])


def _difference_table(found: Sequence[Difference]) -> list[str]:
    metrics = ("iou_50", "iou_75", "ap_50", "film_auc")
    heads = [HEADS[METRICS.index(metric)] for metric in metrics]
    lines = [
        f"| pairs | method | minus | seeds | {' | '.join(heads)} |",
        "|---" * (len(heads) + 4) + "|",
    ]
    keys = sorted(
        {(one.pairs, one.a, one.b) for one in found},
        key=lambda key: (key[0], *(list(MEANINGS).index(name) for name in key[1:])),
    )
    for pairs, a, b in keys:
        cells = []
        for metric in metrics:
            both = {
                one.over: one
                for one in found
                if (one.pairs, one.a, one.b, one.metric) == (pairs, a, b, metric)
            }
            patients, seeds = both["patients"], both["seeds"]
            cells.append(f"{patients.mean:+.3f} {_interval(patients)}, {_interval(seeds)}")
        lines.append(f"| {pairs:,} | {a} | {b} | {patients.seeds} | {' | '.join(cells)} |")
    return [*lines, ""]


def _interval(one: Difference) -> str:
    if one.low is None or one.high is None:
        return "[-]"
    return f"[{one.low:+.3f}, {one.high:+.3f}]"


def _development(development: Content) -> list[str]:
    if not development.get("rows"):
        return []
    return [
        "**Development seeds** (settings were chosen on them)",
        "",
        *_rows_table(development["rows"]),
    ]
