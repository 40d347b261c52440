"""Commands that ask the phantom alone: the controlled question, its curves, the ablation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli.options import (
    Out,
    Preset,
    Processes,
    Results,
    Seeds,
    Set,
    as_said,
    check_preset,
    last,
    overrides,
    phantom_preset,
    phantom_steps,
    seeds_at_a_time,
)


def controlled(
    preset: Annotated[
        str, typer.Option("--preset", help="phantom, finished or many-pairs.")
    ] = "phantom",
    out: Out = Path("work"),
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    processes: Processes = None,
) -> None:
    """Does text from hospital B move the boxes of a detector trained at hospital A, or the films?

    phantom trains the detector as table 1, whose work folder serves it.

    finished trains it until its validation AP stops rising; many-pairs too, with more films of B.
    """
    from dataclasses import replace

    from experiments.core.phantom_work import phantom_road
    from experiments.methods.chosen_boxes import chosen_boxes
    from experiments.tables.table1 import phantom_table, write_table1

    check_preset(preset, "phantom", "finished", "many-pairs")
    stem = f"controlled-{preset}"
    chosen = phantom_preset(stem, seed, set_)
    result = last(phantom_steps(out, chosen, processes))
    places = [(number, out / f"seed_{number}") for number in chosen.seeds]
    boxes = chosen_boxes([phantom_road(place, place, seed=number) for number, place in places])
    table = phantom_table(result, chosen.model_dump(mode="json"))
    told = as_said(seed, set_)
    typer.echo(
        write_table1(
            replace(table, chosen=boxes),
            results or out,
            stem,
            title="The controlled question: does text from hospital B move the boxes?",
            command=f"pneumoloc experiment controlled --preset {preset}{told} --out WORK",
        )
    )


def ablation(
    preset: Preset = "phantom",
    out: Out = Path("work"),
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Names of variations; default: all.")
    ] = None,
) -> None:
    """One choice at a time: what each decision of the method is worth."""
    from experiments.core.presets import AblationPreset, read_preset
    from experiments.tables.ablation import run_ablation, write_ablation

    check_preset(preset, "phantom")
    chosen = read_preset(AblationPreset, f"ablation-{preset}", overrides(seed, set_))
    result = last(run_ablation(out, chosen, only=only))
    told = as_said(seed, set_) + "".join(f" --only '{name}'" for name in only or [])
    command = f"pneumoloc experiment ablation --preset {preset}{told} --out WORK"
    typer.echo(write_ablation(result, results or out, f"ablation-{preset}", command=command))


def curves(
    preset: Preset = "phantom",
    out: Out = Path("work"),
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    processes: Processes = None,
) -> None:
    """Gain over RetinaNet against the strength of the shift and the number of film-report pairs."""
    from experiments.core.presets import CurvesPreset, read_preset
    from experiments.tables.curves import run_curves, write_curves

    check_preset(preset, "phantom")
    chosen = read_preset(CurvesPreset, f"curves-{preset}", overrides(seed, set_))
    result = last(run_curves(out, chosen, seeds_at_a_time(processes, len(chosen.seeds))))
    command = f"pneumoloc experiment curves --preset {preset}{as_said(seed, set_)} --out WORK"
    typer.echo(write_curves(result, results or out, f"curves-{preset}", command=command))
