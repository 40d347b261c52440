"""Commands of the paper's tables and figures; `experiments.cli` puts them under `experiment`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from experiments.films_run import FilmsInput
    from experiments.preset_settings import PhantomPreset

Preset = Annotated[str, typer.Option("--preset", help="phantom, open or paper.")]
Out = Annotated[Path, typer.Option("--out", help="Work folder; finished parts are kept.")]
Results = Annotated[
    Path | None, typer.Option("--results", help="Write the results here; default: --out.")
]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Phantoms; default: the preset's.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Preset setting, such as size.films_a=60.")
]
Data = Annotated[
    Path | None, typer.Option("--data", help="open: folder of open films, see docs/experiments.md.")
]
Reports = Annotated[
    Path | None, typer.Option("--reports", help="Reports for the word vectors: manifest or CSV.")
]
Weights = Annotated[
    Path | None,
    typer.Option("--backbone-weights", help="ImageNet weights of the preset's backbone."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


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
    device: Device = "auto",
) -> None:
    """Localization of every method on every test set: the paper's table 1."""
    from experiments.preset_settings import read_preset
    from experiments.table1 import films_table, phantom_table, write_table1

    _check_preset(preset, "phantom", "open", "paper")
    title = "Table 1: localization"
    if preset == "phantom":
        phantom = _phantom_preset(preset, seed, set_)
        result = _last(_phantom_steps(out, phantom))
        table = phantom_table(result, phantom.model_dump(mode="json"))
        command = f"pneumoloc experiment table1 --preset phantom{_chosen(seed, set_)} --out WORK"
    else:
        from detector.device import choose_device
        from experiments.films_run import run_films
        from experiments.preset_settings import FilmsPreset

        films_preset = read_preset(FilmsPreset, preset, set_ or ())
        given, notes, told = _films_input(
            preset, out, data, reports, boxed=boxed, pairs=pairs, test=test or [], split=split
        )
        result = _last(
            run_films(
                given,
                out,
                preset=films_preset,
                backbone_weights=backbone_weights,
                device=choose_device(device),
            )
        )
        table = films_table(result, films_preset.model_dump(mode="json"), notes)
        command = (
            f"pneumoloc experiment table1 --preset {preset}{_chosen(None, set_)}{told} --out WORK"
        )
        if backbone_weights is not None:
            command += " --backbone-weights WEIGHTS"
    typer.echo(
        write_table1(table, results or out, f"table1-{preset}", title=title, command=command)
    )


def controlled(out: Out, results: Results = None, seed: Seeds = None, set_: Set = None) -> None:
    """Does text from hospital B move the boxes of a detector trained at hospital A?

    The phantom's table 1 without the baselines that need no detector.
    """
    from experiments.table1 import phantom_table, write_table1

    preset = _phantom_preset("phantom", seed, set_)
    kept = tuple(spec for spec in preset.methods if spec.kind in ("detector", "attention"))
    preset = preset.model_copy(update={"methods": kept})
    result = _last(_phantom_steps(out, preset))
    typer.echo(
        write_table1(
            phantom_table(result, preset.model_dump(mode="json")),
            results or out,
            "controlled",
            title="The controlled question: does text from hospital B move the boxes?",
            command=f"pneumoloc experiment controlled{_chosen(seed, set_)} --out WORK",
        )
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
    device: Device = "auto",
) -> None:
    """Severity and attributes from films alone: the paper's table 2 and its attribute accuracy."""
    from experiments.table2 import open_table2, phantom_table2, write_table2

    _check_preset(preset, "phantom", "open")
    if preset == "phantom":
        phantom = _phantom_preset(preset, seed, set_, only=method)
        table = phantom_table2(_last(_phantom_steps(out, phantom)), method, phantom)
        told = _chosen(seed, set_)
    else:
        from detector.device import choose_device
        from experiments.preset_settings import FilmsPreset, read_preset

        films_preset = read_preset(FilmsPreset, preset, set_ or ())
        table = _last(
            open_table2(
                _needed(data, "--data"),
                _needed(reports, "--reports"),
                out,
                preset=films_preset,
                method=method,
                backbone_weights=backbone_weights,
                device=choose_device(device),
            )
        )
        told = _chosen(None, set_) + " --data DATA --reports REPORTS"
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
    from detector.device import choose_device
    from experiments.figures.all_figures import open_source, phantom_source, write_figures
    from experiments.preset_settings import FilmsPreset, read_preset

    _check_preset(preset, "phantom", "open")
    if preset == "phantom":
        source = phantom_source(work, _phantom_preset(preset, None, None), seed, method)
    else:
        source = open_source(
            _needed(data, "--data"),
            _needed(reports, "--reports"),
            work,
            read_preset(FilmsPreset, preset),
            method,
        )
    for path in write_figures(source, out, choose_device(device)):
        typer.echo(str(path))


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
    from experiments.ablation import run_ablation, write_ablation
    from experiments.preset_settings import AblationPreset, read_preset

    _check_preset(preset, "phantom")
    chosen = read_preset(AblationPreset, f"ablation-{preset}", _overrides(seed, set_))
    result = _last(run_ablation(out, chosen, only=only))
    told = _chosen(seed, set_) + "".join(f" --only '{name}'" for name in only or [])
    command = f"pneumoloc experiment ablation --preset {preset}{told} --out WORK"
    typer.echo(write_ablation(result, results or out, f"ablation-{preset}", command=command))


def curves(
    preset: Preset = "phantom",
    out: Out = Path("work"),
    results: Results = None,
    seed: Seeds = None,
    set_: Set = None,
) -> None:
    """Gain over RetinaNet against the strength of the shift and the number of film-report pairs."""
    from experiments.curves import run_curves, write_curves
    from experiments.preset_settings import CurvesPreset, read_preset

    _check_preset(preset, "phantom")
    chosen = read_preset(CurvesPreset, f"curves-{preset}", _overrides(seed, set_))
    result = _last(run_curves(out, chosen))
    command = f"pneumoloc experiment curves --preset {preset}{_chosen(seed, set_)} --out WORK"
    typer.echo(write_curves(result, results or out, f"curves-{preset}", command=command))


def _last(steps: Any) -> Any:  # Any: each run yields lines and, last, a result of its own type
    """Lines go to stderr; returns the result."""
    result = None
    for step in steps:
        if isinstance(step, str):
            typer.echo(step, err=True)
        else:
            result = step
    return result


def _phantom_preset(
    name: str, seeds: list[int] | None, set_: list[str] | None, only: str | None = None
) -> PhantomPreset:
    from data_manifests.errors import ConfigError
    from experiments.preset_settings import PhantomPreset, read_preset

    preset = read_preset(PhantomPreset, name, _overrides(seeds, set_))
    if only is None:
        return preset
    kept = tuple(spec for spec in preset.methods if spec.name == only)
    if not kept:
        known = ", ".join(spec.name for spec in preset.methods)
        raise ConfigError(f"--method: expected one of {known}, got {only!r}")
    return preset.model_copy(update={"methods": kept})


def _phantom_steps(out: Path, preset: PhantomPreset) -> Any:  # Any: see `_last`
    from experiments.methods import build_method
    from experiments.phantom_run import run_phantom

    return run_phantom(
        out,
        seeds=preset.seeds,
        size=preset.size,
        methods=[build_method(spec) for spec in preset.methods],
        classifier=preset.classifier,
    )


def _films_input(
    preset: str,
    out: Path,
    data: Path | None,
    reports: Path | None,
    *,
    boxed: Path | None,
    pairs: Path | None,
    test: list[str],
    split: str,
) -> tuple[FilmsInput, tuple[str, ...], str]:
    """Films of the open or the paper's run, notes for the reader, options for the command line."""
    if preset == "open":
        from experiments.open_run import TEXT, open_input

        found = open_input(_needed(data, "--data"), _needed(reports, "--reports"), out)
        return found.films, TEXT, " --data DATA --reports REPORTS"
    from experiments.paper_run import paper_input, split_note

    given = paper_input(
        _needed(boxed, "--boxed"), _needed(pairs, "--pairs"), reports, test, split=split
    )
    names = " ".join(f"--test {one.name}=MANIFEST" for one in given.tests)
    return given, split_note(split), f" --boxed RSNA --pairs MIMIC {names} --split {split}"


def _check_preset(preset: str, *known: str) -> None:
    from data_manifests.errors import ConfigError

    if preset not in known:
        raise ConfigError(f"--preset: expected {' or '.join(known)}, got {preset!r}")


def _needed(path: Path | None, option: str) -> Path:
    from data_manifests.errors import ConfigError

    if path is None:
        raise ConfigError(f"{option}: expected a path with this --preset, got none")
    return path


def _overrides(seeds: list[int] | None, set_: list[str] | None) -> list[str]:
    return [*(set_ or []), *([f"seeds={list(seeds)}"] if seeds else [])]


def _chosen(seeds: list[int] | None, set_: list[str] | None) -> str:
    """What was said on the command line beside the preset."""
    words = [f" --seed {seed}" for seed in seeds or []]
    return "".join(words + [f" --set {shlex.quote(setting)}" for setting in set_ or []])
