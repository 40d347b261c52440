"""VGG Image Annotator 2: annotations as CSV or JSON; https://www.robots.ox.ac.uk/~vgg/software/via.

VIA finds a film by its file name (no folder) and its size in bytes, and skips rows silently where
the size differs, so the films must be at hand.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.atomic import atomic_path
from data_manifests.support.csv_file import csv_writer
from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import film_file, repeated_names
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm
from localize.formats.hub.reading import (
    BadField,
    file_error,
    get,
    load_json,
    mapping,
    number,
)
from localize.formats.hub.writing import json_line

COLUMNS = (
    "filename",
    "file_size",
    "file_attributes",
    "region_count",
    "region_id",
    "region_shape_attributes",
    "region_attributes",
)
FILM_NUMBERS = ("p_pneumonia", "severity")
Row = dict[str, Any]  # Any: a JSON object of the format


def write_via(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write VIA's CSV, or its JSON where `target` ends with `.json`.

    Raises:
        DataError: a film's file is missing, or two files have one name in different folders.
    """
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as handle,
    ):
        if target.suffix.lower() == ".json":
            handle.write("{")
            for place, (film, name, size) in enumerate(_sized(annotations, options)):
                comma = "," if place else ""
                handle.write(
                    f"{comma}\n{json_line(f'{name}{size}')}: {json_line(_json(film, name, size))}"
                )
            handle.write("\n}\n")
        else:
            writer = csv_writer(handle)
            writer.writerow(COLUMNS)
            for film, name, size in _sized(annotations, options):
                writer.writerows(_csv_rows(film, name, size))


def read_via(path: Path) -> list[ImportedFilm]:
    """Read VIA's CSV or JSON export, or the annotations inside a saved project.

    These files do not state the size of a film.

    Raises:
        DataError: all errors of the file together; shapes other than rectangles are errors.
    """
    if path.suffix.lower() == ".json":
        content = load_json(path)
        if isinstance(content, dict):
            content = content.get("_via_img_metadata", content)
        if not isinstance(content, dict):
            raise file_error(path, "VIA's annotations", "another JSON")
        rows: Iterable[tuple[str, Row]] = ((f"{key!r:.80}", film) for key, film in content.items())
    else:
        rows = _from_csv(path)
    films, problems = [], []
    for where, row in rows:
        try:
            films.append(_film(row))
        except BadField as error:
            problems.append(error.problem(str(path), where))
    if problems:
        raise DataError.from_problems(problems)
    return films


def _sized(
    annotations: Annotations, options: FormatOptions
) -> Iterator[tuple[FilmAnnotation, str, int]]:
    """Each film with its bare file name and size in bytes."""
    twice = repeated_names(lambda: map(_bare, annotations.film_names()))
    for film in annotations:
        name = _bare(film.name)
        if name in twice or any(c in name for c in "\r\n"):
            raise DataError.from_problems(
                [
                    Problem(
                        "films",
                        "a file name on one line, once (VIA ignores folders)",
                        repr(name),
                        field="path",
                        fix="rename the film, or export folder by folder",
                    )
                ]
            )
        yield film, name, film_file(film.name, film.path, options.image_root).stat().st_size


def _bare(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _regions(film: FilmAnnotation) -> Iterator[tuple[Row, Row]]:
    for place, (x1, y1, x2, y2) in enumerate(film.xyxy.tolist()):
        shape = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
        values: Row = {"label": film.labels[place]}
        if (score := film.score(place)) is not None:
            values["score"] = score
        if film.keywords[place]:
            values["attributes"] = ";".join(film.keywords[place])
        if film.annotators[place]:
            values["annotator"] = film.annotators[place]
        yield shape, values


def _film_values(film: FilmAnnotation) -> dict[str, str]:
    numbers = zip(FILM_NUMBERS, (film.p_pneumonia, film.severity), strict=True)
    values = {name: repr(value) for name, value in numbers if value is not None}
    return values | ({"annotator": film.annotator} if film.annotator else {})


def _json(film: FilmAnnotation, name: str, size: int) -> Row:
    return {
        "filename": name,
        "size": size,
        "regions": [
            {"shape_attributes": shape, "region_attributes": values}
            for shape, values in _regions(film)
        ],
        "file_attributes": _film_values(film),
    }


def _csv_rows(film: FilmAnnotation, name: str, size: int) -> Iterator[tuple[object, ...]]:
    head = (name, size, json_line(_film_values(film)))
    if not len(film):
        yield (*head, 0, 0, "{}", "{}")
    for place, (shape, values) in enumerate(_regions(film)):
        yield (*head, len(film), place, json_line(shape), json_line(values))


def _from_csv(path: Path) -> Iterable[tuple[str, Row]]:
    """The rows of the CSV gathered by film, in the shape of the JSON."""
    try:
        content = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise file_error(path, "VIA's CSV", str(error)) from error
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    films: dict[tuple[str, str], tuple[str, Row]] = {}
    problems = []
    try:
        head = [name.lstrip("#") for name in next(reader, [])]
        if tuple(head) != COLUMNS:
            raise file_error(path, f"the header {','.join(COLUMNS)}", ",".join(head)[:200])
        for cells in reader:
            try:
                if len(cells) != len(COLUMNS):
                    raise BadField("", f"{len(COLUMNS)} columns", len(cells))
                file_values, shape, values = (_object(cells[n], COLUMNS[n]) for n in (2, 5, 6))
            except BadField as error:
                problems.append(
                    Problem(str(path), error.expected, error.got, reader.line_num, error.field)
                )
                continue
            film = films.setdefault(
                (cells[0], cells[1]),
                (
                    f"row {reader.line_num}",
                    {"filename": cells[0], "regions": [], "file_attributes": file_values},
                ),
            )[1]
            if shape:
                film["regions"].append({"shape_attributes": shape, "region_attributes": values})
    except csv.Error as error:
        problems.append(Problem(str(path), "CSV", str(error), reader.line_num))
    if problems:
        raise DataError.from_problems(problems)
    return films.values()


def _object(cell: str, field: str) -> Row:
    try:
        content = json.loads(cell or "{}")
    except (ValueError, RecursionError) as error:
        raise BadField(field, "a JSON object", cell) from error
    if not isinstance(content, dict):
        raise BadField(field, "a JSON object", cell)
    return content


def _film(row: Row) -> ImportedFilm:
    regions = get(row, "regions", (list, dict), "regions")  # a dict in VIA 1
    boxes = []
    for region in regions.values() if isinstance(regions, dict) else regions:
        shape = get(region, "shape_attributes", dict, "a shape")
        if shape.get("name") != "rect":
            raise BadField("region_shape_attributes", "rect", shape.get("name"))
        x, y, width, height = (number(shape.get(k), k) for k in ("x", "y", "width", "height"))
        values = mapping(region, "region_attributes")
        boxes.append(
            ImportedBox(
                (x, y, x + width, y + height),
                str(values.get("label", "")),
                _float(values.get("score"), "score"),
                tuple(word for word in str(values.get("attributes", "")).split(";") if word),
                str(values.get("annotator") or ""),
            )
        )
    film = mapping(row, "file_attributes")
    numbers = {name: _float(film.get(name), name) for name in FILM_NUMBERS}
    return ImportedFilm(
        name=get(row, "filename", str, "a file name"),
        boxes=tuple(boxes),
        annotator=str(film.get("annotator") or ""),
        p_pneumonia=_known(numbers["p_pneumonia"]),
        severity=_known(numbers["severity"]),
    )


def _float(value: object, field: str) -> float:
    if value is None or value == "":
        return float("nan")
    try:
        return float(str(value))
    except ValueError as error:
        raise BadField(field, "a number", value) from error


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
