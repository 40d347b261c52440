"""`run_demo`: the example films and the bundle of the package, from films to a page to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from data_manifests.support.atomic import write_text
from localize.bundle.bundle import load_bundle
from localize.bundle.packaged import EXAMPLE_FILMS, PACKAGED_BUNDLE
from localize.formats.export import export
from localize.formats.hub.from_tables import Selection, annotations_from_prediction
from localize.inference.film_list import films_to_predict
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.prediction.tables import write_prediction
from localize.viewing.drafts.draft_files import drafts_as_text
from localize.viewing.drafts.draft_film import draft_films
from localize.viewing.gallery.build import build_gallery

EXPORTS = (("coco", "boxes.coco.json"), ("label-studio", "boxes.label-studio.json"))


def run_demo(out: Path) -> Iterator[str]:
    """Predict the example films into the folder `out`; yields lines that say where to look."""
    start = time.monotonic()
    bundle = load_bundle(PACKAGED_BUNDLE)
    films = films_to_predict([EXAMPLE_FILMS], "")
    prediction = predict_films(bundle, films, PredictOptions(), torch.device("cpu"))
    write_prediction(prediction, out / "prediction")
    shown = annotations_from_prediction(prediction, Selection(prediction.operating_point()))
    for name, file in EXPORTS:
        export(shown, name, out / file)
    write_text(out / "drafts.txt", drafts_as_text(draft_films(prediction), bundle.bundle_id))
    gallery = out / "prediction" / "gallery.html"
    build_gallery(prediction, {film.image_id: film.file for film in films}, gallery)
    yield "film        P(pneumonia)   call       severity 0-8"
    for image_id, probability, opacity, severity in prediction.images[
        ["image_id", "p_pneumonia", "opacity", "severity"]
    ].itertuples(index=False):
        yield f"{image_id:<12}{probability:>12.2f}   {opacity:<11}{severity:>12.1f}"
    yield f"{len(films)} films, {len(prediction.boxes)} boxes in {time.monotonic() - start:.0f} s:"
    yield f"  {gallery}   to look at: films with boxes, attributes, severity"
    yield f"  {out / 'prediction'}   images.csv, boxes.csv, attributes.csv"
    for name, file in EXPORTS:
        yield f"  {out / file}   boxes for {name}"
    yield f"  {out / 'drafts.txt'}   draft sentences, never a report"
