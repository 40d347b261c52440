"""`Annotations`: the hub between predictions or manifests and every annotation format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from data_manifests.boxes import valid_boxes
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from localize.formats.hub.names import film_names
from localize.prediction.tables import Prediction

DEFAULT_LABEL = "pneumonia"


@dataclass(frozen=True)
class FilmAnnotation:
    """One film with its boxes, as a format sees it.

    `name` is the film's file name or relative path with `/`, `path` where its file lies here (never
    exported; "" where not known). `xyxy` (N, 4) are pixels of the film,
    or, where `is_normalised`, shares of its width and height (then both are 0 here). `scores`,
    `alphas`, `detector_scores` (N,) are NaN where not known. `keywords` are the attribute words of
    each box, `probabilities` the film's, `severity` and `p_pneumonia` None where not known.
    """

    name: str
    width: int
    height: int
    xyxy: Floats
    labels: tuple[str, ...]
    scores: Floats
    keywords: tuple[tuple[str, ...], ...]
    image_id: str = ""
    path: str = ""
    annotators: tuple[str, ...] = ()
    alphas: Floats = field(default_factory=lambda: np.zeros(0))
    detector_scores: Floats = field(default_factory=lambda: np.zeros(0))
    probabilities: Mapping[str, float] = field(default_factory=dict)
    p_pneumonia: float | None = None
    severity: float | None = None
    is_normalised: bool = False

    def __len__(self) -> int:
        return len(self.xyxy)


@dataclass(frozen=True)
class Annotations:
    """Films with boxes that can be walked through any number of times, one film in memory.

    `labels` are the classes in the order of their numbers, `keywords` the attribute words, `model`
    names the origin, `films` starts a walk, `count` is the number of films.
    """

    labels: tuple[str, ...]
    keywords: tuple[str, ...]
    model: str
    films: Callable[[], Iterator[FilmAnnotation]]
    count: int

    def __iter__(self) -> Iterator[FilmAnnotation]:
        return self.films()

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class Selection:
    """Which boxes are exported, and under which labels.

    Boxes with a score below `min_score` are left out (those without a score stay), then all but the
    `max_boxes` best of each film. `label_map` renames labels; others stay.
    """

    min_score: float | None = None
    max_boxes: int | None = None
    label_map: Mapping[str, str] = field(default_factory=dict)


def annotations_of_films(
    films: Iterable[FilmAnnotation], *, keywords: tuple[str, ...] = (), model: str = ""
) -> Annotations:
    """A hub from films in memory; its labels are those of the boxes, sorted."""
    kept = tuple(films)
    labels = sorted({label for film in kept for label in film.labels})
    return Annotations(
        tuple(labels) or (DEFAULT_LABEL,), keywords, model, lambda: iter(kept), len(kept)
    )


def annotations_from_prediction(
    prediction: Prediction, selection: Selection | None = None, *, image_root: str = ""
) -> Annotations:
    """The predicted films (not the skipped ones), in order, negatives included.

    Args:
        prediction: as read from its folder.
        selection: all boxes under their own labels by default.
        image_root: names are relative to this folder where the film lies in it; other films with an
            absolute path go by their file name alone.

    Raises:
        DataError: a film without a size, a box outside its film, or two films of one name.
    """
    images = prediction.images[prediction.images["status"] == "ok"].reset_index(drop=True)
    boxes = prediction.boxes[prediction.boxes["image_id"].isin(set(images["image_id"]))]
    model = prediction.info.get("model", prediction.info.get("bundle_id", "pneumoloc"))
    return _hub(
        images,
        images["path"],
        boxes.assign(annotator=""),
        prediction.attributes,
        selection or Selection(),
        model=model if isinstance(model, str) else "pneumoloc",
        image_root=image_root,
    )


def annotations_from_manifest(
    manifest: Manifest, selection: Selection | None = None
) -> Annotations:
    """The films of a manifest with their true boxes, named by their `path`.

    Raises:
        DataError: a film without a size, or a box outside its film.
    """
    relative = manifest.images["path"]
    images = manifest.images.assign(
        path=[str(path) for path in manifest.film_paths()],
        p_pneumonia=np.nan,
        severity=np.nan,
        width=manifest.images["width"].astype("float64"),
        height=manifest.images["height"].astype("float64"),
    )
    boxes = manifest.boxes.assign(score=np.nan, alpha=np.nan, detector_score=np.nan, attributes="")
    nothing = pd.DataFrame({"image_id": images["image_id"]})
    return _hub(
        images, relative, boxes, nothing, selection or Selection(), model="manifest", image_root=""
    )


def _hub(
    images: pd.DataFrame,
    names_from: pd.Series,
    boxes: pd.DataFrame,
    attributes: pd.DataFrame,
    selection: Selection,
    *,
    model: str,
    image_root: str,
) -> Annotations:
    sizes = images[["width", "height"]].to_numpy(np.float64)
    _check_sizes(images, sizes)
    names = film_names(names_from, images["image_id"], image_root)
    index = pd.Series(np.arange(len(images)), index=images["image_id"])
    film = index[boxes["image_id"]].to_numpy(np.int64)
    boxes = _selected(boxes.assign(_film=film), selection)
    corners = boxes[list(CORNERS)].to_numpy(np.float64)
    _check_boxes(boxes, corners, sizes)
    film = boxes["_film"].to_numpy(np.int64)
    bounds = np.searchsorted(film, np.arange(len(images) + 1))
    labels = _labels(boxes["label"], selection.label_map)
    words = [_words(text) for text in boxes["attributes"]]
    numbers = boxes[["score", "alpha", "detector_score"]].to_numpy(np.float64)
    annotators = list(boxes["annotator"])
    scores = images[["p_pneumonia", "severity"]].to_numpy(np.float64)
    keywords = tuple(str(name) for name in attributes.columns[1:])
    probabilities = attributes.set_index("image_id").reindex(images["image_id"]).to_numpy(float)
    image_ids, paths = list(images["image_id"]), list(images["path"])

    def films() -> Iterator[FilmAnnotation]:
        for row, image_id in enumerate(image_ids):
            part = slice(bounds[row], bounds[row + 1])
            yield FilmAnnotation(
                name=names[row],
                width=int(sizes[row, 0]),
                height=int(sizes[row, 1]),
                xyxy=corners[part],
                labels=tuple(labels[part]),
                scores=numbers[part, 0],
                keywords=tuple(words[part]),
                image_id=image_id,
                path=paths[row],
                annotators=tuple(annotators[part]),
                alphas=numbers[part, 1],
                detector_scores=numbers[part, 2],
                probabilities=_known(keywords, probabilities[row]),
                p_pneumonia=_number(scores[row, 0]),
                severity=_number(scores[row, 1]),
            )

    classes = tuple(sorted(set(labels))) or (selection.label_map.get(DEFAULT_LABEL, DEFAULT_LABEL),)
    return Annotations(classes, keywords, model, films, len(images))


def _selected(boxes: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """The boxes that are exported, by film and falling score."""
    if selection.min_score is not None:
        boxes = boxes[~(boxes["score"] < selection.min_score)]
    falling = -boxes["score"].fillna(np.inf).to_numpy(np.float64)
    boxes = boxes.iloc[np.lexsort((falling, boxes["_film"].to_numpy()))]
    if selection.max_boxes is not None:
        boxes = boxes.groupby("_film", sort=False).head(selection.max_boxes)
    return boxes


def _labels(labels: pd.Series, label_map: Mapping[str, str]) -> list[str]:
    plain = [str(label) or DEFAULT_LABEL for label in labels]
    return [label_map.get(label, label) for label in plain]


def _words(text: object) -> tuple[str, ...]:
    return tuple(word.strip() for word in str(text).split(";") if word.strip())


def _known(keywords: tuple[str, ...], probabilities: Floats) -> dict[str, float]:
    pairs = zip(keywords, probabilities.tolist(), strict=True)
    return {name: value for name, value in pairs if math.isfinite(value)}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check_sizes(images: pd.DataFrame, sizes: Floats) -> None:
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


def _check_boxes(boxes: pd.DataFrame, corners: Floats, sizes: Floats) -> None:
    film = boxes["_film"].to_numpy(np.int64)
    rows = boxes.index.to_numpy(np.int64)
    bad = np.flatnonzero(~valid_boxes(corners, sizes[film, 0], sizes[film, 1]))
    if len(bad):
        raise DataError.from_problems(
            [
                Problem(
                    "boxes.csv",
                    f"a box inside {sizes[film[row]].tolist()} of {boxes['image_id'].iloc[row]!r}",
                    str(corners[row].tolist()),
                    row=int(rows[row]) + 2,
                    field="x1,y1,x2,y2",
                )
                for row in bad
            ]
        )
