"""Options and steps that several commands share."""

from __future__ import annotations

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_manifests.support.choices import DeviceName

if TYPE_CHECKING:
    from experiments.core.phantom_run import PhantomResult
    from experiments.core.presets import PhantomPreset


class FilmSet(StrEnum):
    """Presets with a table 2 and figures."""

    phantom = "phantom"
    open = "open"


Out = Annotated[Path, typer.Option("--out", help="Output folder; finished parts are reused.")]
Results = Annotated[
    Path | None, typer.Option("--results", help="Write the results here; default: --out.")
]
Seeds = Annotated[
    list[int] | None, typer.Option("--seed", help="Phantom seeds; default: the preset's.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Preset setting, such as size.films_a=60.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="open, dictation: folder of films, see docs/experiments.md."),
]
Reports = Annotated[
    Path | None, typer.Option("--reports", help="Reports for the word vectors: manifest or CSV.")
]
Weights = Annotated[
    Path | None,
    typer.Option("--backbone-weights", help="ImageNet weights of the preset's backbone."),
]
Device = Annotated[DeviceName, typer.Option("--device", help="Where networks run.")]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Default: one a core, at most one a seed.")
]


def show_progress(line: str) -> None:
    """Progress goes to stderr, results to stdout."""
    typer.echo(line, err=True)


def phantom_preset(
    name: str, seeds: list[int] | None, set_: list[str] | None, only: str | None = None
) -> PhantomPreset:
    """A phantom preset with overrides; `only` names one of its methods."""
    from data_manifests.support.errors import ConfigError
    from experiments.core.presets import PhantomPreset, read_preset

    preset = read_preset(PhantomPreset, name, overrides(seeds, set_))
    if only is None:
        return preset
    methods = tuple(method for method in preset.methods if method.name == only)
    if not methods:
        known = ", ".join(method.name for method in preset.methods)
        raise ConfigError(f"--method: expected one of {known}, got {only!r}")
    return preset.model_copy(update={"methods": methods})


def run_preset(out: Path, preset: PhantomPreset, processes: int | None) -> PhantomResult:
    """`run_phantom` of a preset."""
    from experiments.core.phantom_run import run_phantom

    return run_phantom(
        preset.run(out),
        preset.methods,
        preset.seeds,
        processes=process_count(processes, len(preset.seeds)),
        progress=show_progress,
    )


def process_count(processes: int | None, seeds: int) -> int:
    """As given, or one a core; at most one a seed."""
    return min(processes or os.cpu_count() or 1, seeds)


def required(path: Path | None, option: str) -> Path:
    """The path of an option that this preset needs."""
    from data_manifests.support.errors import ConfigError

    if path is None:
        raise ConfigError(f"{option}: expected a path with this --preset, got none")
    return path


def overrides(seeds: list[int] | None, set_: list[str] | None) -> list[str]:
    """`--seed` and `--set` as overrides of a preset."""
    return [*(set_ or []), *([f"seeds={list(seeds)}"] if seeds else [])]


def command_line(
    name: str, preset: str | None, seeds: list[int] | None, set_: list[str] | None, rest: str = ""
) -> str:
    """The command line that a result names."""
    words = [f"pneumoloc experiment {name}" + ("" if preset is None else f" --preset {preset}")]
    words += [f"--seed {seed}" for seed in seeds or []]
    words += [f"--set {shlex.quote(setting)}" for setting in set_ or []]
    return " ".join(words) + f"{rest} --out WORK"
