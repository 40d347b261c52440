"""LabelMe: one JSON file for each film, to lie beside it; https://github.com/wkentaro/labelme.

`imageData` is null, so LabelMe opens the film at `imagePath`, seen from the JSON file.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm
from localize.formats.hub.reading import (
    BadField,
    file_error,
    film_size,
    get,
    load_json,
    mapping,
    number,
)
from localize.formats.hub.writing import atomic_folder, json_line

VERSION = "5.5.0"  # of the file layout, unchanged since LabelMe 5


def write_labelme(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write the JSON files in the subfolders of the films; copy the folder over that of the films.

    Words are `flags` of a shape (LabelMe allows only true and false there); `score` and the
    film's numbers are further keys, which LabelMe keeps.

    Raises:
        DataError: `target` holds something already.
    """
    names = SafeNames(annotations.film_names())
    with atomic_folder(target) as folder:
        for film in annotations:
            name = names.of(film.name)
            path = folder / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = posixpath.relpath(f"/{film.name}", f"/{posixpath.dirname(name)}")
            path.write_text(json_line(_document(film, image)) + "\n", "utf-8")


def read_labelme(path: Path) -> list[ImportedFilm]:
    """Read all JSON files of a folder, or one.

    Raises:
        DataError: all errors of all files together, or no file; shapes other than rectangles are
            errors.
    """
    folder, files = (
        (path.parent, [path]) if path.is_file() else (path, sorted(path.rglob("*.json")))
    )
    if not files:
        raise file_error(path, "LabelMe JSON files", "none")
    films: list[ImportedFilm] = []
    problems: list[Problem] = []
    for file in files:
        try:
            content = load_json(file)
            where = file.parent.relative_to(folder).as_posix()
            films.append(_film(content, "" if where == "." else where))
        except DataError as error:
            problems += error.problems
        except BadField as error:
            problems.append(error.problem(file.name, ""))
    if problems:
        raise DataError.from_problems(problems)
    return films


def _document(film: FilmAnnotation, image: str) -> dict[str, Any]:  # Any: a JSON object
    shapes = []
    for place, (x1, y1, x2, y2) in enumerate(film.xyxy.tolist()):
        values = {"score": film.score(place), "annotator": film.annotators[place] or None}
        shapes.append(
            {
                "label": film.labels[place],
                "points": [[x1, y1], [x2, y2]],
                "group_id": None,
                "description": "",
                "shape_type": "rectangle",
                "flags": dict.fromkeys(film.keywords[place], True),
                "mask": None,
                **{key: value for key, value in values.items() if value is not None},
            }
        )
    known = {
        "p_pneumonia": film.p_pneumonia,
        "severity": film.severity,
        "annotator": film.annotator or None,
    }
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": film.height,
        "imageWidth": film.width,
        **{key: value for key, value in known.items() if value is not None},
    }


def _film(content: Any, folder: str) -> ImportedFilm:  # Any: checked field by field
    shapes = get(content, "shapes", list, "a list of shapes")
    image = get(content, "imagePath", str, "the film's path").replace("\\", "/")
    boxes = []
    for shape in shapes:
        if get(shape, "shape_type", str, "rectangle") != "rectangle":
            raise BadField("shape_type", "rectangle", shape["shape_type"])
        points = get(shape, "points", list, "two points")
        if len(points) != 2 or not all(isinstance(p, list) and len(p) == 2 for p in points):
            raise BadField("points", "two points", points)
        # A rectangle may be drawn from any corner.
        x = sorted(number(point[0], "points") for point in points)
        y = sorted(number(point[1], "points") for point in points)
        flags = mapping(shape, "flags")
        boxes.append(
            ImportedBox(
                (x[0], y[0], x[1], y[1]),
                get(shape, "label", str, "a label"),
                number(shape["score"], "score") if "score" in shape else np.nan,
                tuple(str(word) for word, is_set in flags.items() if is_set is True),
                str(shape.get("annotator") or ""),
            )
        )
    numbers = {
        key: number(content[key], key) for key in ("p_pneumonia", "severity") if key in content
    }
    return ImportedFilm(
        name=posixpath.normpath(posixpath.join(folder, image)),
        boxes=tuple(boxes),
        size=film_size(content, "imageWidth", "imageHeight"),
        annotator=str(content.get("annotator") or ""),
        p_pneumonia=numbers.get("p_pneumonia"),
        severity=numbers.get("severity"),
    )
