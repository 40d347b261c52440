"""Options and small steps that the commands of the tables share."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from experiments.core.presets import PhantomPreset

Preset = Annotated[
    str, typer.Option("--preset", help="phantom or open; table1 also dictation or paper.")
]
Out = Annotated[Path, typer.Option("--out", help="Work folder; finished parts are kept.")]
Results = Annotated[
    Path | None, typer.Option("--results", help="Write the results here; default: --out.")
]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Phantoms; default: the preset's.")]
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
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Default: one a core, at most one a seed.")
]


def last(steps: Any) -> Any:  # Any: each run yields lines and, last, a result of its own type
    """Lines go to stderr; returns the result."""
    result = None
    for step in steps:
        if isinstance(step, str):
            typer.echo(step, err=True)
        else:
            result = step
    return result


def phantom_preset(
    name: str, seeds: list[int] | None, set_: list[str] | None, only: str | None = None
) -> PhantomPreset:
    from data_manifests.support.errors import ConfigError
    from experiments.core.presets import PhantomPreset, read_preset

    preset = read_preset(PhantomPreset, name, overrides(seeds, set_))
    if only is None:
        return preset
    kept = tuple(spec for spec in preset.methods if spec.name == only)
    if not kept:
        known = ", ".join(spec.name for spec in preset.methods)
        raise ConfigError(f"--method: expected one of {known}, got {only!r}")
    return preset.model_copy(update={"methods": kept})


def phantom_steps(out: Path, preset: PhantomPreset, processes: int | None) -> Any:
    """`run_phantom` of a preset; for `last`."""
    from experiments.core.phantom_run import run_phantom
    from experiments.methods.method import build_method

    return run_phantom(
        out,
        seeds=preset.seeds,
        size=preset.size,
        methods=[build_method(spec) for spec in preset.methods],
        classifier=preset.classifier,
        processes=seeds_at_a_time(processes, len(preset.seeds)),
    )


def seeds_at_a_time(processes: int | None, seeds: int) -> int:
    """As asked for, or one a core."""
    return min(processes or os.cpu_count() or 1, seeds)


def check_preset(preset: str, *known: str) -> None:
    from data_manifests.support.errors import ConfigError

    if preset not in known:
        raise ConfigError(f"--preset: expected {' or '.join(known)}, got {preset!r}")


def needed(path: Path | None, option: str) -> Path:
    from data_manifests.support.errors import ConfigError

    if path is None:
        raise ConfigError(f"{option}: expected a path with this --preset, got none")
    return path


def overrides(seeds: list[int] | None, set_: list[str] | None) -> list[str]:
    return [*(set_ or []), *([f"seeds={list(seeds)}"] if seeds else [])]


def as_said(seeds: list[int] | None, set_: list[str] | None) -> str:
    """What was said on the command line beside the preset."""
    words = [f" --seed {seed}" for seed in seeds or []]
    return "".join(words + [f" --set {shlex.quote(setting)}" for setting in set_ or []])
