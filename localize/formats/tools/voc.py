"""Pascal VOC: a folder of `Annotations/*.xml` with `ImageSets` and CVAT's `labelmap.txt`.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc. Many readers take whole numbers only, so
corners are rounded by default. Classic files count pixels from 1 and include the last one, most
of today's readers count corners from 0: choose with `voc_one_based`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types; parsing is defusedxml's

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames, split_suffix
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm
from localize.formats.hub.reading import BadField, file_error
from localize.formats.hub.writing import atomic_folder, whole_corners, xml_text

SIDES = ("xmin", "ymin", "xmax", "ymax")
MAX_BYTES = 4 << 20  # of one film: 10,000 boxes


def write_voc(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write one XML for each film, without `<object>` for negatives.

    Raises:
        DataError: `target` holds something already.
    """
    names = SafeNames(annotations.film_names(), replace_dots=options.replace_dots)
    with atomic_folder(target) as folder:
        sets = folder / "ImageSets" / "Main"
        sets.mkdir(parents=True)
        with (sets / "default.txt").open("w", encoding="utf-8") as listed:
            for film in annotations:
                name = names.of(film.name)
                path = folder / "Annotations" / f"{name}.xml"
                path.parent.mkdir(parents=True, exist_ok=True)
                content = "".join(_document(film, _file_name(film, name, options), options))
                path.write_text(content, "utf-8")
                listed.write(f"{name}\n")
        labels = "".join(f"{_one_line(label)}:::\n" for label in annotations.labels)
        (folder / "labelmap.txt").write_text(
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\n" + labels, "utf-8"
        )


def read_voc(path: Path, *, is_one_based: bool = False) -> list[ImportedFilm]:
    """Read all XML files of a folder (in `Annotations` where there is one), or one file.

    Args:
        path: the folder or file.
        is_one_based: corners count pixels from 1, the last one included.

    Raises:
        DataError: all errors of all files together, or no file.
    """
    folder = path / "Annotations" if (path / "Annotations").is_dir() else path
    files = [path] if path.is_file() else sorted(folder.rglob("*.xml"))
    if not files:
        raise file_error(path, "Pascal VOC XML files", "none")
    films: list[ImportedFilm] = []
    problems: list[Problem] = []
    for file in files:
        try:
            if file.stat().st_size > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES >> 20} MiB")
            root = parse(file, forbid_dtd=True).getroot()
            if root is None:
                raise ValueError("no root element")
            films.append(_film(root, file, is_one_based))
        except BadField as error:
            problems.append(error.problem(file.name, ""))
        except (ParseError, DefusedXmlException, ValueError, LookupError, OSError) as error:
            problems.append(Problem(file.name, "Pascal VOC XML", f"{error!r:.200}"))
    if problems:
        raise DataError.from_problems(problems)
    return films


def _file_name(film: FilmAnnotation, name: str, options: FormatOptions) -> str:
    """The film's own name; with `replace_dots` the one that the film must then be given."""
    return name + split_suffix(film.name)[1] if options.replace_dots else film.name


def _document(film: FilmAnnotation, file_name: str, options: FormatOptions) -> Iterator[str]:
    yield f"<annotation>\n  <folder></folder>\n  <filename>{xml_text(file_name)}</filename>\n"
    yield "  <source><database>pneumoloc</database></source>\n"
    if film.annotator:
        yield f"  <annotator>{xml_text(film.annotator)}</annotator>\n"
    yield f"  <size><width>{film.width}</width><height>{film.height}</height>"
    yield "<depth>1</depth></size>\n  <segmented>0</segmented>\n"
    for place, corners in enumerate(film.xyxy.tolist()):
        yield f"  <object>\n    <name>{xml_text(film.labels[place])}</name>\n"
        yield "    <pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>\n"
        values = corners if options.voc_floats else whole_corners(corners)
        shift = 1 if options.voc_one_based else 0
        sides = zip(SIDES, (values[0] + shift, values[1] + shift, *values[2:]), strict=True)
        inner = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        yield f"    <bndbox>{inner}</bndbox>\n"
        yield from _attributes(film, place)
        yield "  </object>\n"
    yield "</annotation>\n"


def _attributes(film: FilmAnnotation, place: int) -> Iterator[str]:
    pairs = [(word, "true") for word in film.keywords[place]]
    if (score := film.score(place)) is not None:
        pairs.insert(0, ("score", repr(score)))
    if film.annotators[place]:
        pairs.append(("annotator", film.annotators[place]))
    if pairs:
        yield "    <attributes>\n"
        for name, value in pairs:
            yield f"      <attribute><name>{xml_text(name)}</name>"
            yield f"<value>{xml_text(value)}</value></attribute>\n"
        yield "    </attributes>\n"


def _film(root: Element[Any], file: Path, is_one_based: bool) -> ImportedFilm:
    boxes = []
    for element in root.iter("object"):
        x1, y1, x2, y2 = (_number(element, f"bndbox/{side}") for side in SIDES)
        shift = 1 if is_one_based else 0
        values = {
            (a.findtext("name") or "").strip(): (a.findtext("value") or "").strip()
            for a in element.iter("attribute")
        }
        try:
            score = float(values.pop("score", "nan"))
        except ValueError as error:
            raise BadField("score", "a number", str(error)) from error
        boxes.append(
            ImportedBox(
                (x1 - shift, y1 - shift, x2, y2),
                (element.findtext("name") or "").strip(),
                score,
                tuple(word for word, value in values.items() if value.lower() == "true"),
                values.get("annotator", ""),
            )
        )
    return ImportedFilm(
        name=root.findtext("filename") or file.stem,
        boxes=tuple(boxes),
        size=(int(_number(root, "size/width")), int(_number(root, "size/height"))),
        annotator=(root.findtext("annotator") or "").strip(),
    )


def _number(element: Element[Any], field: str) -> float:
    value = (element.findtext(field) or "").strip()
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise BadField(field, "a finite number", value)
    return number


def _one_line(label: str) -> str:
    return " ".join(label.replace(":", " ").split())
