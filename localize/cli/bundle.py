"""`pneumoloc bundle`: make, where, info, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.cli.shared import Device

bundle_app = typer.Typer(
    help="Model bundles: everything that prediction needs.", no_args_is_help=True
)
BundleArgument = Annotated[
    Path, typer.Argument(help="Bundle folder.", show_default="the package's bundle")
]


@bundle_app.command()
def make(
    detector: Annotated[Path, typer.Option("--detector", help="Run folder of the detector.")],
    localizer: Annotated[Path, typer.Option("--localizer", help="Run folder of the localizer.")],
    words: Annotated[Path, typer.Option("--words", help="Folder of `attributes vectors`.")],
    manifest: Annotated[
        Path, typer.Option("--manifest", help="Films with boxes; their split `val` calibrates.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Bundle folder to write.")],
    severity_manifest: Annotated[
        Path | None, typer.Option(help="Films with experts' scores, for the severity model.")
    ] = None,
    severity_column: Annotated[str, typer.Option(help="Column of its labels.csv.")] = "severity",
    training_data: Annotated[
        str, typer.Option(help="One sentence for the model card.")
    ] = "not stated",
    guard_manifest: Annotated[
        list[Path] | None,
        typer.Option(help="Films with splits, for the film guard; may repeat."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights as float16.")] = False,
    lexicon: Annotated[Path | None, typer.Option(help="Your own lexicon, if you used one.")] = None,
    device: Device = "auto",
) -> None:
    """Calibrate two trainings on validation films and write everything into a bundle."""
    from attributes.lexicon.load import LEXICON_FOLDER
    from data_manifests.tables.manifest import read_manifest
    from detector.run.device import choose_device
    from localize.pipeline.make_bundle import make_bundle

    scored = None if severity_manifest is None else read_manifest(severity_manifest)
    folder = make_bundle(
        out,
        detector_run=detector,
        localizer_run=localizer,
        words=words,
        lexicon=lexicon or LEXICON_FOLDER / "en.yaml",
        validation=read_manifest(manifest).split("val"),
        severity_films=scored,
        severity_column=severity_column,
        guard_films=[read_manifest(folder) for folder in guard_manifest or ()],
        half_precision=half,
        training_data=training_data,
        device=choose_device(device),
    )
    typer.echo(str(folder))


@bundle_app.command()
def where() -> None:
    """Print the folder of the package's bundle, for options such as `--initial`."""
    typer.echo(str(PACKAGED_BUNDLE))


@bundle_app.command()
def info(bundle: BundleArgument = PACKAGED_BUNDLE) -> None:
    """Print the content of a bundle as JSON."""
    import json

    from localize.bundle.bundle import verify_bundle

    typer.echo(json.dumps(verify_bundle(bundle), indent=2))


@bundle_app.command()
def verify(bundle: BundleArgument = PACKAGED_BUNDLE) -> None:
    """Check all checksums, load both networks and repeat the golden prediction.

    The exit code is 2 where anything differs.
    """
    from localize.bundle.bundle import load_bundle
    from localize.inference.golden import ANSWER, check_golden

    loaded = load_bundle(bundle)
    files = loaded.description["files"]
    golden = "no golden prediction to repeat"
    if ANSWER in files:
        golden = f"golden prediction repeated to {check_golden(loaded, bundle):.3f} px"
    typer.echo(f"{bundle}: {len(files)} files in order, {golden}")
