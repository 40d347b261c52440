"""`pneumoloc gallery`, `view` and `drafts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localize.cli.shared import NOTICE, Device

AllBoxes = Annotated[
    bool, typer.Option("--all-boxes", help="Also boxes below the operating point of the model.")
]
PredictionArgument = Annotated[Path, typer.Argument(help="Folder written by `pneumoloc predict`.")]


def gallery(
    prediction: Annotated[
        Path, typer.Argument(help="Folder written by `pneumoloc predict` or `pneumoloc ground`.")
    ],
    films: Annotated[
        Path, typer.Option(help="Manifest (its boxes are the true ones), or folder of the films.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="HTML file; default PREDICTION/gallery.html.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many films.")] = 500,
    all_boxes: AllBoxes = False,
    full_resolution: Annotated[
        bool,
        typer.Option("--full-resolution", help="Keep all pixels for the zoom; a larger file."),
    ] = False,
) -> None:
    """A self-contained page of films with boxes, true boxes, attributes and severity.

    For a folder of `pneumoloc ground` it shows each report beside its film.
    """
    from data_manifests.tables.manifest import read_manifest
    from localize.grounding.tables import DESCRIPTION
    from localize.inference.film_list import ManifestFiles, film_files, is_manifest
    from localize.prediction.prediction_folder import open_prediction
    from localize.viewing.gallery.build import build_gallery

    target = out or prediction / "gallery.html"
    if (prediction / DESCRIPTION).is_file():
        from localize.viewing.grounding_page.build import build_grounding_page

        build_grounding_page(prediction, film_files(films), target, limit=limit)
        typer.echo(str(target))
        return
    predicted = open_prediction(prediction)
    truth = read_manifest(films, tables=("images", "boxes")) if is_manifest(films) else None
    build_gallery(
        predicted,
        film_files(films) if truth is None else ManifestFiles(truth),
        target,
        manifest=truth,
        limit=limit,
        all_boxes=all_boxes,
        full_resolution=full_resolution,
    )
    typer.echo(str(target))


def drafts(
    prediction: PredictionArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write: .json or .txt.")],
    present: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="P(pneumonia) that states an opacity, in films without a call."
        ),
    ] = 0.7,
    absent: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="P(pneumonia) below which none is, in films without a call."
        ),
    ] = 0.3,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Boxes that are described.")] = 0.2,
) -> None:
    """Draft sentences with their evidence and doubts, for a person to check: never a report."""
    from data_manifests.support.atomic import write_text
    from data_manifests.support.errors import ConfigError
    from localize.prediction.tables import read_prediction
    from localize.viewing.drafts.draft_files import drafts_as_json, drafts_as_text
    from localize.viewing.drafts.draft_film import draft_films
    from localize.viewing.drafts.film_draft import DraftOptions

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


def view(
    prediction: Annotated[
        Path | None,
        typer.Argument(help="Folder written by `pneumoloc predict` or `pneumoloc ground`."),
    ] = None,
    films: Annotated[
        Path | None, typer.Option(help="Manifest or folder of the predicted films.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model bundle: for dropped films, maps and phrases.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for corrections; default PREDICTION/corrections.")
    ] = None,
    annotator: Annotated[
        str, typer.Option(help="Who corrects; each annotator has a file.")
    ] = "viewer",
    all_boxes: AllBoxes = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    device: Device = "auto",
    open_browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
) -> None:
    """A page on this computer to look at films, ask for words and correct boxes.

    For a folder of `pneumoloc ground` it shows the report beside the film.
    """
    import webbrowser

    from data_manifests.support.errors import ConfigError
    from localize.grounding.tables import DESCRIPTION
    from localize.inference.film_list import film_files
    from localize.prediction.tables import read_prediction
    from localize.viewing.viewer.corrections import Corrections
    from localize.viewing.viewer.grounded_films import grounded_films
    from localize.viewing.viewer.server import ViewerServer
    from localize.viewing.viewer.viewer_films import ViewerFilms, predicted_films

    if prediction is None and model is None:
        raise ConfigError("view: expected a prediction, or --model to drop films on, got neither")
    has_reports = prediction is not None and (prediction / DESCRIPTION).is_file()
    predicted = None if prediction is None or has_reports else read_prediction(prediction)
    keywords = () if predicted is None else predicted.keywords()
    film_model = None
    if model is not None:
        from detector.run.device import choose_device
        from localize.viewing.viewer.film_model import FilmModel

        film_model = FilmModel(model, choose_device(device))
        if predicted is not None and keywords != film_model.keywords:
            raise ConfigError("--model: expected the keywords of the prediction, got others")
        keywords = film_model.keywords
    folder = out or (Path("corrections") if prediction is None else prediction / "corrections")
    files = {} if films is None else film_files(films)
    if prediction is not None and has_reports:
        shown = grounded_films(prediction, files)
    else:
        shown = [] if predicted is None else predicted_films(predicted, files)
    server = ViewerServer(
        ViewerFilms(shown),
        Corrections(folder, annotator),
        film_model,
        keywords=keywords,
        least_score=0.0 if all_boxes or predicted is None else predicted.operating_point() or 0.0,
        port=port,
    )
    typer.echo(NOTICE, err=True)
    typer.echo(f"{server.access.url()}  (Ctrl+C ends; corrections go to {folder})")
    if open_browser:
        webbrowser.open(server.access.url())
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        typer.echo(f"{len(server.corrections)} reviewed films in {folder}", err=True)
    finally:
        server.server_close()
