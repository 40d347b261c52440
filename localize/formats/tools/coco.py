"""COCO object detection: data sets (`coco`), results (`coco-results`) and V7's reading of it.

https://cocodataset.org/#format-data. Boxes are [x, y, width, height] in pixels from 0. Ids start at
1: pycocotools loses the match of annotation 0, CVAT refuses category 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm
from localize.formats.hub.reading import (
    BadField,
    file_error,
    film_size,
    get,
    load_json,
    number,
)
from localize.formats.hub.writing import json_line, whole_corners, write_json_lines, write_json_list

Row = dict[str, Any]  # Any: a JSON object of the format


def write_coco(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write a COCO data set: all films, boxes with `score` and `attributes`.

    Raises:
        DataError: `coco_images` lacks a film.
    """
    category = _categories(annotations)
    box_id = count(1)
    _write_dataset(
        target,
        annotations,
        (
            (
                _image_row(film, image_id),
                _box_rows(film, image_id, category, box_id, has_polygon=options.coco_polygon),
            )
            for image_id, film in _numbered(annotations, options.coco_images)
        ),
    )


def write_v7_coco(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write COCO as V7 Darwin reads it: whole pixels, a polygon always, no further keys.

    V7 cuts fractions off, which moves boxes to the left and up; here they are rounded.
    """
    category = _categories(annotations)
    box_id = count(1)

    def whole(rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            x, y, width, height = row["bbox"]
            corners = whole_corners([x, y, x + width, y + height])
            row |= _geometry(corners, has_polygon=True)
            yield {key: value for key, value in row.items() if key not in _EXTRA}

    _write_dataset(
        target,
        annotations,
        (
            (
                {k: v for k, v in _image_row(film, image_id).items() if k in _PLAIN},
                whole(_box_rows(film, image_id, category, box_id, has_polygon=True)),
            )
            for image_id, film in _numbered(annotations, options.coco_images)
        ),
    )


_PLAIN = ("id", "file_name", "width", "height")
_EXTRA = ("score", "attributes", "annotator", "sentence")


def write_coco_results(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write COCO detection results, the list that pycocotools' `loadRes` reads.

    Image ids are those of `write_coco` for the same films, or those of `coco_images`. A file
    without boxes is `[]`, which `loadRes` cannot read (cocoapi issue 450).

    Raises:
        DataError: a box without a score (true boxes have none), or `coco_images` lacks a film.
    """
    category = _categories(annotations)

    def rows() -> Iterator[Row]:
        for image_id, film in _numbered(annotations, options.coco_images):
            for row in _box_rows(film, image_id, category, count(1), has_polygon=False):
                if "score" not in row:
                    raise DataError.from_problems(
                        [Problem("boxes", "a score for each box", "none", fix="use --format coco")]
                    )
                yield {key: row[key] for key in ("image_id", "category_id", "bbox", "score")}

    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as handle:
        write_json_list(handle, rows())


def read_coco(path: Path) -> list[ImportedFilm]:
    """Read a COCO data set; films without boxes included.

    Raises:
        DataError: all errors of the file together.
    """
    content = load_json(path)
    parts = ("images", "annotations", "categories")
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("images"), list)
        or not all(isinstance(content.get(part) or [], list) for part in parts)
    ):
        raise file_error(path, "a COCO data set with images, annotations, categories", "another")
    problems: list[Problem] = []
    names: dict[object, str] = {}
    for place, row in enumerate(content.get("categories") or []):
        try:
            names[get(row, "id", (int, str), "an id")] = get(row, "name", str, "a name")
        except BadField as error:
            problems.append(error.problem(str(path), f"categories[{place}]"))
    boxes: dict[object, list[ImportedBox]] = {}
    for place, row in enumerate(content["images"]):
        try:
            if get(row, "id", (int, str), "an id") in boxes:
                raise BadField("id", "each image once", row["id"])
            boxes[row["id"]] = []
            get(row, "file_name", str, "a file name")
            _size(row)
        except BadField as error:
            problems.append(error.problem(str(path), f"images[{place}]"))
    for place, row in enumerate(content.get("annotations") or []):
        try:
            image_id = get(row, "image_id", (int, str), "an image id")
            if image_id not in boxes:
                raise BadField("image_id", "an image of the file", image_id)
            boxes[image_id].append(_parsed_box(row, names))
        except BadField as error:
            problems.append(error.problem(str(path), f"annotations[{place}]"))
    if problems:
        raise DataError.from_problems(problems)
    return [_film(row, boxes[row["id"]]) for row in content["images"]]


def _parsed_box(row: Row, names: dict[object, str]) -> ImportedBox:
    values = get(row, "bbox", list, "[x, y, width, height]")
    if len(values) != 4:
        raise BadField("bbox", "[x, y, width, height]", values)
    x, y, width, height = (number(value, "bbox") for value in values)
    if not (width > 0 and height > 0):
        raise BadField("bbox", "a width and height above 0", values)
    category = get(row, "category_id", (int, str), "a category of the file")
    if category not in names:
        raise BadField("category_id", f"one of {sorted(map(str, names))}", category)
    score = number(row["score"], "score") if "score" in row else float("nan")
    attributes = row.get("attributes")
    words = attributes.items() if isinstance(attributes, dict) else ()
    return ImportedBox(
        (x, y, x + width, y + height),
        names[category],
        score,
        tuple(str(word) for word, is_set in words if is_set is True),
        str(row.get("annotator") or ""),
        str(row.get("sentence") or ""),
    )


def _film(row: Row, boxes: list[ImportedBox]) -> ImportedFilm:
    return ImportedFilm(
        name=row["file_name"],
        boxes=tuple(boxes),
        size=_size(row),
        annotator=str(row.get("annotator") or ""),
        image_id=str(row.get("pneumoloc_id") or ""),
        p_pneumonia=_finite(row.get("p_pneumonia")),
        severity=_finite(row.get("severity")),
    )


def _size(row: Row) -> tuple[int, int] | None:
    """The film's size, None where the file states none."""
    if row.get("width") is None or row.get("height") is None:
        return None
    return film_size(row, "width", "height")


def _finite(value: object) -> float | None:
    """A number of our own export; other tools may use the key for something else."""
    try:
        return number(value, "")
    except BadField:
        return None


def _write_dataset(
    target: Path, annotations: Annotations, films: Iterable[tuple[Row, Iterable[Row]]]
) -> None:
    """Write the data set in one pass over its films: each with the row of its image and its boxes.

    The boxes wait in a temporary file beside `target` until all images are written.
    """
    head = {
        "info": {"description": f"pneumoloc export, model {annotations.model}", "version": "1.0"},
        "licenses": [],
        "categories": [
            {"id": number_, "name": label, "supercategory": ""}
            for number_, label in enumerate(annotations.labels, start=1)
        ],
    }
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8") as handle,
        TemporaryFile("w+", encoding="utf-8", dir=target.parent) as waiting,
    ):

        def images() -> Iterator[Row]:
            for image, boxes in films:
                waiting.writelines(f"{json_line(box)}\n" for box in boxes)
                yield image

        handle.write(json_line(head)[:-1] + ',\n"images": ')
        write_json_list(handle, images())
        handle.write(',\n"annotations": ')
        waiting.seek(0)
        write_json_lines(handle, (line.rstrip("\n") for line in waiting))
        handle.write("}\n")


def _image_row(film: FilmAnnotation, image_id: int) -> Row:
    row: Row = {
        "id": image_id,
        "file_name": film.name,
        "width": film.width,
        "height": film.height,
        "pneumoloc_id": film.image_id,
    }
    if film.p_pneumonia is not None:
        row["p_pneumonia"] = film.p_pneumonia
    if film.severity is not None:
        row["severity"] = film.severity
    if film.annotator:
        row["annotator"] = film.annotator
    if film.prediction is not None and film.prediction.attributes:
        row["attributes"] = dict(film.prediction.attributes)
    return row


def _categories(annotations: Annotations) -> dict[str, int]:
    return {label: place for place, label in enumerate(annotations.labels, start=1)}


def _box_rows(
    film: FilmAnnotation,
    image_id: int,
    category: dict[str, int],
    box_id: Iterator[int],
    *,
    has_polygon: bool,
) -> Iterator[Row]:
    for place, corners in enumerate(film.xyxy.tolist()):
        row: Row = {
            "id": next(box_id),
            "image_id": image_id,
            "category_id": category[film.labels[place]],
            **_geometry(corners, has_polygon=has_polygon),
            "iscrowd": 0,
        }
        score = film.score(place)
        if score is not None:
            row["score"] = score
        if film.keywords[place]:
            row["attributes"] = dict.fromkeys(film.keywords[place], True)
        if film.annotators[place]:
            row["annotator"] = film.annotators[place]
        if film.sentences[place]:
            row["sentence"] = film.sentences[place]
        yield row


def _geometry(corners: Sequence[float], *, has_polygon: bool) -> Row:
    x1, y1, x2, y2 = corners
    return {
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        # The key must be there (V7), and nested (CVAT issue 6392).
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]] if has_polygon else [],
    }


def _numbered(annotations: Annotations, given: Path | None) -> Iterator[tuple[int, FilmAnnotation]]:
    """Each film with its number: from 1 in order, or that of another COCO file by its name."""
    if given is None:
        yield from enumerate(annotations, start=1)
        return
    content = load_json(given)
    rows = content.get("images") if isinstance(content, dict) else None
    known = {
        str(row.get("file_name")): row["id"]
        for row in rows or []
        if isinstance(row, dict) and isinstance(row.get("id"), int)
    }
    missing = [
        Problem(str(given), f"an image {name!r} with a whole-number id", "none")
        for name in annotations.film_names()
        if name not in known
    ]
    if missing:
        raise DataError.from_problems(missing)
    for film in annotations:
        yield known[film.name], film
