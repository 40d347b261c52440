"""`annotations_from_prediction`, `annotations_from_manifest`: the hub from a folder of tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.boxes import Boxes, valid_boxes
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import is_member
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from localize.formats.hub.annotations import DEFAULT_LABEL, Annotations, FilmAnnotation
from localize.formats.hub.film_names import film_name, film_names, refuse_equal_names
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.prediction_folder import PredictedFilms
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

    def chosen(self, film: FilmPrediction) -> FilmPrediction:
        """The film with the selected boxes."""
        is_chosen = np.ones(len(film), dtype=np.bool_)
        if self.min_score is not None:
            is_chosen &= film.scores >= self.min_score
        if self.max_boxes is not None:
            is_chosen[self.max_boxes :] = False  # scores fall
        return film if is_chosen.all() else film.select(is_chosen)

    def label(self, label: str) -> str:
        """The exported label."""
        return self.label_map.get(label or DEFAULT_LABEL, label or DEFAULT_LABEL)


def annotations_from_prediction(
    prediction: PredictedFilms, selection: Selection | None = None, *, image_root: str = ""
) -> Annotations:
    """The predicted films (not the skipped ones), in order, with or without boxes.

    Args:
        prediction: as read from its folder; one that was opened is not held in memory.
        selection: all boxes under their own labels by default.
        image_root: names are relative to this folder where the film lies in it; other films with an
            absolute path are named by their file name.

    Raises:
        DataError: two films of one name; when the films are read, a film without a size, a box
            outside its film, or a number outside its range.
    """
    selection = selection or Selection()
    root = Path(image_root).resolve() if image_root else None
    labels: set[str] = set()
    count = 0
    for part in prediction.parts():
        images = _predicted(part)
        boxes = part.boxes[is_member(part.boxes["image_id"], images["image_id"])]
        labels.update(selection.label(str(label)) for label in boxes["label"].unique())
        count += len(images)

    def names() -> Iterator[str]:
        for part in prediction.parts():
            images = _predicted(part)
            for path, image_id in zip(images["path"], images["image_id"], strict=True):
                yield film_name(str(path), str(image_id), root)

    def films() -> Iterator[FilmAnnotation]:
        for part in prediction.parts():
            for film in films_of_prediction(part):
                if isinstance(film, FilmPrediction):
                    name = film_name(film.path, film.image_id, root)
                    chosen = selection.chosen(film)
                    yield annotation_of_prediction(chosen, name, selection.label_map)

    refuse_equal_names(names)
    model = prediction.info.get("model", prediction.info.get("bundle_id", "pneumoloc"))
    return Annotations(
        _classes(labels, selection),
        prediction.keywords(),
        model if isinstance(model, str) else "pneumoloc",
        films,
        count,
        names=names,
    )


def _predicted(part: Prediction) -> pd.DataFrame:
    """The rows of the films that were not skipped."""
    return part.images[part.images["status"] == "ok"]


def annotation_of_prediction(
    film: FilmPrediction, name: str, label_map: Mapping[str, str] | None = None
) -> FilmAnnotation:
    """A predicted film under the name by which tools know it."""
    labels = tuple(label or DEFAULT_LABEL for label in film.labels)
    return FilmAnnotation(
        name=name,
        boxes=film.boxes,
        labels=tuple((label_map or {}).get(label, label) for label in labels),
        scores=film.scores,
        keywords=film.box_attributes,
        image_id=film.image_id,
        path=film.path,
        p_pneumonia=film.p_pneumonia,
        severity=film.severity,
        prediction=film,
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
    boxes, bounds = _by_film(images, manifest.boxes, sizes)
    corners = boxes[list(CORNERS)].to_numpy(np.float64)
    labels = [selection.label(str(label)) for label in boxes["label"]]
    annotators = [str(name) for name in boxes["annotator"]]
    image_ids = list(images["image_id"])
    paths = [str(path) for path in manifest.film_paths()]

    def films() -> Iterator[FilmAnnotation]:
        for row, image_id in enumerate(image_ids):
            end = bounds[row + 1]
            if selection.max_boxes is not None:
                end = min(end, bounds[row] + selection.max_boxes)
            part = slice(bounds[row], end)
            count = end - bounds[row]
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
    images: pd.DataFrame, boxes: pd.DataFrame, sizes: Floats
) -> tuple[pd.DataFrame, list[int]]:
    """The boxes by film, and where each film's rows begin."""
    index = pd.Series(np.arange(len(images)), index=images["image_id"])
    film = index[boxes["image_id"]].to_numpy(np.int64)
    order = np.argsort(film, kind="stable")
    boxes, film = boxes.iloc[order], film[order]
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


def _classes(labels: Iterable[str], selection: Selection) -> tuple[str, ...]:
    return tuple(sorted(set(labels))) or (selection.label_map.get(DEFAULT_LABEL, DEFAULT_LABEL),)
