"""`pneumoloc drafts` and `pneumoloc view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PredictionArgument = Annotated[Path, typer.Argument(help="Folder written by `pneumoloc predict`.")]


def register_looking(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(drafts)


def drafts(
    prediction: PredictionArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write: .json or .txt.")],
    present: Annotated[
        float, typer.Option(min=0, max=1, help="P(pneumonia) from which an opacity is stated.")
    ] = 0.7,
    absent: Annotated[
        float, typer.Option(min=0, max=1, help="P(pneumonia) below which none is stated.")
    ] = 0.3,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Boxes that are described.")] = 0.2,
) -> None:
    """Draft sentences with their evidence and doubts, for a person to check: never a report."""
    from data_manifests.atomic import write_text
    from data_manifests.errors import ConfigError
    from localize.draft_text import drafts_as_json, drafts_as_text
    from localize.drafts import DraftOptions, draft_films
    from localize.prediction import read_prediction

    if out.suffix not in (".json", ".txt"):
        raise ConfigError(f"--out: expected a .json or .txt file, got {out.name!r}")
    options = DraftOptions(present=present, absent=absent, min_score=min_score)
    predicted = read_prediction(prediction)
    model = str(predicted.info.get("bundle_id", "unknown"))
    films = draft_films(predicted, options)
    if out.suffix == ".json":
        write_text(out, drafts_as_json(films, options, model))
    else:
        write_text(out, drafts_as_text(films, model))
    uncertain = sum(any(s.is_uncertain for s in film.sentences) for film in films)
    typer.echo(f"{out}: drafts of {len(films)} films, {uncertain} with an uncertain sentence")
