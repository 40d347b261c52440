"""`run_ablation`: one choice of the method changed at a time, on the phantom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attributes.lexicon.load import load_lexicon
from attributes.reports import ReportReader
from attributes.vectors.word_vectors import VectorOptions, train_word_vectors, write_word_vectors
from data_manifests.support.atomic import write_json, write_text
from data_manifests.support.errors import ConfigError
from detector.proposals import ProposalOptions
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.judge import judge_methods
from experiments.core.phantom_run import planted_attributes
from experiments.core.phantom_work import DATASET, phantom_road, phantom_test, prepare_seed
from experiments.core.pooling import pooled_manifest, pooled_prediction
from experiments.core.presets import AblationPreset, Variation
from experiments.core.road import Road
from experiments.figures.drawing import COLOURS, figure_at
from experiments.methods.method import (
    BASELINE,
    Method,
    MethodSpec,
    attention_method,
    build_method,
    method_prediction,
)
from experiments.tables.rows import NOTHING, TableRow, estimate_cell, estimate_json, table_row
from localize.evaluation.bootstrap import Estimate
from localize.pipeline.stages import propose_stage
from localize.prediction.tables import Prediction
from localize.training.settings import localizer_settings

PLACE = "ablation"  # beside `methods` in the folder of a seed
WORD_EPOCHS = 30  # as the quickstart trains its vectors


@dataclass(frozen=True)
class AblationRow:
    """One variation: its row, and the paired difference to the reference in IoU@.5."""

    variation: Variation
    row: TableRow
    against_reference: Estimate  # nothing for the reference itself


@dataclass(frozen=True)
class AblationResult:
    """The reference first, then its variations; and what they were made from."""

    rows: list[AblationRow]
    preset: AblationPreset
    films_sha256: str


def run_ablation(
    out: Path, preset: AblationPreset, *, only: Sequence[str] | None = None
) -> Iterator[str | AblationResult]:
    """Train and judge the reference and every variation on every seed; lines, then the result.

    `only` names the variations wanted. Work folders are those of `run_phantom`; finished parts are
    not done again.

    Raises:
        ConfigError: an unknown name in `only`, two variations of one name, or a bad setting.
    """
    reference = Variation(name=preset.reference.name)
    variations = [reference, *_chosen(preset, only)]
    methods = [_method(preset.reference, variation) for variation in variations]
    baseline = build_method(MethodSpec(name=BASELINE, kind="detector"))
    found: dict[str, list[tuple[int, Prediction]]] = {}
    tests = []
    for seed in preset.seeds:
        yield f"seed {seed}"
        folder = prepare_seed(out / f"seed_{seed}", seed=seed, size=preset.size, shift=None)
        road, test = phantom_road(folder, folder, seed=seed), phantom_test(folder)
        tests.append((seed, test.films))
        found.setdefault(BASELINE, []).append((seed, method_prediction(baseline, road, test)))
        for variation, method in zip(variations, methods, strict=True):
            yield f"seed {seed}: {variation.name}"
            varied = _varied(road, folder, variation)
            prediction = method_prediction(method, varied, test)
            found.setdefault(method.name, []).append((seed, prediction))
    truth = pooled_manifest(tests)
    pooled = {name: pooled_prediction(parts) for name, parts in found.items()}
    targets = planted_attributes(truth)
    judged = judge_methods(pooled, [baseline, *methods], truth, targets)
    # The same again with the reference in the detector's place: its paired difference is wanted.
    rivals = {**pooled, BASELINE: pooled[methods[0].name]}
    against = judge_methods(rivals, methods[1:], truth)
    alone = table_row(DATASET, baseline, judged[BASELINE])
    rows = [AblationRow(Variation(name=BASELINE), alone, NOTHING)]
    for variation, method in zip(variations, methods, strict=True):
        difference = NOTHING
        if method.name in against:
            difference = against[method.name].row("iou_at_0.5").difference or NOTHING
        row = table_row(DATASET, method, judged[method.name])
        rows.append(AblationRow(variation, row, difference))
    yield AblationResult(rows, preset, manifest_sha256(truth))


def write_ablation(result: AblationResult, folder: Path, stem: str, *, command: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    write_json(
        folder / f"{stem}.json",
        {
            "command": command,
            "provenance": {
                **provenance(),
                **result.preset.model_dump(mode="json"),
                "data_sha256": {DATASET: result.films_sha256},
            },
            "rows": [
                {
                    **one.row.as_json(),
                    "method": one.variation.name,
                    "changed": one.variation.model_dump(mode="json", exclude_defaults=True),
                    "diff_iou_50_reference": estimate_json(one.against_reference),
                }
                for one in result.rows
            ],
        },
    )
    _draw(result, folder / f"{stem}.png")
    first = result.rows[0].row
    lines = [
        "# Ablation: one choice at a time",
        "",
        f"`{command}`",
        "",
        f"{first.dataset}: {first.films} films, {first.boxes} true boxes, the films of all seeds "
        f"({', '.join(map(str, result.preset.seeds))}) together. Brackets: 95 % bootstrap over "
        "patients; differences are paired.",
        "",
        "| variation | IoU@.25 | IoU@.5 | IoU@.75 | IoU@.5 minus RetinaNet | minus reference "
        "| AP@.5 | attribute AUC | pooled |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in result.rows:
        cells = [
            estimate_cell(one.row.number(f"iou_at_{threshold}"))
            for threshold in ("0.25", "0.5", "0.75")
        ]
        has_difference = one.row.method != BASELINE
        gained = one.row.differences.get("iou_at_0.5", NOTHING) if has_difference else NOTHING
        cells += [estimate_cell(gained), estimate_cell(one.against_reference)]
        cells += [
            estimate_cell(one.row.number(key))
            for key in ("ap_at_0.5", "attribute_macro_auc", "attribute_pooled_auc")
        ]
        lines.append(f"| {one.variation.name} | {' | '.join(cells)} |")
    text = "\n".join([*lines, "", f"![IoU@.5 of every variation]({stem}.png)"]) + "\n"
    write_text(folder / f"{stem}.md", text)
    return text


def _chosen(preset: AblationPreset, only: Sequence[str] | None) -> list[Variation]:
    names = [variation.name for variation in preset.variations]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"ablation: expected different names of variations, got {twice!r} twice")
    unknown = sorted(set(only or ()) - set(names))
    if unknown:
        raise ConfigError(f"--only: expected names of {', '.join(names)}; got {unknown[0]!r}")
    return [one for one in preset.variations if only is None or one.name in only]


def _method(reference: MethodSpec, variation: Variation) -> Method:
    """The reference's settings with the variation's on top; its name is that of its folder."""
    settings = localizer_settings(reference.preset, None, [*reference.set, *variation.set])
    return attention_method(variation.name.replace(" ", "_"), settings)


def _varied(road: Road, folder: Path, variation: Variation) -> Road:
    """The road with the variation's regions and words, made where they are not there yet."""
    parts, proposals = road.parts, road.proposals
    if variation.count is not None or variation.feature is not None:
        proposals = ProposalOptions(
            count=variation.count or proposals.count,
            feature=variation.feature or proposals.feature,
        )
        rois = folder / PLACE / f"rois_{proposals.count}_{proposals.feature}"
        propose_stage(parts.detector, parts.pairs, rois, options=proposals, device=road.device)
        parts = replace(parts, rois=rois)
    if variation.dim is not None:
        words = folder / PLACE / f"words_{variation.dim}"
        if not words.exists():
            options = VectorOptions(dim=variation.dim, epochs=WORD_EPOCHS, seed=road.seed)
            reports = ReportReader(folder / "hospital_b")
            write_word_vectors(train_word_vectors(reports, load_lexicon("en"), options), words)
        parts = replace(parts, words=words)
    return replace(road, parts=parts, proposals=proposals, place=folder / PLACE)


def _draw(result: AblationResult, path: Path) -> None:
    """IoU@.5 with its interval, a line for each variation; RetinaNet dotted."""
    rows = result.rows[::-1]
    numbers = [one.row.number("iou_at_0.5") for one in rows]
    with figure_at(path, 6.0, 0.8 + 0.2 * len(rows)) as figure:
        panel = figure.subplots()
        for place, (one, number) in enumerate(zip(rows, numbers, strict=True)):
            if number.value is None:
                continue
            is_reference = one.variation.name in (BASELINE, result.preset.reference.name)
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
