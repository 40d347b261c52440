"""`annotations_from_prediction`, `annotations_from_manifest`: the hub from a folder of tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from data_manifests.boxes import Boxes, valid_boxes
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from localize.formats.hub.annotations import DEFAULT_LABEL, Annotations, FilmAnnotation
from localize.formats.hub.film_names import film_names
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.tables import Prediction


@dataclass(frozen=True)
class Selection:
    """Which boxes are exported, and under which labels.

    Boxes with a score below `min_score` are left out (those without a score stay), then all but the
    `max_boxes` best of each film. `label_map` renames labels; others stay.
    """

    min_score: float | None = None
    max_boxes: int | None = None
    label_map: Mapping[str, str] = field(default_factory=dict)


def annotations_from_prediction(
    prediction: Prediction, selection: Selection | None = None, *, image_root: str = ""
) -> Annotations:
    """The predicted films (not the skipped ones), in order, with or without boxes.

    Args:
        prediction: as read from its folder.
        selection: all boxes under their own labels by default.
        image_root: names are relative to this folder where the film lies in it; other films with an
            absolute path are named by their file name alone.

    Raises:
        DataError: a film without a size, a box outside its film, a number outside its range, or two
            films of one name.
    """
    images = prediction.images[prediction.images["status"] == "ok"].reset_index(drop=True)
    boxes = prediction.boxes[prediction.boxes["image_id"].isin(set(images["image_id"]))]
    model = prediction.info.get("model", prediction.info.get("bundle_id", "pneumoloc"))
    selection = selection or Selection()
    sizes = _sizes(images)
    names = film_names(images["path"], images["image_id"], image_root)
    boxes, bounds = _by_film(images, boxes, sizes, selection)
    corners = boxes[list(CORNERS)].to_numpy(np.float64)
    numbers = boxes[["score", "alpha", "detector_score"]].to_numpy(np.float64)
    own_labels = [str(label) or DEFAULT_LABEL for label in boxes["label"]]
    labels = [selection.label_map.get(label, label) for label in own_labels]
    words = [_words(text) for text in boxes["attributes"]]
    film_numbers = images[["p_pneumonia", "severity"]].to_numpy(np.float64)
    keywords = prediction.keywords()
    table = prediction.attributes.set_index("image_id").reindex(images["image_id"])
    probabilities = table.to_numpy(np.float64)
    image_ids, paths = list(images["image_id"]), list(images["path"])

    def films() -> Iterator[FilmAnnotation]:
        for row, image_id in enumerate(image_ids):
            part = slice(bounds[row], bounds[row + 1])
            placed = Boxes(corners[part], int(sizes[row, 0]), int(sizes[row, 1]))
            p_pneumonia, severity = map(_number, film_numbers[row])
            try:
                answer = FilmPrediction(
                    image_id=str(image_id),
                    path=str(paths[row]),
                    boxes=placed,
                    scores=numbers[part, 0],
                    alphas=numbers[part, 1],
                    detector_scores=numbers[part, 2],
                    labels=tuple(own_labels[part]),
                    box_attributes=tuple(words[part]),
                    attributes=_known(keywords, probabilities[row]),
                    p_pneumonia=p_pneumonia,
                    severity=severity,
                )
            except ValueError as error:
                raise DataError(f"boxes.csv, images.csv: {error}") from error
            yield FilmAnnotation(
                name=names[row],
                boxes=placed,
                labels=tuple(labels[part]),
                scores=answer.scores,
                keywords=answer.box_attributes,
                image_id=answer.image_id,
                path=answer.path,
                p_pneumonia=p_pneumonia,
                severity=severity,
                prediction=answer,
            )

    return Annotations(
        _classes(labels, selection),
        keywords,
        model if isinstance(model, str) else "pneumoloc",
        films,
        len(images),
    )


def annotations_from_manifest(
    manifest: Manifest, selection: Selection | None = None
) -> Annotations:
    """The films of a manifest with their true boxes, named by their `path`.

    Raises:
        DataError: a film without a size, or a box outside its film.
    """
    selection = selection or Selection()
    images = manifest.images.reset_index(drop=True)
    sizes = _sizes(images.astype({"width": "float64", "height": "float64"}))
    names = film_names(images["path"], images["image_id"])
    boxes, bounds = _by_film(images, manifest.boxes.assign(score=np.nan), sizes, selection)
    corners = boxes[list(CORNERS)].to_numpy(np.float64)
    labels = [str(label) or DEFAULT_LABEL for label in boxes["label"]]
    labels = [selection.label_map.get(label, label) for label in labels]
    annotators = [str(name) for name in boxes["annotator"]]
    image_ids = list(images["image_id"])
    paths = [str(path) for path in manifest.film_paths()]

    def films() -> Iterator[FilmAnnotation]:
        for row, image_id in enumerate(image_ids):
            part = slice(bounds[row], bounds[row + 1])
            count = bounds[row + 1] - bounds[row]
            yield FilmAnnotation(
                name=names[row],
                boxes=Boxes(corners[part], int(sizes[row, 0]), int(sizes[row, 1])),
                labels=tuple(labels[part]),
                scores=np.full(count, np.nan),
                keywords=((),) * count,
                annotators=tuple(annotators[part]),
                image_id=str(image_id),
                path=paths[row],
            )

    return Annotations(_classes(labels, selection), (), "manifest", films, len(images))


def _by_film(
    images: pd.DataFrame, boxes: pd.DataFrame, sizes: Floats, selection: Selection
) -> tuple[pd.DataFrame, list[int]]:
    """The selected boxes by film and falling score, and where each film's rows begin."""
    index = pd.Series(np.arange(len(images)), index=images["image_id"])
    boxes = boxes.assign(_film=index[boxes["image_id"]].to_numpy(np.int64))
    if selection.min_score is not None:
        boxes = boxes[~(boxes["score"] < selection.min_score)]
    falling = -boxes["score"].fillna(np.inf).to_numpy(np.float64)
    boxes = boxes.iloc[np.lexsort((falling, boxes["_film"].to_numpy()))]
    if selection.max_boxes is not None:
        boxes = boxes.groupby("_film", sort=False).head(selection.max_boxes)
    film = boxes["_film"].to_numpy(np.int64)
    corners = boxes[list(CORNERS)].to_numpy(np.float64)
    bad = np.flatnonzero(~valid_boxes(corners, sizes[film, 0], sizes[film, 1])).tolist()
    lines = boxes.index.to_numpy(np.int64) + 2
    if len(bad):
        raise DataError.from_problems(
            [
                Problem(
                    "boxes.csv",
                    f"a box inside {sizes[film[row]].tolist()} of {boxes['image_id'].iloc[row]!r}",
                    str(corners[row].tolist()),
                    row=int(lines[row]),
                    field="x1,y1,x2,y2",
                )
                for row in bad
            ]
        )
    return boxes, np.searchsorted(film, np.arange(len(images) + 1)).tolist()


def _sizes(images: pd.DataFrame) -> Floats:
    """(N, 2) widths and heights."""
    sizes = images[["width", "height"]].to_numpy(np.float64)
    bad = np.flatnonzero(~(sizes >= 1).all(axis=1))  # NaN is bad
    if len(bad):
        raise DataError.from_problems(
            [
                Problem(
                    "images.csv",
                    "width and height in pixels",
                    str(sizes[row].tolist()),
                    field=f"width,height of {images['image_id'].iloc[row]!r}",
                )
                for row in bad
            ]
        )
    return sizes


def _classes(labels: list[str], selection: Selection) -> tuple[str, ...]:
    return tuple(sorted(set(labels))) or (selection.label_map.get(DEFAULT_LABEL, DEFAULT_LABEL),)


def _words(text: object) -> tuple[str, ...]:
    return tuple(word.strip() for word in str(text).split(";") if word.strip())


def _known(keywords: tuple[str, ...], probabilities: Floats) -> dict[str, float]:
    pairs = zip(keywords, probabilities.tolist(), strict=True)
    return {name: value for name, value in pairs if math.isfinite(value)}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
