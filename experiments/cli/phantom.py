"""Commands on phantom films alone: controls, curves, ablation, corrections."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import (
    Device,
    Out,
    Processes,
    Results,
    Seeds,
    Set,
    command_line,
    overrides,
    phantom_preset,
    process_count,
    run_preset,
    show_progress,
)


class ControlledPreset(StrEnum):
    """Presets of the controls."""

    phantom = "phantom"
    finished = "finished"
    many_pairs = "many-pairs"


def controlled(
    out: Out,
    preset: Annotated[
        ControlledPreset,
        typer.Option(
            "--preset",
            help="phantom: detector and output folder of table 1; finished: detector trained until "
            "its validation AP stops rising; many-pairs: also more films of hospital B.",
        ),
    ] = ControlledPreset.phantom,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    processes: Processes = None,
) -> None:
    """Is it the text of hospital B that moves the boxes, or more training on its films?"""
    from dataclasses import replace

    from experiments.methods.pseudo_label_quality import pseudo_label_quality
    from experiments.tables.table1 import phantom_table, write_table1

    stem = f"controlled-{preset}"
    chosen = phantom_preset(stem, seed, set_)
    command = command_line("controlled", preset, seed, set_)
    table = phantom_table(run_preset(out, chosen, processes), chosen, command)
    run = chosen.run(out)
    quality = pseudo_label_quality([run.inputs(number) for number in chosen.seeds])
    typer.echo(write_table1(replace(table, pseudo_labels=quality), results or out, stem))


def detectors(
    out: Out,
    preset: Annotated[
        ControlledPreset, typer.Option("--preset", help="The preset of `controlled`.")
    ] = ControlledPreset.finished,
    seed: Seeds = None,
    set_: Set = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="End each training after so long; default: by epochs."),
    ] = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Train the phantom detectors of a preset one after another, for example on a GPU."""
    from detector.run.device import choose_device
    from experiments.core.phantom_detectors import train_phantom_detectors

    chosen = phantom_preset(f"controlled-{preset}", seed, set_)
    train_phantom_detectors(
        out,
        chosen.seeds,
        chosen.size,
        minutes=minutes,
        device=choose_device(device),
        tell=show_progress,
    )


def attention(
    out: Out,
    words: Annotated[
        Path, typer.Option("--words", help="Word vectors, a folder of `attributes vectors`.")
    ],
    detectors: Annotated[
        Path | None,
        typer.Option(help="Folder of `experiment detectors`; default: trained here."),
    ] = None,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes in parallel.")] = 1,
    device: Device = DeviceName.CPU,
    development: Annotated[
        Path | None, typer.Option(help="controlled-attention.json of development seeds.")
    ] = None,
) -> None:
    """Do reports move boxes while the detector is frozen? Gates and their controls."""
    import json

    from experiments.attention.page import attention_content, write_attention
    from experiments.attention.preset import read_attention_preset
    from experiments.attention.run import AttentionRun, run_attention
    from experiments.attention.table import read_scores

    chosen = read_attention_preset(overrides(seed, set_))
    run = AttentionRun(chosen, out, words, device.value, detectors)
    run_attention(run, processes=processes, progress=show_progress)
    before = {} if development is None else json.loads(development.read_text("utf-8"))
    content = attention_content(
        read_scores(out, chosen.seeds),
        chosen,
        command_line("attention", None, seed, set_, " --words WORDS --detectors DETECTORS"),
        {name: before[name] for name in ("rows",) if name in before},
    )
    typer.echo(write_attention(content, results or out))


def ablation(
    out: Out,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Names of variations; default: all.")
    ] = None,
) -> None:
    """What each choice of the method is worth: one change at a time."""
    from experiments.core.presets import AblationPreset, read_preset
    from experiments.tables.ablation import run_ablation, write_ablation

    chosen = read_preset(AblationPreset, "ablation-phantom", overrides(seed, set_))
    names = "".join(f" --only '{name}'" for name in only or [])
    found = run_ablation(
        out,
        chosen,
        command=command_line("ablation", "phantom", seed, set_, names),
        only=only,
        progress=show_progress,
    )
    typer.echo(write_ablation(found, results or out, "ablation-phantom"))


def curves(
    out: Out,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    processes: Processes = None,
) -> None:
    """Gain over RetinaNet against the strength of the shift and the number of film-report pairs."""
    from experiments.core.presets import CurvesPreset, read_preset
    from experiments.tables.curves import run_curves, write_curves

    chosen = read_preset(CurvesPreset, "curves-phantom", overrides(seed, set_))
    found = run_curves(
        out,
        chosen,
        command=command_line("curves", "phantom", seed, set_),
        processes=process_count(processes, len(chosen.seeds)),
        progress=show_progress,
    )
    typer.echo(write_curves(found, results or out, "curves-phantom"))


def corrections(
    out: Out,
    quickstart: Annotated[
        list[Path] | None,
        typer.Option(help="A finished quickstart whose model is corrected; default: make one."),
    ] = None,
    results: Results = None,
    films_review: Annotated[int, typer.Option(min=10, help="Films of B to correct.")] = 240,
    films_test: Annotated[int, typer.Option(min=10, help="Films of B to test on.")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of fine-tuning.")] = 4,
) -> None:
    """Predict, correct, fine-tune: what do an annotator's corrections at hospital B gain?"""
    from experiments.data.annotator import AnnotatorHabits
    from experiments.tables.corrections import CorrectionsSize, run_corrections
    from experiments.tables.corrections_report import write_corrections
    from localize.pipeline.quickstart import run_quickstart

    if not quickstart:
        quickstart = [out / "quickstart"]
        for line in run_quickstart(quickstart[0], seed=0):
            show_progress(line)
    habits = AnnotatorHabits()
    size = CorrectionsSize(films_review=films_review, films_test=films_test, epochs=epochs)
    found = run_corrections(quickstart, out, size=size, habits=habits, progress=show_progress)
    models = len(quickstart)
    typer.echo(write_corrections(found, results or out, size, habits, models=models))
