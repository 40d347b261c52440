"""`pneumoloc volumes`: phantom, rexgrounding, train, ground, evaluate, score-reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localize.cli.shared import NOTICE, Device, Json

volumes_app = typer.Typer(
    help="Chest CT: where in a volume is each anomaly that its report describes.",
    no_args_is_help=True,
)
SetArgument = Annotated[Path, typer.Argument(help="Folder with volumes.csv and anomalies.csv.")]
Model = Annotated[Path, typer.Option("--model", help="Run folder of `volumes train`.")]


@volumes_app.command()
def phantom(
    out: Annotated[Path, typer.Option("--out", help="Folder to fill.")],
    volumes: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the phantom.")] = 0,
    spacing_mm: Annotated[float, typer.Option(min=1, max=10, help="Edge of a voxel.")] = 7.5,
) -> None:
    """Write simulated chest volumes with reports and the regions of their anomalies."""
    from data_manifests.phantom_volumes.generate import PhantomVolumeOptions, build_phantom_volumes

    options = PhantomVolumeOptions(seed=seed, spacing_mm=spacing_mm)
    made = build_phantom_volumes(out, options, volumes=volumes)
    count = sum(len(item.anomalies) for item in made.volumes)
    typer.echo(f"{out}: {len(made.volumes)} volumes, {count} mentioned anomalies")


@volumes_app.command()
def rexgrounding(
    ct_rate: Annotated[Path, typer.Option("--ct-rate", help="Folder of CT-RATE.")],
    rex: Annotated[Path, typer.Option("--rexgrounding", help="Folder of ReXGroundingCT.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.")],
    anatomy: Annotated[
        Path | None, typer.Option("--anatomy", help="Folder of label maps NAME.nii.gz.")
    ] = None,
) -> None:
    """Build a set from CT-RATE's volumes and ReXGroundingCT's regions; links, copies nothing."""
    from data_manifests.volumes.rexgrounding import build_rexgrounding

    made = build_rexgrounding(ct_rate, rex, out, anatomy=anatomy)
    count = sum(len(item.anomalies) for item in made.volumes)
    typer.echo(f"{out}: {len(made.volumes)} volumes, {count} findings")


@volumes_app.command()
def train(
    volume_set: SetArgument,
    out: Annotated[Path, typer.Option("--out", help="Run folder.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML: {network: {...}, training: {...}}.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, for example training.epochs=5; may repeat."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Resampled volumes; default in OUT.")
    ] = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT's checkpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Train the grounding network on the split `train`; `val` selects the epoch."""
    import json

    from data_manifests.support.errors import ConfigError
    from data_manifests.support.settings import load_settings
    from localize.volumes.network.config import VolumeSettings

    settings = load_settings(VolumeSettings, config, override or ())

    from data_manifests.volumes.volume_set import read_volume_set
    from detector.run.device import choose_device
    from detector.run.training_run import has_checkpoint
    from localize.volumes.training.train import train_grounder

    chosen = choose_device(device)
    if has_checkpoint(out) and not resume:
        raise ConfigError(
            f"{out}: holds the checkpoint of an earlier training; go on with --resume, or choose "
            "another --out"
        )
    result = train_grounder(read_volume_set(volume_set), out, settings, chosen, cache=cache)
    if as_json:
        typer.echo(
            json.dumps(
                {"folder": str(out), "best_epoch": result.best_epoch, "dice": result.best_dice}
            )
        )
        return
    typer.echo(
        f"best epoch {result.best_epoch}: Dice {result.best_dice:.3f} on {result.val_volumes} "
        f"validation volumes -> {out}"
    )


@volumes_app.command()
def ground(
    volume: Annotated[
        Path, typer.Argument(help="CT volume: a .nii or .nii.gz file, or a DICOM series' folder.")
    ],
    report: Annotated[Path, typer.Option("--report", help="Its report, a text file.")],
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="Folder to fill.")],
    anatomy: Annotated[
        Path | None, typer.Option("--anatomy", help="Organ labels on the same grid, NIfTI.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="CSV value,name of the labels; default TotalSegmentator."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.01, max=1, help="Probability from which a voxel is in a region.")
    ] = 0.5,
    device: Device = "auto",
) -> None:
    """Map every anomaly that a report describes: maps, boxes, markups, DICOM SEG and a page."""
    from data_manifests.support.errors import ConfigError, DataError, Problem
    from data_manifests.volumes.organ_labels import read_organ_labels
    from data_manifests.volumes.read_volume import read_anatomy, read_volume

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: expected a new or empty folder; choose another name")
    typer.echo(NOTICE, err=True)
    try:
        text = report.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(report.name, "a report in UTF-8", str(error), fix="convert it")
        raise DataError.from_problems([problem]) from error
    names = read_organ_labels(labels)
    read = read_volume(volume)
    organs = None if anatomy is None else read_anatomy(anatomy, read)

    from detector.run.device import choose_device
    from localize.volumes.inference.ground import ground_report
    from localize.volumes.inference.load_grounder import load_grounder
    from localize.volumes.output.write_grounding import write_grounding

    grounder = load_grounder(model, choose_device(device))
    if grounder.settings.network.use_anatomy and organs is None:
        raise ConfigError(
            f"--anatomy: {model} was trained with organ labels, got none; give a label map, for "
            "example of TotalSegmentator, or train with --set network.use_anatomy=false"
        )
    for note in read.notes:
        typer.echo(f"note: {note}", err=True)
    grounding = ground_report(grounder, read, organs, names, text)
    grounded = write_grounding(grounding, read, out, threshold=threshold)
    for item in grounded:
        typer.echo(f"{item.name}: {len(item.regions)} regions, highest {item.peak:.2f}")
    typer.echo(
        f"{out}: {len(grounded)} anomalies mapped, {len(grounding.denied)} denied or resolved"
    )


@volumes_app.command()
def evaluate(
    volume_set: SetArgument,
    model: Model,
    split: Annotated[str, typer.Option(help="Which volumes.")] = "test",
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Resampled volumes; default in MODEL.")
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Dice, mean IoU and accuracy on marked anomalies, by organ and type."""
    import json

    from data_manifests.volumes.volume_set import read_volume_set
    from detector.run.device import choose_device
    from localize.volumes.evaluation.evaluate import evaluate_grounder, evaluation_lines
    from localize.volumes.inference.load_grounder import load_grounder

    result = evaluate_grounder(
        load_grounder(model, choose_device(device)),
        read_volume_set(volume_set),
        split,
        cache=cache or model / "cache",
        seed=seed,
    )
    if as_json:
        typer.echo(json.dumps(result.as_table(), indent=2))
        return
    for line in evaluation_lines(result):
        typer.echo(line)


@volumes_app.command(name="score-reports")
def score_reports(
    gold: Annotated[
        Path, typer.Argument(help="Gold sentences: number,half,organs,text,anomalies.")
    ],
    as_json: Json = False,
) -> None:
    """Compare structured CT sentences with gold: organs, phrases, anomalies, assertions."""
    import json
    from dataclasses import asdict

    from attributes.anomalies.score_ct import read_gold, score_structuring

    items = read_gold(gold)
    halves = list(dict.fromkeys(item.half for item in items))
    scores = {
        half: score_structuring([item for item in items if item.half == half]) for half in halves
    }
    if as_json:
        typer.echo(json.dumps({half: asdict(score) for half, score in scores.items()}, indent=2))
        return
    for half, score in scores.items():
        typer.echo(
            f"{half or 'all'}: {score.texts} texts, organ {score.organ_accuracy:.3f}, phrases F1 "
            f"{score.phrase_f1:.3f}, anomalies F1 {score.anomaly_f1:.3f}, assertions "
            f"{score.assertion_accuracy:.3f}"
        )
