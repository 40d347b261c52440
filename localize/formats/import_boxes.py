"""`import_boxes`: boxes that annotators sent back, into a manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.columns import BOX_COLUMNS
from data_manifests.tables.manifest import Manifest, make_manifest
from localize.formats.hub.annotations import DEFAULT_LABEL, FilmAnnotation
from localize.formats.hub.film_matcher import FilmMatcher
from localize.formats.hub.imported_film import ImportedFilm

SENTENCE = "sentence"  # column of boxes.csv: the sentence of the report that a box belongs to


@dataclass(frozen=True)
class ImportOptions:
    """How imported boxes enter the manifest.

    Args:
        annotator: written if the file names none.
        label_map: renames labels; others stay.
        only_imported: the new manifest has only the films of the file.
    """

    annotator: str = "import"
    label_map: Mapping[str, str] = field(default_factory=dict)
    only_imported: bool = False


def import_boxes(
    films: Sequence[ImportedFilm], manifest: Manifest, *, options: ImportOptions | None = None
) -> Manifest:
    """A manifest where the films of an annotation file have its boxes instead of their own.

    A film that several persons annotated gets the boxes of each under their name. Films that the
    file does not name keep their boxes. `labels.reviewed` becomes 1 for the films of the file (also
    those without boxes), and stays or becomes 0 for the others.

    Raises:
        DataError: no film, a film that is not in the manifest, one that comes twice by the same
            annotator, another size, a box outside.
    """
    options = options or ImportOptions()
    rows = matched_rows(films, manifest)
    placed = placed_films(films, rows, manifest)
    image_ids = manifest.images["image_id"]
    tables = [
        _box_table(film, str(image_ids.iloc[row]), options)
        for film, row in zip(placed, rows, strict=True)
    ]
    imported = set(image_ids.iloc[rows])
    others = manifest.boxes[~manifest.boxes["image_id"].isin(imported)]
    result = make_manifest(
        manifest.images,
        pd.concat([others, *tables], ignore_index=True),
        manifest.reports,
        _reviewed(manifest, imported),
        info=manifest.info,
        root=manifest.root,
    )
    if SENTENCE in result.boxes:
        filled = result.boxes.assign(**{SENTENCE: result.boxes[SENTENCE].fillna("")})
        result = replace(result, boxes=filled)
    return result.subset(list(image_ids.isin(imported))) if options.only_imported else result


def of_annotator(films: Sequence[ImportedFilm], annotator: str) -> Sequence[ImportedFilm]:
    """The films and boxes of one annotator; all where `annotator` is "".

    Raises:
        DataError: the annotator has no film.
    """
    if not annotator:
        return films
    chosen = []
    for film in films:
        boxes = tuple(box for box in film.boxes if (box.annotator or film.annotator) == annotator)
        if boxes or film.annotator == annotator:
            chosen.append(replace(film, boxes=boxes))
    if not chosen:
        names = {name for film in films for name in (film.annotator, *film.annotators) if name}
        problem = Problem("import", f"films of annotator {annotator!r}", ", ".join(sorted(names)))
        raise DataError.from_problems([problem])
    return chosen


def matched_rows(films: Sequence[ImportedFilm], manifest: Manifest) -> list[int]:
    """The row of `manifest.images` of each film.

    Raises:
        DataError: no film at all, a film that is not in the manifest, or one that comes twice by
            the same annotator.
    """
    if not films:
        problem = Problem(
            "import", "annotated films", "none", fix="save or submit the films in the tool first"
        )
        raise DataError.from_problems([problem])
    matcher = FilmMatcher(manifest)
    problems, rows = [], []
    seen: dict[int, list[tuple[str, str]]] = {}
    for film in films:
        row = matcher.find(film.name, film.image_id)
        if row is None:
            fix = "give the manifest that was exported"
            problems.append(Problem("import", "a film of the manifest", repr(film.name), fix=fix))
            continue
        for first, annotator in seen.get(row, ()):
            if annotator == film.annotator or not (annotator and film.annotator):
                got = f"{first!r} and {film.name!r}"
                problems.append(Problem("import", "each film once by each annotator", got))
                break
        seen.setdefault(row, []).append((film.name, film.annotator))
        rows.append(row)
    if problems:
        raise DataError.from_problems(problems)
    return rows


def placed_films(
    films: Sequence[ImportedFilm], rows: Sequence[int], manifest: Manifest
) -> list[FilmAnnotation]:
    """The films with checked boxes, on the films of the manifest's `rows`.

    Raises:
        DataError: all films of another size, without a size, or with a box outside.
    """
    placed, problems = [], []
    for film, row in zip(films, rows, strict=True):
        image = manifest.images.iloc[row]
        size = (image["width"], image["height"])
        if pd.isna(size[0]) or pd.isna(size[1]):
            size = film.size or (0, 0)
        try:
            if not all(size):
                raise ValueError("a size of the film in the manifest or the file, got none")
            placed.append(film.on_film(int(size[0]), int(size[1])))
        except ValueError as error:
            expected, _, got = str(error).partition(", got ")
            problems.append(Problem("import", expected, got, field=f"film {film.name!r}"))
    if problems:
        raise DataError.from_problems(problems)
    return placed


def _box_table(film: FilmAnnotation, image_id: str, options: ImportOptions) -> pd.DataFrame:
    columns = [*BOX_COLUMNS, *([SENTENCE] if any(film.sentences) else [])]
    table = pd.DataFrame(
        {
            "image_id": image_id,
            **dict(zip(("x1", "y1", "x2", "y2"), film.xyxy.T, strict=True)),
            "label": [options.label_map.get(name, name) or DEFAULT_LABEL for name in film.labels],
            "annotator": [name or film.annotator or options.annotator for name in film.annotators],
            SENTENCE: list(film.sentences),
        }
    )
    return table[columns]


def _reviewed(manifest: Manifest, imported: set[str]) -> pd.DataFrame:
    """The labels with `reviewed`, one row for each film at least."""
    labels = manifest.images[["image_id"]].merge(manifest.labels, on="image_id", how="left")
    before = pd.to_numeric(labels["reviewed"]) if "reviewed" in labels else 0.0
    is_imported = labels["image_id"].isin(imported)
    return labels.assign(reviewed=np.maximum(is_imported.astype(float), np.nan_to_num(before)))


def imported_info(manifest: Manifest, source: Path, format_name: str, folder: Path) -> Manifest:
    """The manifest with the import in its `info`, and an image root that is right from `folder`.

    Args:
        manifest: with the imported boxes.
        source: the annotators' file or folder.
        format_name: its format.
        folder: where the manifest will be written.
    """
    info = manifest.info
    root = info.image_root
    if not Path(root).is_absolute():
        root = Path(os.path.relpath(manifest.root.resolve(), folder.resolve())).as_posix()
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    checksums = {
        path.name if path == source else path.relative_to(source).as_posix(): file_sha256(path)
        for path in files
    }
    return replace(
        manifest,
        info=replace(
            info,
            image_root=root,
            options={**info.options, "boxes_imported_as": format_name},
            sources={**info.sources, **checksums},
        ),
    )
