"""`run_ablation`: the attention with one choice changed at a time, on the phantom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attributes.vectors.word_vectors import VectorOptions
from data_manifests.support.atomic import write_json, write_text
from data_manifests.support.errors import ConfigError
from detector.proposals import ProposalOptions
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.drawing import COLOURS, figure_at
from experiments.core.evaluate_methods import Predictions, evaluate_methods
from experiments.core.phantom_run import planted_attributes, pool_seeds
from experiments.core.phantom_seed import DATASET, PhantomRun
from experiments.core.presets import AblationPreset, Variation
from experiments.core.repeats import pool_films
from experiments.methods.inputs import ExperimentInput, Progress, no_progress
from experiments.methods.method import method_predictions
from experiments.methods.names import BASELINE
from experiments.methods.proposed import Proposed
from experiments.methods.retinanet import RetinaNet
from experiments.tables.differences import read_estimate
from experiments.tables.rows import NOTHING, TableRow, estimate_cell, estimate_json, table_row
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.report import Evaluation
from localize.pipeline.stages import propose_stage, word_vectors_stage

FOLDER = "ablation"  # beside `methods` in the folder of a seed
WORD_EPOCHS = 30  # as the quickstart trains its vectors


@dataclass(frozen=True)
class AblationRow:
    """One variation: its row, and the paired difference to the reference in IoU@.5."""

    variation: Variation
    row: TableRow
    against_reference: Estimate  # NOTHING for RetinaNet and the reference itself


@dataclass(frozen=True)
class Ablation:
    """RetinaNet, the reference and its variations; and what they were made with."""

    command: str
    rows: Sequence[AblationRow]
    provenance: Mapping[str, Any]
    data: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The content of `ablation-*.json`."""
        return {
            "command": self.command,
            "provenance": {**provenance(), **self.provenance, "data_sha256": dict(self.data)},
            "rows": [
                {
                    **one.row.as_json(),
                    "method": one.variation.name,
                    "changed": one.variation.model_dump(mode="json", exclude_defaults=True),
                    "diff_iou_50_reference": estimate_json(one.against_reference),
                }
                for one in self.rows
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ablation:
        """A written ablation."""
        rows = [
            AblationRow(
                Variation.model_validate(row["changed"]),
                TableRow.from_json(row),
                read_estimate(row["diff_iou_50_reference"]),
            )
            for row in content["rows"]
        ]
        settings = content["provenance"]
        return cls(content["command"], rows, settings, settings["data_sha256"])


def run_ablation(
    out: Path,
    preset: AblationPreset,
    *,
    command: str,
    only: Sequence[str] | None = None,
    progress: Progress = no_progress,
) -> Ablation:
    """Train and evaluate the reference and every variation on every seed.

    `only` names the variations wanted. Output folders are those of `run_phantom`.

    Raises:
        ConfigError: an unknown name in `only`, two variations of one name, or a bad setting.
    """
    variations = [Variation(name=preset.reference.name), *chosen_variations(preset, only)]
    methods = [varied_method(preset.reference, variation) for variation in variations]
    baseline, run = RetinaNet(name=BASELINE), PhantomRun(out, preset.size)
    by_seed: dict[int, Predictions] = {}
    tests = []
    for seed in preset.seeds:
        progress(f"seed {seed}")
        inputs, test = run.inputs(seed), run.test_set(seed)
        tests.append((seed, test.films))
        found = {BASELINE: method_predictions(baseline, inputs, test)}
        for variation, method in zip(variations, methods, strict=True):
            progress(f"seed {seed}: {variation.name}")
            found[method.name] = method_predictions(method, _varied(inputs, variation), test)
        by_seed[seed] = found
    truth, pooled = pool_films(tests), pool_seeds(by_seed)
    targets, reference = planted_attributes(truth), methods[0].name
    evaluated = evaluate_methods(pooled, [baseline, *methods], truth, targets=targets)
    against = evaluate_methods(pooled, methods[1:], truth, baseline=reference)
    rows = [AblationRow(Variation(name=BASELINE), _row(BASELINE, evaluated), NOTHING)]
    for variation, method in zip(variations, methods, strict=True):
        difference = None
        if method.name in against:
            difference = against[method.name].row("iou_at_0.5").difference
        rows.append(AblationRow(variation, _row(method.name, evaluated), difference or NOTHING))
    data = {DATASET: manifest_sha256(truth)}
    return Ablation(command, rows, preset.model_dump(mode="json"), data)


def write_ablation(ablation: Ablation, folder: Path, stem: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    write_json(folder / f"{stem}.json", ablation.as_json())
    return write_page(ablation, folder, stem)


def write_page(ablation: Ablation, folder: Path, stem: str) -> str:
    """Write `STEM.md` and `STEM.png`; returns the Markdown."""
    _draw(ablation, folder / f"{stem}.png")
    first, seeds = ablation.rows[0].row, ablation.provenance["seeds"]
    lines = [
        "# Ablation: one choice at a time",
        "",
        f"`{ablation.command}`",
        "",
        f"{first.dataset}: {first.films} films, {first.boxes} true boxes of seeds "
        f"{', '.join(map(str, seeds))} together. Brackets: 95 % bootstrap intervals over "
        "patients; differences are paired.",
        "",
        "| variation | IoU@.25 | IoU@.5 | IoU@.75 | IoU@.5 minus RetinaNet | minus reference "
        "| AP@.5 | attribute AUC | pooled |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in ablation.rows:
        cells = [
            estimate_cell(one.row.number(f"iou_at_{threshold}"))
            for threshold in ("0.25", "0.5", "0.75")
        ]
        is_baseline = one.variation.name == BASELINE
        gained = NOTHING if is_baseline else one.row.differences.get("iou_at_0.5", NOTHING)
        cells += [estimate_cell(gained), estimate_cell(one.against_reference)]
        cells += [
            estimate_cell(one.row.number(key))
            for key in ("ap_at_0.5", "attribute_macro_auc", "attribute_pooled_auc")
        ]
        lines.append(f"| {one.variation.name} | {' | '.join(cells)} |")
    text = "\n".join([*lines, "", f"![IoU@.5 of every variation]({stem}.png)"]) + "\n"
    write_text(folder / f"{stem}.md", text)
    return text


def _row(name: str, evaluated: Mapping[str, Evaluation]) -> TableRow:
    return table_row(DATASET, name, evaluated[name])


def chosen_variations(preset: AblationPreset, only: Sequence[str] | None) -> list[Variation]:
    """The preset's variations, or those named in `only`.

    Raises:
        ConfigError: an unknown name in `only`, or two variations of one name.
    """
    names = [variation.name for variation in preset.variations]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"ablation: expected different names of variations, got {twice!r} twice")
    unknown = sorted(set(only or ()) - set(names))
    if unknown:
        raise ConfigError(f"--only: expected names of {', '.join(names)}; got {unknown[0]!r}")
    return [one for one in preset.variations if only is None or one.name in only]


def varied_method(reference: Proposed, variation: Variation) -> Proposed:
    """The reference with the variation's settings on top; its name is that of its folder."""
    settings = reference.attention
    settings = settings.model_copy(update={"set": (*settings.set, *variation.set)})
    settings.with_seed(0)  # refuses a bad setting of the variation
    changed = {"name": variation.name.replace(" ", "_"), "attention": settings}
    return reference.model_copy(update=changed)


def _varied(inputs: ExperimentInput, variation: Variation) -> ExperimentInput:
    """The input with the variation's ROIs and word vectors, made where they are not there yet."""
    parts, proposals = inputs.parts, inputs.proposals
    folder = inputs.out.parent / FOLDER
    if variation.count is not None or variation.feature is not None:
        proposals = ProposalOptions(
            count=variation.count or proposals.count,
            feature=variation.feature or proposals.feature,
        )
        rois = folder / f"rois_{proposals.count}_{proposals.feature}"
        propose_stage(parts.detector, parts.pairs, rois, options=proposals, device=inputs.device)
        parts = replace(parts, rois=rois)
    if variation.dim is not None:
        options = VectorOptions(dim=variation.dim, epochs=WORD_EPOCHS, seed=inputs.seed)
        reports = inputs.out.parent / "hospital_b"
        words = word_vectors_stage(reports, folder / f"words_{variation.dim}", options)
        parts = replace(parts, words=words)
    return replace(inputs, parts=parts, proposals=proposals, out=folder)


def _draw(result: Ablation, path: Path) -> None:
    """IoU@.5 with its interval, a line for each variation; RetinaNet dotted."""
    rows = result.rows[::-1]
    numbers = [one.row.number("iou_at_0.5") for one in rows]
    with figure_at(path, 6.0, 0.8 + 0.2 * len(rows)) as figure:
        panel = figure.subplots()
        for place, (one, number) in enumerate(zip(rows, numbers, strict=True)):
            if number.value is None:
                continue
            is_reference = one in result.rows[:2]  # RetinaNet and the reference
            colour = COLOURS[1] if is_reference else COLOURS[0]
            if number.low is not None and number.high is not None:
                panel.plot([number.low, number.high], [place, place], color=colour, lw=1)
            panel.plot([number.value], [place], "o", ms=4, color=colour)
        baseline = result.rows[0].row.number("iou_at_0.5").value
        if baseline is not None:
            panel.axvline(baseline, color="#888888", lw=0.8, ls=":")
        panel.set_yticks(range(len(rows)), [one.variation.name for one in rows])
        panel.set_xlabel("IoU@.5 (dotted: RetinaNet)")
        panel.set_xlim(left=0)
