"""Commands of the detectors of `table1 --preset siim`, which are adapted on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="SIIM films as the new hospital: adaptations for `table1 --preset siim`.")

Out = Annotated[Path, typer.Option("--out", help="Folder to write.")]
Initial = Annotated[Path | None, typer.Option(help="Detector to start from; default: open_lite0.")]


@app.command()
def pack(
    data: Annotated[Path, typer.Option("--data", help="Folder of films, see docs/training.md.")],
    out: Out,
) -> None:
    """Pack the films and their dictated reports, to copy to a GPU machine."""
    from tempfile import TemporaryDirectory

    from experiments.core.siim_trainings import pack_siim
    from experiments.data.siim_input import siim_input

    with TemporaryDirectory() as work:
        pack_siim(siim_input(data, Path(work)), out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 2**20
    typer.echo(f"{out}: {size:.1f} MiB")


@app.command()
def train(
    pack: Annotated[Path, typer.Option("--pack", help="Folder that `pack` has written.")],
    work: Annotated[Path, typer.Option("--work", help="Folder for films and trainings.")],
    out: Out,
    seconds: Annotated[float, typer.Option(min=1, help="Time for everything.")],
    initial: Initial = None,
    only: Annotated[list[str] | None, typer.Option(help="Sources of boxes; default: all.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Setting, such as training.batch_size=8.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Adapt the detector once for each source of boxes, side by side, within a fixed time."""
    from experiments.core.siim_trainings import SOURCES, SiimTrainings, siim_trainings
    from localize.bundle.packaged import FIRST_BUNDLE

    run = SiimTrainings(
        pack=pack,
        initial=initial or FIRST_BUNDLE,
        work=work,
        out=out,
        seconds=seconds,
        device=device,
        overrides=tuple(set_ or ()),
    )
    chosen = [source for source in SOURCES if not only or source in only]
    siim_trainings(run, chosen, lambda line: typer.echo(line, err=True))


@app.command()
def predict(
    detector: Annotated[Path, typer.Option("--detector", help="Run folder or bundle.")],
    manifest: Annotated[Path, typer.Option("--manifest", help="Test films.")],
    store: Annotated[Path, typer.Option("--store", help="ROI store to write.")],
    out: Out,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Predict films by the detector's own score, without a bundle."""
    from data_manifests.tables.manifest import read_manifest
    from detector.run.device import choose_device
    from experiments.core.siim_trainings import predict_by_score

    predict_by_score(detector, read_manifest(manifest), store, out, choose_device(device))


@app.command()
def unpack(
    results: Annotated[Path, typer.Argument(help="Folder that `train` has written.")],
    work: Annotated[Path, typer.Option("--work", help="The later `--out` of table1.")],
    initial: Initial = None,
) -> None:
    """Put the adapted detectors and predictions where `table1 --preset siim` looks for them."""
    from experiments.core.siim_trainings import unpack_results
    from localize.bundle.packaged import FIRST_BUNDLE

    for folder in unpack_results(results, initial or FIRST_BUNDLE, work):
        typer.echo(str(folder))
