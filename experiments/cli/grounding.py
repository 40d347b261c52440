"""`pneumoloc experiment grounding`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import Device, Out, Results, Seeds, show_progress

DEFAULT_SEEDS = (0, 1, 2, 3, 4)


def grounding(
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of open films; without it only phantom films."),
    ] = None,
    results: Results = None,
    seed: Seeds = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Sentences of reports on their films: the paper's four rows on phantoms, and real films.

    Finished trainings in --out are reused: the same command goes on after a kill.
    """
    from detector.run.device import choose_device
    from experiments.core.grounding_phantom import PhantomGrounding, run_grounding
    from experiments.core.grounding_places import score_place_boxes
    from experiments.tables.grounding import phantom_content, real_content, write_grounding

    run = PhantomGrounding(out)
    seeds = tuple(seed or DEFAULT_SEEDS)
    table = run_grounding(run, seeds, progress=show_progress)
    content = phantom_content(table, run)
    content["place_boxes"] = score_place_boxes(run, seeds)
    if data is not None:
        from experiments.core.grounding_real import ground_real

        real = ground_real(data, choose_device(device), progress=show_progress)
        content |= real_content(real.named, real.notes, real.rule)
    typer.echo(write_grounding(content, results or out))
