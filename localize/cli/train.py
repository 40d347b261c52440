"""`pneumoloc localize`: train, report-boxes, adapt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from localize.cli.shared import Device

localize_app = typer.Typer(
    help="Region weights and attributes from film-report pairs.", no_args_is_help=True
)
Manifest_ = Annotated[Path, typer.Option("--manifest", help="Manifest folder with splits.")]
Store = Annotated[Path, typer.Option("--store", help="ROI store of `detector propose`.")]
Mined = Annotated[Path, typer.Option("--attributes", help="Folder of `attributes mine`.")]
Evidence = Annotated[
    Literal["places", "words", "sides", "finding"],
    typer.Option(
        help="What is used of a report: the place of each finding (needs --boxes), all words of "
        "place and size together, its sides, or its finding."
    ),
]


@localize_app.command()
def train(
    manifest: Manifest_,
    store: Store,
    attributes: Mined,
    words: Annotated[Path, typer.Option("--words", help="Folder of `attributes vectors`.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder.")],
    preset: Annotated[str | None, typer.Option(help="paper: the text taken literally.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML with localizer: and training:.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="name=value overrides.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in OUT.")] = False,
    device: Device = "auto",
) -> None:
    """Train on films with reports; the split `val` selects the epoch. No boxes are needed."""
    from data_manifests.support.errors import ConfigError
    from data_manifests.tables.manifest import read_manifest
    from detector.run.device import choose_device
    from detector.run.training_run import has_checkpoint
    from localize.training.from_folders import TrainingFolders, train_on_folders
    from localize.training.settings import localizer_settings

    settings = localizer_settings(preset, config, set_ or [])
    if not resume and has_checkpoint(out):
        raise ConfigError(f"{out}: holds a training; go on with --resume, or choose another --out")
    folders = TrainingFolders(read_manifest(manifest), store, attributes, words)
    result = train_on_folders(folders, out, settings=settings, device=choose_device(device))
    typer.echo(
        f"best epoch {result.best_epoch} ({result.best_value:.4f}), {result.train_films} training "
        f"films, {result.val_films} validation films: {out}"
    )


@localize_app.command("report-boxes")
def report_boxes(
    manifest: Manifest_,
    store: Store,
    attributes: Mined,
    out: Annotated[Path, typer.Option("--out", help="Manifest folder to write.")],
    boxes: Annotated[
        Path | None,
        typer.Option("--boxes", help="places: manifest of another hospital with boxes, split."),
    ] = None,
    evidence: Evidence = "words",
) -> None:
    """Write pseudo-label boxes derived from reports as a manifest, to fine-tune a detector with.

    Only the splits train and val are labelled, so that nothing can be tested on these boxes.
    """
    from dataclasses import replace

    from data_manifests.support.errors import ConfigError
    from data_manifests.tables.manifest import read_manifest, write_manifest
    from detector.roi_store import RoiStore
    from localize.adaptation.adapt_detector import training_and_validation
    from localize.adaptation.label_by_places import label_by_places
    from localize.adaptation.pseudo_labels import label_by_reports

    if (out / "images.csv").exists():
        raise ConfigError(f"{out}: holds a manifest; choose another --out")
    films = training_and_validation(read_manifest(manifest))
    with RoiStore(store) as rois:
        if evidence != "places":
            labels = label_by_reports(films, rois, attributes, evidence=evidence)
        elif boxes is None:
            raise ConfigError("--evidence places: expected --boxes with it, got none")
        else:
            old = read_manifest(boxes).split("train")
            labels = label_by_places(films, rois, attributes, boxed=old)
    info = replace(labels.manifest.info, image_root=str(films.root.resolve()))
    write_manifest(replace(labels.manifest, info=info), out)
    typer.echo(
        f"{labels.boxed_films} films with pseudo-boxes ({len(labels.manifest.boxes)}), "
        f"{labels.empty_films} without an opacity, {labels.unlabelled_films} left out: {out}"
    )


@localize_app.command()
def adapt(
    detector: Annotated[Path, typer.Option("--detector", help="Run folder or bundle.")],
    manifest: Manifest_,
    store: Annotated[Path, typer.Option("--store", help="ROI store of this detector.")],
    attributes: Mined,
    out: Annotated[Path, typer.Option("--out", help="Run folder of the adapted detector.")],
    boxes: Annotated[
        Path | None,
        typer.Option("--boxes", help="Manifest with true boxes that stay in the training."),
    ] = None,
    evidence: Evidence = "words",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="training.NAME=VALUE overrides; may repeat.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint in OUT.")] = False,
    device: Device = "auto",
) -> None:
    """Fine-tune a detector for a new hospital with pseudo-labels from its reports.

    The same as `report-boxes` and `detector train --initial`, in one step.
    """
    from data_manifests.support.errors import ConfigError
    from data_manifests.tables.manifest import read_manifest
    from detector.run.device import choose_device
    from detector.run.training_run import has_checkpoint
    from localize.adaptation.adapt_detector import (
        AdaptationData,
        adapt_detector,
        adaptation_settings,
    )

    adaptation = adaptation_settings(evidence, set_ or [])
    if not resume and has_checkpoint(out):
        raise ConfigError(f"{out}: holds a training; go on with --resume, or choose another --out")
    data = AdaptationData(
        detector=detector,
        boxed=None if boxes is None else read_manifest(boxes),
        pairs=read_manifest(manifest),
        rois=store,
        attributes=attributes,
    )
    result = adapt_detector(data, out, adaptation=adaptation, device=choose_device(device))
    typer.echo(
        f"best epoch {result.best_epoch}, AP {result.scores.selection:.3f} on the labels of the "
        f"validation split: {out}"
    )


@localize_app.command()
def gate(
    detector: Annotated[Path, typer.Option("--detector", help="Run folder or bundle.")],
    manifest: Manifest_,
    attributes: Mined,
    out: Annotated[Path, typer.Option("--out", help="Run folder of the gated detector.")],
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            help="Manifest of the detector's own hospital with boxes, split: what words of place "
            "and size mean.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="teacher.NAME=VALUE or training.NAME=VALUE; may repeat."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Teach a detector's scores by reports of a new hospital; its body and boxes stay frozen.

    The films of the split train teach. No true box of them is read. With --boxes the words of a
    report say where an opacity lies as that hospital's boxes do.
    """
    from data_manifests.support.errors import ConfigError
    from data_manifests.tables.manifest import read_manifest
    from detector.run.device import choose_device
    from localize.adaptation.gate_detector import gate_detector, gate_settings

    if (out / "detector.json").exists():
        raise ConfigError(f"{out}: holds a detector; choose another --out")
    films = read_manifest(manifest).split("train")
    settings = gate_settings(set_ or [])
    done = gate_detector(
        detector,
        films,
        attributes,
        out,
        settings=settings,
        device=choose_device(device),
        boxed=None if boxes is None else read_manifest(boxes).split("train"),
    )
    typer.echo(
        f"{done.boxed_films} films with an opacity, {done.empty_films} without, "
        f"{done.unlabelled_films} left out: {done.folder}"
    )
