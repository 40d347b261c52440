"""Commands of the paper's tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.options import (
    Data,
    Device,
    Out,
    Preset,
    Processes,
    Reports,
    Results,
    Seeds,
    Set,
    Weights,
    as_said,
    check_preset,
    last,
    needed,
    phantom_preset,
    phantom_steps,
)

if TYPE_CHECKING:
    from experiments.core.films_run import FilmsInput


def table1(
    preset: Preset,
    out: Out,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    data: Data = None,
    reports: Reports = None,
    backbone_weights: Weights = None,
    boxed: Annotated[
        Path | None, typer.Option("--boxed", help="paper: manifest with boxes (RSNA), split.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="paper: manifest with reports (MIMIC-CXR), split."),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="paper: NAME=MANIFEST, test films with boxes; may be repeated."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="paper: leak-free, or `paper` to accept NIH films known from RSNA.")
    ] = "leak-free",
    processes: Processes = None,
    device: Device = "auto",
) -> None:
    """Localization of every method on every test set: the paper's table 1."""
    from experiments.core.presets import read_preset
    from experiments.tables.table1 import films_table, phantom_table, write_table1

    check_preset(preset, "phantom", "open", "dictation", "paper")
    title = "Table 1: localization"
    if preset == "phantom":
        phantom = phantom_preset(preset, seed, set_)
        result = last(phantom_steps(out, phantom, processes))
        table = phantom_table(result, phantom.model_dump(mode="json"))
        command = f"pneumoloc experiment table1 --preset phantom{as_said(seed, set_)} --out WORK"
    else:
        from detector.run.device import choose_device
        from experiments.core.films_run import run_films
        from experiments.core.presets import FilmsPreset

        films_preset = read_preset(FilmsPreset, preset, set_ or ())
        given, notes, told = _films_input(
            preset,
            films_preset.seed,
            out,
            data,
            reports,
            boxed=boxed,
            pairs=pairs,
            test=test or [],
            split=split,
        )
        result = last(
            run_films(
                given,
                out,
                preset=films_preset,
                backbone_weights=backbone_weights,
                device=choose_device(device),
            )
        )
        table = films_table(result, films_preset.model_dump(mode="json"), notes)
        said = as_said(None, set_) + told
        command = f"pneumoloc experiment table1 --preset {preset}{said} --out WORK"
        if backbone_weights is not None:
            command += " --backbone-weights WEIGHTS"
    typer.echo(
        write_table1(table, results or out, f"table1-{preset}", title=title, command=command)
    )


def table2(
    preset: Preset,
    out: Out,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    data: Data = None,
    reports: Reports = None,
    backbone_weights: Weights = None,
    method: Annotated[
        str, typer.Option(help="Whose attributes and boxes are scored.")
    ] = "proposed",
    processes: Processes = None,
    device: Device = "auto",
) -> None:
    """Severity and attributes from films alone: the paper's table 2 and its attribute accuracy."""
    from experiments.tables.table2 import write_table2
    from experiments.tables.table2_runs import open_table2, phantom_table2

    check_preset(preset, "phantom", "open")
    if preset == "phantom":
        phantom = phantom_preset(preset, seed, set_, only=method)
        table = phantom_table2(last(phantom_steps(out, phantom, processes)), method, phantom)
        told = as_said(seed, set_)
    else:
        from detector.run.device import choose_device
        from experiments.core.presets import FilmsPreset, read_preset

        films_preset = read_preset(FilmsPreset, preset, set_ or ())
        table = last(
            open_table2(
                needed(data, "--data"),
                needed(reports, "--reports"),
                out,
                preset=films_preset,
                method=method,
                backbone_weights=backbone_weights,
                device=choose_device(device),
            )
        )
        told = as_said(None, set_) + " --data DATA --reports REPORTS"
        told += " --backbone-weights WEIGHTS" if backbone_weights else ""
    command = f"pneumoloc experiment table2 --preset {preset}{told} --out WORK"
    typer.echo(write_table2(table, results or out, f"table2-{preset}", command=command))


def figures(
    preset: Preset,
    work: Annotated[Path, typer.Option("--work", help="Work folder of `table1`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the PNG files.")],
    seed: Annotated[
        int | None, typer.Option(help="phantom: whose films; default: the first.")
    ] = None,
    data: Data = None,
    reports: Reports = None,
    method: Annotated[str, typer.Option(help="Whose boxes and attributes are shown.")] = "proposed",
    device: Device = "auto",
) -> None:
    """Examples, pairs over time, severity and attention maps: the paper's figures 2 to 4.

    Real films belong to their owners: with --preset open keep the files to yourself.
    """
    from detector.run.device import choose_device
    from experiments.core.presets import FilmsPreset, read_preset
    from experiments.figures.all_figures import open_source, phantom_source, write_figures

    check_preset(preset, "phantom", "open")
    if preset == "phantom":
        source = phantom_source(work, phantom_preset(preset, None, None), seed, method)
    else:
        source = open_source(
            needed(data, "--data"),
            needed(reports, "--reports"),
            work,
            read_preset(FilmsPreset, preset),
            method,
        )
    for path in write_figures(source, out, choose_device(device)):
        typer.echo(str(path))


def _films_input(
    preset: str,
    seed: int,
    out: Path,
    data: Path | None,
    reports: Path | None,
    *,
    boxed: Path | None,
    pairs: Path | None,
    test: list[str],
    split: str,
) -> tuple[FilmsInput, tuple[str, ...], str]:
    """Films of a run on films, notes for the reader, options for the command line."""
    if preset == "open":
        from experiments.core.open_run import TEXT, open_input

        found = open_input(needed(data, "--data"), needed(reports, "--reports"), out)
        return found.films, TEXT, " --data DATA --reports REPORTS"
    if preset == "dictation":
        from experiments.data.dictation import TEXT, dictation_input

        half = dictation_input(needed(data, "--data"), needed(reports, "--reports"), out, seed=seed)
        return half, TEXT, " --data DATA --reports REPORTS"
    from experiments.core.paper_run import paper_input, split_note

    given = paper_input(
        needed(boxed, "--boxed"), needed(pairs, "--pairs"), reports, test, split=split
    )
    names = " ".join(f"--test {one.name}=MANIFEST" for one in given.tests)
    return given, split_note(split), f" --boxed RSNA --pairs MIMIC {names} --split {split}"
