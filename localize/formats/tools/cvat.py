"""CVAT for images 1.1: one XML file; https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat.

CVAT matches films by `name`, which must be the frame's name in the task with its subfolder. Scores
and words are attributes that the label declares: undeclared ones are dropped.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError  # types; parsing is defusedxml's

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm
from localize.formats.hub.reading import BadField, file_error
from localize.formats.hub.writing import xml_attribute, xml_text

# The film's numbers are attributes of a tag, CVAT's only annotation of a whole image.
FILM_TAG = "film scores"
FILM_NUMBERS = ("p_pneumonia", "severity")
# RuntimeError: encrypted, or packed in an unknown way.
DAMAGED_ZIP = zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError
MAX_ZIP_MEMBER = 1 << 30
MAX_ZIP_RATIO = 200  # XML shrinks to a twentieth
MAX_DEPTH = 50
MAX_IMAGE_BYTES = 4 << 20  # of one image: 20,000 boxes


def write_cvat(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write `annotations.xml` as CVAT's upload reads it; negatives are images without boxes."""
    with atomic_path(target) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        handle.write("  <version>1.1</version>\n")
        handle.writelines(_meta(annotations))
        for number, film in enumerate(annotations):
            handle.writelines(_image(number, film, annotations.keywords))
        handle.write("</annotations>\n")


def read_cvat(path: Path) -> list[ImportedFilm]:
    """Read CVAT's XML, or the ZIP that holds it as `annotations.xml`.

    Raises:
        DataError: all errors of the file together; rotated boxes and other shapes are errors.
    """
    if not path.is_file():
        raise file_error(path, "CVAT XML or ZIP", "no such file")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as handle:
            return _read(handle, path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.rsplit("/", 1)[-1] == "annotations.xml"]
            if len(names) != 1:
                raise file_error(path, "one annotations.xml inside", f"{len(names)}")
            size, packed = (archive.getinfo(names[0]).file_size, path.stat().st_size)
            if size > MAX_ZIP_MEMBER or size > MAX_ZIP_RATIO * packed:
                expected = f"annotations.xml of at most 1 GiB and {MAX_ZIP_RATIO} times the ZIP"
                raise file_error(path, expected, f"{size:,} bytes")
            with archive.open(names[0]) as member:
                return _read(member, path)
    except DAMAGED_ZIP as error:
        raise file_error(path, "a whole ZIP without a password", f"{error!r:.200}") from error


class _BoundedReader:
    """A file of which no more than `MAX_IMAGE_BYTES` may be read between two calls of `rest`."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle, self._read = handle, 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        content = self._handle.read(size)
        self._read += len(content)
        if self._read > MAX_IMAGE_BYTES:
            raise ValueError(f"one element of more than {MAX_IMAGE_BYTES >> 20} MiB")
        return content

    def rest(self) -> None:
        """Count from here."""
        self._read = 0


def _meta(annotations: Annotations) -> Iterator[str]:
    yield "  <meta><task>\n    <name>pneumoloc</name>\n"
    yield f"    <size>{len(annotations)}</size>\n    <mode>annotation</mode>\n    <labels>\n"
    box_attributes = [_declared("score", "text"), _declared("annotator", "text")]
    if annotations.has_sentences:
        box_attributes.append(_declared("sentence", "text"))
    box_attributes += [_declared(word, "checkbox") for word in annotations.keywords]
    for label in annotations.labels:
        yield _label(label, "rectangle", box_attributes)
    yield _label(
        FILM_TAG, "tag", [_declared(name, "text") for name in (*FILM_NUMBERS, "annotator")]
    )
    yield "    </labels>\n  </task></meta>\n"


def _label(name: str, kind: str, attributes: list[str]) -> str:
    return (
        f"      <label><name>{xml_text(name)}</name><type>{kind}</type>\n"
        f"        <attributes>\n{''.join(attributes)}        </attributes>\n      </label>\n"
    )


def _declared(name: str, kind: str) -> str:
    default = "false" if kind == "checkbox" else ""
    return (
        f"          <attribute><name>{xml_text(name)}</name><mutable>False</mutable>"
        f"<input_type>{kind}</input_type><default_value>{default}</default_value>"
        f"<values>{default}</values></attribute>\n"
    )


def _image(number: int, film: FilmAnnotation, keywords: tuple[str, ...]) -> Iterator[str]:
    yield (
        f'  <image id="{number}" name={xml_attribute(film.name)} '
        f'width="{film.width}" height="{film.height}">\n'
    )
    for place, (x1, y1, x2, y2) in enumerate(film.xyxy.tolist()):
        source = "manual" if film.annotators[place] else "auto"
        yield (
            f'    <box label={xml_attribute(film.labels[place])} source="{source}" occluded="0" '
            f'xtl="{x1:.6f}" ytl="{y1:.6f}" xbr="{x2:.6f}" ybr="{y2:.6f}" z_order="0">\n'
        )
        if (score := film.score(place)) is not None:
            yield _value("score", repr(score))
        if film.annotators[place]:
            yield _value("annotator", film.annotators[place])
        if film.sentences[place]:
            yield _value("sentence", film.sentences[place])
        for word in keywords:
            yield _value(word, "true" if word in film.keywords[place] else "false")
        yield "    </box>\n"
    numbers = zip(FILM_NUMBERS, (film.p_pneumonia, film.severity), strict=True)
    values = [(name, repr(value)) for name, value in numbers if value is not None]
    if film.annotator:
        values.append(("annotator", film.annotator))
    if values:
        yield f'    <tag label="{FILM_TAG}" source="auto">\n'
        yield from (_value(name, value) for name, value in values)
        yield "    </tag>\n"
    yield "  </image>\n"


def _value(name: str, value: str) -> str:
    return f"      <attribute name={xml_attribute(name)}>{xml_text(value)}</attribute>\n"


def _read(handle: IO[bytes], path: Path) -> list[ImportedFilm]:
    films: list[ImportedFilm] = []
    problems: list[Problem] = []
    annotator = ""
    bounded = _BoundedReader(handle)
    above: list[Element[Any]] = []  # the elements that are open, the root first
    try:
        for event, element in iterparse(bounded, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                above.append(element)
                if len(above) > MAX_DEPTH:
                    raise ValueError(f"more than {MAX_DEPTH} levels of elements")
                continue
            above.pop()
            if element.tag in ("assignee", "username") and not films:
                annotator = (element.findtext("username") or element.text or "").strip()
            if element.tag == "image":
                name = element.get("name") or ""
                try:
                    films.append(_film(element, name, annotator))
                except BadField as error:
                    problems.append(error.problem(str(path), f"image {name!r}"))
                element.clear()
            if len(above) == 1:  # a part of the root is over: memory stays flat
                above[0].clear()
                bounded.rest()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise file_error(path, "CVAT for images 1.1 XML", f"{error!r:.200}") from error
    if problems:
        raise DataError.from_problems(problems)
    if not films:
        raise file_error(path, "CVAT XML with images", "none")
    return films


def _film(image: Element[Any], name: str, assignee: str) -> ImportedFilm:
    boxes = []
    film_values: dict[str, str] = {}
    for shape in image:
        values = {a.get("name") or "": (a.text or "").strip() for a in shape.iter("attribute")}
        if shape.tag == "tag":
            film_values |= values
            continue
        if shape.tag != "box":
            raise BadField("shape", "box", shape.tag)
        if _float(shape.get("rotation") or "0", "rotation"):
            raise BadField("rotation", "0 (an upright box)", shape.get("rotation"))
        x1, y1, x2, y2 = (_float(shape.get(k) or "", k) for k in ("xtl", "ytl", "xbr", "ybr"))
        boxes.append(
            ImportedBox(
                (x1, y1, x2, y2),
                shape.get("label") or "",
                _float(values["score"], "score") if values.get("score") else np.nan,
                tuple(word for word, value in values.items() if value == "true"),
                values.get("annotator", ""),
                values.get("sentence", ""),
            )
        )
    numbers = {
        name: _float(film_values[name], name) for name in FILM_NUMBERS if film_values.get(name)
    }
    return ImportedFilm(
        name=name,
        boxes=tuple(boxes),
        size=(
            int(_float(image.get("width") or "", "width")),
            int(_float(image.get("height") or "", "height")),
        ),
        annotator=film_values.get("annotator") or assignee,
        p_pneumonia=numbers.get("p_pneumonia"),
        severity=numbers.get("severity"),
    )


def _float(value: str, field: str) -> float:
    try:
        parsed = float(value)
    except ValueError:
        parsed = float("nan")
    if not np.isfinite(parsed):
        raise BadField(field, "a finite number", value)
    return parsed
