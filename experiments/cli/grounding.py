"""`pneumoloc experiment grounding`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import Device, Out, Results, Seeds, required, show_progress

DEFAULT_SEEDS = (0, 1, 2, 3, 4)


class Part(StrEnum):
    """What is measured."""

    all = "all"
    phantom = "phantom"
    real = "real"


def grounding(
    out: Out,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of open films, for the part real.")
    ] = None,
    part: Annotated[
        Part,
        typer.Option(help="One part alone replaces its numbers in the results that are there."),
    ] = Part.all,
    results: Results = None,
    seed: Seeds = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Sentences of reports on their films: the paper's four rows on phantoms, and real films.

    Finished trainings in --out are reused: the same command goes on after a kill.
    """
    from experiments.grounding.page import (
        phantom_content,
        read_content,
        read_lungs,
        write_grounding,
    )
    from experiments.grounding.real_lines import real_content

    folder = results or out
    content = {} if part == Part.all else read_content(folder)
    if part != Part.phantom:
        from detector.run.device import choose_device
        from experiments.grounding.notes import ground_notes
        from experiments.grounding.real import ground_boxed
        from localize.bundle.bundle import load_bundle
        from localize.bundle.packaged import PACKAGED_BUNDLE
        from localize.inference.model import Model

        open_films = required(data, "--data")
        model = Model(load_bundle(PACKAGED_BUNDLE), device=choose_device(device))
        boxed = ground_boxed(model, open_films, progress=show_progress)
        show_progress("COVID films with notes and masks")
        content |= real_content(boxed, ground_notes(model, open_films, boxed.rule))
    if part != Part.real:
        from experiments.grounding.phantom import PhantomGrounding, run_grounding
        from experiments.grounding.places import score_place_boxes

        run, seeds = PhantomGrounding(out), tuple(seed or DEFAULT_SEEDS)
        content |= phantom_content(run_grounding(run, seeds, progress=show_progress), run)
        content["place_boxes"] = score_place_boxes(run, seeds)
    typer.echo(write_grounding(content | read_lungs(folder), folder))
