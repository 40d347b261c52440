"""`build_grounding_page`: groundings as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path

from markupsafe import Markup

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding
from localize.grounding.tables import read_groundings, read_info
from localize.viewing.gallery.build import csp_hash, page_environment
from localize.viewing.gallery.thumbnail import thumbnails

PICTURE_SIDE = 512
BLOCK = 16  # films whose pictures are made together


@dataclass(frozen=True)
class PageBox:
    """A box of the page in film pixels; `sentence` is its place in the report."""

    sentence: int
    x: float
    y: float
    width: float
    height: float
    method: str
    title: str


@dataclass(frozen=True)
class PageSentence:
    """A sentence: names of its findings, a caption for each (or why there is no finding), and the
    number of its boxes."""

    section: str
    text: str
    findings: tuple[str, ...]
    captions: tuple[str, ...]
    boxes: int


@dataclass(frozen=True)
class PageFilm:
    """A film of the page; `picture` is a JPEG in base64, None without one."""

    name: str
    width: int
    height: int
    picture: str | None
    boxes: tuple[PageBox, ...]
    sentences: tuple[PageSentence, ...]


def build_grounding_page(
    folder: Path, films: Mapping[str, Path], target: Path, *, limit: int = 500
) -> Path:
    """Write the page of a folder of `pneumoloc ground`; returns its path.

    Args:
        folder: the groundings; reports without a film, and films without a report, are shown, too.
        films: film file of each `image_id`; a film without a readable file has no picture.
        target: the HTML file, written whole or not at all.
        limit: films that are shown.

    Raises:
        DataError: the folder is unfinished or damaged, or not one film is in `films`.
    """
    total = int(read_info(folder)["films"])
    if not any(one.image_id in films for one in islice(read_groundings(folder), limit)):
        raise DataError(
            f"--films: expected the films of {folder}, got none of them; give the manifest or "
            "folder that `pneumoloc ground` was run on"
        )
    script, style = (_own(name) for name in ("page.js", "page.css"))
    shown = min(limit, total)
    listed = progress_bar(
        _films(folder, films, limit), desc="page", total=shown, unit="film", delay=2.0
    )
    stream = (
        page_environment(_own)
        .get_template("page.html")
        .stream(
            films=listed,
            shown=shown,
            total=total,
            script=Markup(script),  # noqa: S704 - our own file
            style=Markup(style),  # noqa: S704 - our own file
            script_hash=csp_hash(script),
            style_hash=csp_hash(style),
        )
    )
    with atomic_path(target) as temporary, temporary.open("wb") as handle:
        stream.dump(handle, encoding="utf-8")
    return target


def _films(folder: Path, films: Mapping[str, Path], limit: int) -> Iterator[PageFilm]:
    groundings = islice(read_groundings(folder), limit)
    while block := list(islice(groundings, BLOCK)):
        paths = [films.get(one.image_id) for one in block]
        for one, picture in zip(block, thumbnails(paths, PICTURE_SIDE), strict=True):
            encoded = None if picture is None else base64.b64encode(picture).decode("ascii")
            yield page_film(one, encoded)


def page_film(grounding: ReportGrounding, picture: str | None) -> PageFilm:
    """A film with its sentences and their boxes."""
    sentences = _by_sentence(grounding)
    return PageFilm(
        name=" · ".join(filter(None, (grounding.study_id, grounding.image_id))),
        width=grounding.width,
        height=grounding.height,
        picture=picture,
        boxes=tuple(
            box for k, rows in enumerate(sentences) for one in rows for box in _boxes(k, one)
        ),
        sentences=page_sentences(grounding),
    )


def page_sentences(grounding: ReportGrounding) -> tuple[PageSentence, ...]:
    """The sentences of a report; findings of one sentence are shown together."""
    return tuple(
        PageSentence(
            rows[0].section,
            rows[0].sentence,
            tuple(one.finding for one in rows if one.finding),
            tuple(_caption(one) for one in rows),
            sum(len(one) for one in rows),
        )
        for rows in _by_sentence(grounding)
    )


def _by_sentence(grounding: ReportGrounding) -> list[list[GroundedSentence]]:
    """The findings of each sentence."""
    sentences: list[list[GroundedSentence]] = []
    for one in grounding.sentences:
        last = sentences[-1][-1] if sentences else None
        if last is not None and (last.section, last.start) == (one.section, one.start):
            sentences[-1].append(one)
        else:
            sentences.append([one])
    return sentences


def _boxes(number: int, one: GroundedSentence) -> Iterator[PageBox]:
    for (x1, y1, x2, y2), score, method in zip(
        one.xyxy.tolist(), one.scores.tolist(), one.methods, strict=True
    ):
        title = f"{one.finding} {score:.2f}, {method}"
        yield PageBox(number, x1, y1, x2 - x1, y2 - y1, method, title)


def _caption(one: GroundedSentence) -> str:
    if not one.finding:
        return one.why_none
    words = [" ".join([one.finding, *one.attributes])]
    if one.assertion != "present":
        words.append(one.assertion)
    if len(one):
        words.append(", ".join(f"{score:.2f}" for score in one.scores.tolist()))
    elif one.why_none != one.assertion:
        words.append(one.why_none)
    return ": ".join(words)


def _own(name: str) -> str:
    """A file of this package."""
    return files(__package__).joinpath(name).read_text("utf-8")
