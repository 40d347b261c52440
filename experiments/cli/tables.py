"""Commands of the paper's tables and figures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import (
    Data,
    Device,
    FilmSet,
    Out,
    Processes,
    Reports,
    Results,
    Seeds,
    Set,
    Weights,
    command_line,
    phantom_preset,
    required,
    run_preset,
    show_progress,
)

if TYPE_CHECKING:
    from experiments.core.manifest_run import ManifestRun
    from experiments.data.manifest_input import ManifestInput

INPUTS, WEIGHTS = " --data DATA --reports REPORTS", " --backbone-weights WEIGHTS"


class TablePreset(StrEnum):
    """Presets of table 1."""

    phantom = "phantom"
    open = "open"
    dictation = "dictation"
    siim = "siim"
    paper = "paper"


class Split(StrEnum):
    """Splits of the paper's test films."""

    leak_free = "leak-free"
    paper = "paper"


def table1(
    preset: Annotated[TablePreset, typer.Option("--preset", help="Which films and methods.")],
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
        Split,
        typer.Option(help="paper: `paper` accepts the NIH test films that overlap RSNA."),
    ] = Split.leak_free,
    processes: Processes = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Table 1: localization of every method on every test set."""
    from experiments.tables.table1 import manifest_table, phantom_table, write_table1

    if preset is TablePreset.phantom:
        phantom = phantom_preset(preset, seed, set_)
        command = command_line("table1", preset, seed, set_)
        table = phantom_table(run_preset(out, phantom, processes), phantom, command)
    else:
        from experiments.core.manifest_run import run_manifests

        if preset is TablePreset.paper:
            films = _paper_input(boxed, pairs, reports, test or [], split)
            names = " ".join(f"--test {one.name}=MANIFEST" for one in films.tests)
            rest = f" --boxed RSNA --pairs MIMIC {names} --split {split}"
        else:
            films = _open_films(preset, data, reports, out, set_)
            rest = " --data DATA" if preset is TablePreset.siim else INPUTS
        run = _manifest_run(films, out, preset, set_, backbone_weights, device)
        rest += WEIGHTS if backbone_weights else ""
        command = command_line("table1", preset, None, set_, rest)
        table = manifest_table(run_manifests(run, show_progress), command)
    typer.echo(write_table1(table, results or out, f"table1-{preset}"))


def table2(
    preset: Annotated[FilmSet, typer.Option("--preset", help="Which films and methods.")],
    out: Out,
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
    data: Data = None,
    reports: Reports = None,
    backbone_weights: Weights = None,
    method: Annotated[
        str, typer.Option(help="Method whose attributes and boxes are scored.")
    ] = "report_adapted_proposed",
    processes: Processes = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Table 2: severity and attributes from films alone."""
    from experiments.tables.table2 import write_table2
    from experiments.tables.table2_runs import open_table2, phantom_table2

    if preset is FilmSet.phantom:
        phantom = phantom_preset(preset, seed, set_, only=method)
        command = command_line("table2", preset, seed, set_)
        result = phantom_table2(run_preset(out, phantom, processes), method, phantom, command)
    else:
        from experiments.data.open_input import open_input

        found = open_input(required(data, "--data"), required(reports, "--reports"), out)
        run = _manifest_run(found.films, out, preset, set_, backbone_weights, device)
        rest = INPUTS + (WEIGHTS if backbone_weights else "")
        command = command_line("table2", preset, None, set_, rest)
        result = open_table2(
            found.all_covid(), run, method=method, command=command, progress=show_progress
        )
    typer.echo(write_table2(result.table, result.points, results or out, f"table2-{preset}"))


def figures(
    preset: Annotated[FilmSet, typer.Option("--preset", help="Which films.")],
    work: Annotated[Path, typer.Option("--work", help="Output folder of `table1`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the PNG files.")],
    seed: Annotated[
        int | None, typer.Option(help="phantom: the films' seed; default: the first.")
    ] = None,
    data: Data = None,
    reports: Reports = None,
    method: Annotated[
        str, typer.Option(help="Method whose boxes and attributes are shown.")
    ] = "report_adapted_proposed",
    device: Device = DeviceName.AUTO,
) -> None:
    """Examples, pairs over time, severity and attention maps: the paper's figures 2 to 4.

    Real films belong to their owners: do not publish the files of --preset open.
    """
    from detector.run.device import choose_device
    from experiments.core.presets import ManifestPreset, read_preset
    from experiments.figures.all_figures import open_source, phantom_source, write_figures

    if preset is FilmSet.phantom:
        source = phantom_source(work, phantom_preset(preset, None, None), seed, method)
    else:
        source = open_source(
            required(data, "--data"),
            required(reports, "--reports"),
            work,
            read_preset(ManifestPreset, preset),
            method,
        )
    for path in write_figures(source, out, choose_device(device)):
        typer.echo(str(path))


def pages(
    files: Annotated[list[Path], typer.Argument(help="JSON files of results.")],
) -> None:
    """Write the Markdown pages of results again from their JSON files; nothing is trained."""
    from experiments.tables.pages import rewrite_pages

    for path in rewrite_pages(files):
        typer.echo(str(path))


def _manifest_run(
    films: ManifestInput,
    out: Path,
    preset: str,
    set_: list[str] | None,
    backbone_weights: Path | None,
    device: DeviceName,
) -> ManifestRun:
    from detector.run.device import choose_device
    from experiments.core.manifest_run import ManifestRun
    from experiments.core.presets import ManifestPreset, read_preset

    chosen = read_preset(ManifestPreset, preset, set_ or ())
    return ManifestRun(films, out, chosen, backbone_weights, choose_device(device))


def _open_films(
    preset: str, data: Path | None, reports: Path | None, out: Path, set_: list[str] | None
) -> ManifestInput:
    folder = required(data, "--data")
    if preset == TablePreset.siim:
        from experiments.data.siim_input import siim_input

        return siim_input(folder, out)
    texts = required(reports, "--reports")
    if preset == TablePreset.open:
        from experiments.data.open_input import open_input

        return open_input(folder, texts, out).films
    from experiments.core.presets import ManifestPreset, read_preset
    from experiments.data.dictation import dictation_input

    seed = read_preset(ManifestPreset, preset, set_ or ()).seed
    return dictation_input(folder, texts, out, seed=seed)


def _paper_input(
    boxed: Path | None, pairs: Path | None, reports: Path | None, tests: list[str], split: str
) -> ManifestInput:
    from experiments.data.paper_input import paper_input

    return paper_input(
        required(boxed, "--boxed"), required(pairs, "--pairs"), reports, tests, split=split
    )
