"""`finish_build`: from a data set's tables to a manifest: looks at the films, checks, reports."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.builders.film_headers import FilmHeader, film_headers
from data_manifests.builders.sources import source_checksums
from data_manifests.support.choices import OnError
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.membership import is_member
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest, ManifestInfo, Option, make_manifest

logger = logging.getLogger(__name__)

FRONTAL_VIEWS = ("PA", "AP", "AP SUPINE", "AP ERECT")


@dataclass(frozen=True)
class BuildOptions:
    """How a builder treats films.

    `on_error`: a missing or bad film stops the build (`fail`) or is left out and listed (`skip`).
    `read_films` decodes every film instead of looking at its header. `checksums` records the
    SHA-256 of every film. `scale_boxes` brings boxes drawn on films of another size to the film's.
    """

    on_error: OnError = OnError.FAIL
    read_films: bool = False
    checksums: bool = False
    scale_boxes: bool = False

    def __post_init__(self) -> None:
        if self.on_error not in tuple(OnError):
            raise ConfigError(f"on_error: expected fail or skip, got {self.on_error!r}")


@dataclass(frozen=True)
class SourceTables:
    """What a builder read, before the films are looked at.

    `images` has the manifest's columns and `row`, the line in `images_file`; blank `path` is a film
    that was not found under `name`. `boxes` has the manifest's columns, `row` (in `boxes_file`) and
    optionally `frame_width, frame_height`, the size of the film that the boxes were drawn on.
    """

    images: pd.DataFrame
    images_file: str
    root: Path
    boxes: pd.DataFrame | None = None
    boxes_file: str = "boxes.csv"
    reports: pd.DataFrame | None = None
    labels: pd.DataFrame | None = None


@dataclass(frozen=True)
class Build:
    """A built manifest and the films that were left out of it."""

    manifest: Manifest
    skipped: tuple[Problem, ...] = ()


def finish_build(
    builder: str,
    tables: SourceTables,
    sources: Iterable[Path],
    options: BuildOptions,
    recorded: Mapping[str, Option] | None = None,
) -> Build:
    """Look at every film, leave bad ones out or fail, and validate the whole.

    Sizes come from the files. DICOM headers fill blank views, and `sex` and `age` labels where the
    data set's tables have none.

    Raises:
        DataError: any problem (`on_error` fail), no film left, or bad rows, named by the data
            set's own files and lines.
    """
    images = tables.images.reset_index(drop=True)
    headers = film_headers(
        images, tables.root, read_films=options.read_films, checksums=options.checksums
    )
    skipped = [
        _named_by_source(header.problem, tables, row, options)
        for header, row in zip(headers, images["row"], strict=True)
        if header.problem is not None
    ]
    if skipped and options.on_error == OnError.FAIL:
        raise DataError.from_problems(skipped)
    keep = np.array([header.problem is None for header in headers], dtype=bool)
    kept = [header for header in headers if header.problem is None]
    if not kept:
        nothing = Problem(tables.images_file, "at least one usable film", f"none of {len(images)}")
        raise DataError.from_problems([nothing, *skipped])
    images = images[keep].reset_index(drop=True)
    images["width"] = [header.width for header in kept]
    images["height"] = [header.height for header in kept]
    if options.checksums:
        images["sha256"] = [header.sha256 for header in kept]
    if "view" not in images:
        images["view"] = ""
    images["view"] = [
        view or header.view for view, header in zip(images["view"], kept, strict=True)
    ]
    labels = _labels(tables.labels, images, kept)
    boxes = _boxes(tables, images, options)
    info = ManifestInfo(
        builder=builder,
        image_root=str(tables.root.resolve()),
        options={
            **(recorded or {}),
            "on_error": str(options.on_error),
            "scale_boxes": options.scale_boxes,
            "skipped_films": len(skipped),
            **_noted(kept),
        },
        sources=source_checksums(sources),
    )
    manifest = _validated(tables, images, boxes, labels, info)
    if skipped:
        logger.warning("%d of %d films were left out", len(skipped), len(headers))
    return Build(manifest, tuple(skipped))


def _noted(headers: Sequence[FilmHeader]) -> dict[str, Option]:
    """What is odd in the headers, with the number of films, for `manifest.json`."""
    films = Counter(note for header in headers for note in header.notes)
    for note, count in sorted(films.items()):
        logger.warning("%d of %d films: %s", count, len(headers), note)
    return {f"films noted: {note}": count for note, count in sorted(films.items())}


def listed_build(
    builder: str,
    tables: SourceTables,
    sources: Iterable[Path],
    recorded: Mapping[str, Option] | None = None,
) -> Build:
    """A manifest of films that are not here: reports and labels with the films' published names."""
    info = ManifestInfo(
        builder=builder,
        image_root=str(tables.root),
        options={**(recorded or {}), "films": "absent"},
        sources=source_checksums(sources),
    )
    images = tables.images.reset_index(drop=True)
    return Build(_validated(tables, images, tables.boxes, tables.labels, info))


def is_frontal(view: pd.Series) -> pd.Series:
    """Which views are frontal: PA, AP, AP Supine, AP Erect."""
    return view.str.strip().str.upper().isin(FRONTAL_VIEWS)


def film_paths_by_stem(
    stems: Iterable[str], found: Mapping[str, Sequence[str]]
) -> list[str | Sequence[str]]:
    """The path of each film named by `stems`: "" where there is none, a list where ambiguous."""
    paths: list[str | Sequence[str]] = []
    for stem in stems:
        candidates = found.get(stem, ())
        paths.append(candidates[0] if len(candidates) == 1 else list(candidates) or "")
    return paths


def _named_by_source(
    problem: Problem, tables: SourceTables, row: int, options: BuildOptions
) -> Problem:
    """The problem of a film at its line in the data set's own table."""
    fix = problem.fix
    if not fix and options.on_error == OnError.FAIL:
        fix = "--on-error skip leaves it out"
    return replace(problem, file=tables.images_file, row=int(row) or None, fix=fix)


def _labels(
    labels: pd.DataFrame | None, images: pd.DataFrame, headers: Sequence[FilmHeader]
) -> pd.DataFrame | None:
    table = pd.DataFrame({"image_id": images["image_id"]})
    if labels is not None:
        kept = labels[is_member(labels["image_id"], images["image_id"])]
        table = table.merge(kept, on="image_id", how="left")
    for name in ("sex", "age"):
        values = [getattr(header, name) for header in headers]
        if name not in table and any(values):
            table[name] = values
    return table if len(table.columns) > 1 else None


def _boxes(
    tables: SourceTables, images: pd.DataFrame, options: BuildOptions
) -> pd.DataFrame | None:
    """Boxes of the films that are left, in the frame of the stored film."""
    if tables.boxes is None or tables.boxes.empty:
        return None
    # Boxes of films that were listed but left out go with them; unknown films stay an error.
    left_out = is_member(tables.boxes["image_id"], tables.images["image_id"])
    left_out &= ~is_member(tables.boxes["image_id"], images["image_id"])
    boxes = tables.boxes[~left_out].reset_index(drop=True)
    if "frame_width" not in boxes:
        return boxes
    sizes = images.drop_duplicates("image_id").set_index("image_id")[["width", "height"]]
    film = sizes.reindex(boxes["image_id"]).to_numpy(np.float64)
    frame = boxes[["frame_width", "frame_height"]].astype("float64").to_numpy()
    differs = ~np.isclose(film, frame, atol=0.5).all(axis=1) & np.isfinite(film).all(axis=1)
    if differs.any() and not options.scale_boxes:
        problems = [
            Problem(
                file=tables.boxes_file,
                row=int(boxes["row"].iloc[row]),
                field="width,height",
                expected=f"a film of {frame[row, 0]:g} x {frame[row, 1]:g}, as the box was drawn",
                got=f"{boxes['image_id'].iloc[row]} of {film[row, 0]:g} x {film[row, 1]:g}",
                fix="--scale-boxes if the films were resized without cropping",
            )
            for row in np.flatnonzero(differs)
        ]
        raise DataError.from_problems(problems)
    factor = np.where(differs[:, None], film / frame, 1.0)
    numbers = boxes[list(CORNERS)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    boxes[list(CORNERS)] = numbers * np.tile(factor, 2)
    return boxes.drop(columns=["frame_width", "frame_height"])


def _validated(
    tables: SourceTables,
    images: pd.DataFrame,
    boxes: pd.DataFrame | None,
    labels: pd.DataFrame | None,
    info: ManifestInfo,
) -> Manifest:
    """`make_manifest`, with problems named by the data set's own files and lines."""
    rows = {"images.csv": (tables.images_file, images["row"].to_list())}
    if boxes is not None:
        rows["boxes.csv"] = (tables.boxes_file, boxes["row"].to_list())
    try:
        return make_manifest(
            images.drop(columns="row"),
            None if boxes is None else boxes.drop(columns="row"),
            tables.reports,
            labels,
            info=info,
            root=Path(info.image_root),
        )
    except DataError as error:
        raise DataError.from_problems(
            [_renamed(problem, rows) for problem in error.problems]
        ) from error


def _renamed(problem: Problem, rows: Mapping[str, tuple[str, list[int]]]) -> Problem:
    if problem.file not in rows or problem.row is None or problem.row < 2:
        return problem
    file, lines = rows[problem.file]
    line = int(lines[problem.row - 2]) or None
    return Problem(file, problem.expected, problem.got, line, problem.field, problem.fix)
