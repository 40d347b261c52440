"""Commands of the one detector from all boxes: its films, its training on a GPU, its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="One detector from all boxes: RSNA, SIIM and children's films.")

Data = Annotated[Path, typer.Option("--data", help="Folder of films, see docs/training.md.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write.")]


@app.command()
def films(
    data: Data,
    out: Out,
    film_labels: Annotated[
        bool, typer.Option(help="Also training films that have an opacity but no box.")
    ] = False,
) -> None:
    """Write the films of all sources as one manifest, split by patient."""
    from data_manifests.tables.manifest import write_manifest
    from experiments.data.box_films import box_films, detector_films

    manifest = detector_films(box_films(data), film_labels=film_labels)
    write_manifest(manifest, out)
    counts = manifest.images.groupby(["source", "split"]).size().unstack(fill_value=0)
    typer.echo(counts.to_string())


@app.command()
def pack(data: Data, out: Out) -> None:
    """Pack the training and validation films into a few files, to copy to a GPU machine."""
    from experiments.data.box_films import box_films
    from experiments.data.film_pack import films_to_pack, pack_films

    pack_films(films_to_pack(box_films(data)), out)
    size = sum(path.stat().st_size for path in out.iterdir()) / 2**20
    typer.echo(f"{out}: {size:.1f} MiB")


@app.command()
def train(
    pack: Annotated[Path, typer.Option("--pack", help="Folder that `pack` has written.")],
    out: Out,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for each training.")],
    initial: Annotated[
        Path | None, typer.Option(help="Bundle to start from; default: open_lite0.")
    ] = None,
    backbone_weights: Annotated[
        Path | None, typer.Option(help="ImageNet weights, for detectors that start from them.")
    ] = None,
    preset: Annotated[Path | None, typer.Option(help="Default: box-detectors.yaml.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Detectors; default: all.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Setting, such as training.batch_size=16.")
    ] = None,
) -> None:
    """Train the detectors of a preset side by side on one GPU, within a fixed time."""
    from experiments.core.gpu_run import GpuRun, gpu_run, results_text
    from localize.bundle.packaged import FIRST_BUNDLE

    run = GpuRun(
        pack=pack,
        out=out,
        minutes=minutes,
        initial=initial or FIRST_BUNDLE,
        backbone_weights=backbone_weights,
        overrides=tuple(set_ or ()),
    )
    results = gpu_run(
        run, preset=preset, only=only or (), tell=lambda line: typer.echo(line, err=True)
    )
    typer.echo(results_text(results))


@app.command()
def score(
    detector: Annotated[Path, typer.Option("--detector", help="Run folder or bundle.")],
    manifest: Annotated[Path, typer.Option("--manifest", help="Manifest that `films` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="JSON file to write.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Score a detector's boxes on the validation films, each source apart."""
    import json

    from data_manifests.support.atomic import write_json
    from data_manifests.tables.manifest import read_manifest
    from detector.detector import load_detector
    from detector.run.device import choose_device
    from experiments.tables.box_scores import box_scores

    films = read_manifest(manifest).split("val")
    found = box_scores(load_detector(detector), films, choose_device(device))
    write_json(out, found)
    typer.echo(json.dumps(found))


@app.command()
def mix(
    part: Annotated[
        list[str],
        typer.Option(help="PATH=SHARE of a detector (run folder, bundle or file); repeat."),
    ],
    out: Out,
) -> None:
    """Write the weighted mean of the weights of detectors that were trained from one start."""
    from experiments.core.mixed_weights import mixed_detector, write_detector

    write_detector(mixed_detector(_shares(part)), out)
    typer.echo(str(out))


@app.command()
def compare(
    data: Data,
    out: Out,
    candidate: Annotated[
        list[str],
        typer.Option(help="NAME:PATH=SHARE,PATH=SHARE of a detector to compare; repeat."),
    ],
    fused: Annotated[
        list[str] | None,
        typer.Option(help="NAME:CANDIDATE,CANDIDATE whose boxes are joined; repeat."),
    ] = None,
    gpu_results: Annotated[
        Path | None, typer.Option(help="`results.json` of `train`, for a second table.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="For the table; default: OUT.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Compare detectors, and means of their weights, on the validation films of all sources."""
    from data_manifests.support.errors import ConfigError
    from detector.run.device import choose_device
    from experiments.data.box_films import (
        TEST_GROUPS,
        box_films,
        without_first_bundle_patients,
    )
    from experiments.tables.box_detectors import compare_detectors, write_box_detectors

    films = without_first_bundle_patients(box_films(data), data).split("val")
    tested = [source for sources in TEST_GROUPS.values() for source in sources]
    films = films.subset(films.images["source"].isin(tested))
    candidates = {
        name: _shares(parts.split(",")) for name, parts in (one.split(":", 1) for one in candidate)
    }
    joined = {
        name: members.split(",") for name, members in (one.split(":", 1) for one in fused or ())
    }
    unknown = sorted({one for members in joined.values() for one in members} - set(candidates))
    if unknown:
        raise ConfigError(
            f"--fused: expected names of --candidate ({', '.join(candidates)}), got "
            f"{', '.join(unknown)}; name each as it stands before the colon"
        )
    found = compare_detectors(candidates, films, out, choose_device(device), fused=joined)
    typer.echo(write_box_detectors(found, films, results or out, gpu_results=gpu_results))


@app.command()
def bundle(
    data: Data,
    detector: Annotated[Path, typer.Option("--detector", help="Folder of the detector.")],
    out: Annotated[Path, typer.Option("--out", help="Work folder; finished parts are reused.")],
    bundle: Annotated[Path, typer.Option("--bundle", help="Bundle folder to write.")],
    words: Annotated[
        Path | None, typer.Option(help="Folder with word vectors; default: open_lite0.")
    ] = None,
    localizer: Annotated[
        Path | None, typer.Option(help="Trained on this detector's regions; default: train it.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Make a bundle around a detector: localizer, calibration, severity, film guard."""
    from detector.run.device import choose_device
    from experiments.core.box_bundle import BoxBundleParts, make_box_bundle
    from localize.bundle.packaged import FIRST_BUNDLE

    parts = BoxBundleParts(data, detector, words or FIRST_BUNDLE, out, localizer)
    typer.echo(str(make_box_bundle(parts, bundle, choose_device(device))))


@app.command()
def evaluate(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    work: Annotated[
        Path, typer.Option("--work", help="Folder for predictions; an interrupted run goes on.")
    ],
    bundle: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER; the first is compared with the last. Default: ours."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Evaluate bundles on the test patients of all sources, and their severity out of fold."""
    from detector.run.device import choose_device
    from experiments.tables.box_bundle_results import evaluate_box_bundle, write_box_bundle_results
    from localize.bundle.packaged import FIRST_BUNDLE, PACKAGED_BUNDLE

    named = [one.split("=", 1) for one in bundle or ()]
    bundles = {name: Path(folder) for name, folder in named} or {
        folder.name: folder for folder in (PACKAGED_BUNDLE, FIRST_BUNDLE)
    }
    scores = evaluate_box_bundle(data, bundles, work, choose_device(device))
    typer.echo(write_box_bundle_results(scores, data, out))


def _shares(parts: list[str]) -> dict[Path, float]:
    from data_manifests.support.errors import ConfigError

    shares = {}
    for part in parts:
        path, _, share = part.rpartition("=")
        try:
            shares[Path(path)] = float(share)
        except ValueError as error:
            raise ConfigError(f"expected PATH=SHARE, such as runs/a=0.7, got {part!r}") from error
    return shares
