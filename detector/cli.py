"""`pneumoloc detector`: train, propose."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_manifests.support.choices import DeviceName, OnError
from detector.feature_kind import FeatureKind

if TYPE_CHECKING:
    from data_manifests.tables.manifest import Manifest

app = typer.Typer(help="Detector: RetinaNet training, regions of interest.", no_args_is_help=True)

Manifests = Annotated[
    list[Path], typer.Option("--manifest", help="Manifest folder; several are joined.")
]
Device = Annotated[DeviceName, typer.Option("--device", help="Where the network runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def train(
    manifest: Manifests,
    out: Annotated[Path, typer.Option("--out", help="Run folder.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML: {detector: {...}, training: {...}}.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, for example training.epochs=5; may repeat."),
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            "--backbone-weights", help="The body's: ImageNet's, or a trained detector's file."
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            "--initial",
            help="Fine-tune this detector: run folder or bundle; detector.image_size may differ.",
        ),
    ] = None,
    device: Device = DeviceName.AUTO,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT's checkpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Train a detector on the boxes of the training split; runs under torchrun, too."""
    from data_manifests.support.errors import ConfigError
    from data_manifests.support.settings import load_settings
    from detector.config import DetectorSettings

    settings = load_settings(DetectorSettings, config, override or ())

    from detector.boxed_films import BoxedFilms
    from detector.detector import read_detector_config
    from detector.run.device import choose_device
    from detector.run.training_run import has_checkpoint
    from detector.train_from_config import train_from_config

    chosen = choose_device(device)
    if has_checkpoint(out) and not resume:
        raise ConfigError(
            f"{out}: holds the checkpoint of an earlier training; go on with --resume, or choose "
            "another --out"
        )
    detector = settings.detector
    if initial is not None:  # its network, but for what is given
        given = {name: getattr(detector, name) for name in detector.model_fields_set}
        detector = read_detector_config(initial).model_copy(update=given)
    result = train_from_config(
        BoxedFilms.of(_read_manifests(manifest)),
        out,
        config=detector,
        training=settings.training,
        backbone_weights=backbone_weights,
        initial=initial,
        device=chosen,
    )
    if os.environ.get("RANK", "0") != "0":
        return  # under torchrun one process speaks
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "folder": str(result.folder),
                    "best_epoch": result.best_epoch,
                    **result.scores.as_metrics(),
                }
            )
        )
        return
    scores = ", ".join(
        f"{name} {'undefined' if value is None else f'{value:.3f}'}"
        for name, value in (("AP@.25", result.scores.ap_25), ("AP@.5", result.scores.ap_50))
    )
    typer.echo(f"best epoch {result.best_epoch}: {scores} on the validation split -> {out}")


@app.command()
def propose(
    model: Annotated[Path, typer.Option("--model", help="Run folder or model bundle.")],
    manifest: Manifests,
    out: Annotated[Path, typer.Option("--out", help="ROI store; an unfinished one is finished.")],
    count: Annotated[int, typer.Option(help="Regions of a film, the paper's N.")] = 100,
    nms_iou: Annotated[float, typer.Option(help="Overlap at which two regions are one.")] = 0.7,
    feature: Annotated[
        FeatureKind, typer.Option(help="Features of a region; fpn_roi_align is the ablation.")
    ] = FeatureKind.TOWER,
    shard: Annotated[str, typer.Option(help="This process's share i/n, for example 0/4.")] = "0/1",
    on_error: Annotated[
        OnError, typer.Option(help="A bad film: fail, or skip it and go on.")
    ] = OnError.FAIL,
    batch_size: Annotated[int, typer.Option(min=1, help="Films per forward pass.")] = 8,
    device: Device = DeviceName.AUTO,
    jobs: Annotated[int, typer.Option(min=1, help="Threads that read films.")] = 2,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not compare films with the manifest's sha256.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write each film's best and lowest regions, with features, to a ROI store."""
    from detector.detector import load_detector
    from detector.proposals import ProposalOptions
    from detector.propose import parse_shard, propose_store
    from detector.run.device import choose_device

    options = ProposalOptions(count=count, nms_iou=nms_iou, feature=feature)
    share = parse_shard(shard)
    chosen = choose_device(device)
    films = _read_manifests(manifest)
    report = propose_store(
        load_detector(model),
        films,
        out,
        options=options,
        shard=share,
        skip_errors=on_error == OnError.SKIP,
        batch_size=batch_size,
        device=chosen,
        threads=jobs,
        verify=not no_verify,
    )
    for problem in report.skipped:
        typer.echo(f"skipped {problem}", err=True)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "written": report.written,
                    "already_done": report.already_done,
                    "skipped": [str(problem) for problem in report.skipped],
                }
            )
        )
        return
    typer.echo(
        f"{report.written} films written, {report.already_done} were there, "
        f"{len(report.skipped)} skipped -> {out}"
    )


def _read_manifests(folders: list[Path]) -> Manifest:
    from data_manifests.tables.join import join_manifests
    from data_manifests.tables.manifest import read_manifest

    manifests = [read_manifest(folder) for folder in folders]
    return manifests[0] if len(manifests) == 1 else join_manifests(manifests)
