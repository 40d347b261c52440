"""`build_tables`: a manifest from any tables and a mapping of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.builders.build import Build, BuildOptions, SourceTables, finish_build
from data_manifests.builders.row_rules import LabelRule, RowFilter, apply_rules, row_mask
from data_manifests.builders.sources import read_source_table, require_columns, source_error
from data_manifests.support.errors import ConfigError
from data_manifests.support.membership import is_member
from data_manifests.tables.columns import BOX_COLUMNS, CORNERS, IMAGE_COLUMNS, REPORT_COLUMNS
from data_manifests.tables.manifest import Option

WIDTH_HEIGHT = ("x", "y", "width", "height")
MAP_CORNERS = "map yours, such as --box-column x1=YOURS, or x, y, width, height"
REPEATED_FILM_COLUMNS = ("patient_id", "width", "height")  # of images.csv, often repeated by boxes


@dataclass(frozen=True)
class ColumnMapping:
    """Which columns of somebody's tables hold what.

    `images`, `boxes` and `reports` map the manifest's column to theirs; a column that has the
    manifest's name already needs no entry. Boxes may map `x, y, width, height` instead of corners.
    `labels` maps a label's name to a column of the image table; `report_columns` are columns of it
    that hold text about the film.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    boxes: Mapping[str, str] = field(default_factory=dict)
    reports: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    report_columns: Sequence[str] = ()


@dataclass(frozen=True)
class TableSelection:
    """Which rows to take, and labels that follow from them.

    `rules` fill labels, the first rule of a label that fits a row wins; `where` and `boxes_where`
    keep rows that fulfil all filters, and `where` may ask for the labels of rules. `ids_from_paths`
    takes the file name without its extension as image id, in the boxes' table too. `source` names
    the data set.
    """

    where: Sequence[RowFilter] = ()
    boxes_where: Sequence[RowFilter] = ()
    rules: Sequence[LabelRule] = ()
    ids_from_paths: bool = False
    source: str = ""


def build_tables(
    images: Path,
    films: Path,
    *,
    boxes: Path | None = None,
    reports: Path | None = None,
    columns: ColumnMapping | None = None,
    selection: TableSelection | None = None,
    options: BuildOptions | None = None,
) -> Build:
    """Films from one table, and if given boxes and reports from others.

    `study_id` is the image id where no column is mapped to it; `patient_id` is required:
    splits and intervals are by patient. Boxes are in pixels of the stored film. Unknown columns of
    the boxes' table are kept as they are.

    Raises:
        ConfigError: a mapping to an unknown manifest column.
        DataError: a missing file or column, or any problem of `finish_build`.
    """
    columns, selection = columns or ColumnMapping(), selection or TableSelection()
    _refuse_unknown(columns)
    images = Path(images)
    table = read_source_table(images, ())
    all_films = _mapped(images, table, columns.images, IMAGE_COLUMNS)
    if selection.ids_from_paths and "path" in all_films:
        all_films["image_id"] = _stems(all_films["path"])
    _require_mapped(images, all_films, ("image_id", "patient_id", "path"), table, "--column")
    if "study_id" not in all_films:
        all_films["study_id"] = all_films["image_id"]
    if selection.source:
        all_films["source"] = selection.source
    all_films["row"] = table.index + 2
    ruled = apply_rules(images, table, selection.rules)
    # Filters see the labels that rules gave, so that films of unknown label can be left out.
    mask = row_mask(images, table.assign(**ruled), selection.where)
    films_table = all_films[mask].reset_index(drop=True)
    table, ruled = table[mask].reset_index(drop=True), ruled[mask].reset_index(drop=True)
    sources = [images]
    box_table = None
    if boxes is not None:
        box_table = _boxes(Path(boxes), columns.boxes, selection)
        # Films that `where` left out take their boxes along; unknown films stay an error.
        left_out = is_member(box_table["image_id"], all_films["image_id"])
        left_out &= ~is_member(box_table["image_id"], films_table["image_id"])
        box_table = box_table[~left_out].reset_index(drop=True)
        sources.append(Path(boxes))
    report_parts = [
        _film_texts(images, table, films_table, name) for name in columns.report_columns
    ]
    if reports is not None:
        raw = read_source_table(Path(reports), ())
        mapped = _mapped(Path(reports), raw, columns.reports, REPORT_COLUMNS)
        _require_mapped(Path(reports), mapped, ("study_id", "text"), raw, "--report-column")
        report_parts.append(mapped)
        sources.append(Path(reports))
    tables = SourceTables(
        films_table,
        images.name,
        Path(films),
        box_table,
        Path(boxes).name if boxes is not None else "boxes.csv",
        reports=pd.concat(report_parts, ignore_index=True) if report_parts else None,
        labels=_labels(images, table, films_table, columns.labels, ruled),
    )
    recorded: dict[str, Option] = {
        "columns": _joined(columns.images),
        "box_columns": _joined(columns.boxes),
        "labels": _joined(columns.labels),
        "where": "; ".join(map(str, selection.where)),
        "boxes_where": "; ".join(map(str, selection.boxes_where)),
        "rules": "; ".join(map(str, selection.rules)),
        "ids_from_paths": selection.ids_from_paths,
    }
    return finish_build("csv", tables, sources, options or BuildOptions(), recorded)


def _refuse_unknown(columns: ColumnMapping) -> None:
    for mapping, known, option in (
        (columns.images, IMAGE_COLUMNS, "--column"),
        (columns.boxes, (*BOX_COLUMNS, *WIDTH_HEIGHT), "--box-column"),
        (columns.reports, REPORT_COLUMNS, "--report-column"),
    ):
        unknown = set(mapping) - set(known)
        if unknown:
            raise ConfigError(
                f"{option} {sorted(unknown)[0]}: no such column of a manifest; "
                f"there are {', '.join(known)}"
            )


def _mapped(
    path: Path, table: pd.DataFrame, mapping: Mapping[str, str], known: Sequence[str]
) -> pd.DataFrame:
    """The known columns of a table under their manifest names."""
    require_columns(path, table.columns, list(mapping.values()), "is the column spelled so?")
    names = {name: mapping.get(name, name) for name in known}
    return pd.DataFrame(
        {name: table[theirs] for name, theirs in names.items() if theirs in table}
    ).reset_index(drop=True)


def _require_mapped(
    path: Path, mapped: pd.DataFrame, needed: Sequence[str], table: pd.DataFrame, option: str
) -> None:
    """Raise where a table lacks manifest columns that no option maps to its own."""
    if missing := [name for name in needed if name not in mapped]:
        header = ", ".join(str(name) for name in table.columns if name != "row")[:300]
        raise source_error(
            path,
            f"the columns {', '.join(needed)}",
            f"no {', '.join(missing)} in {header or 'an empty header'}",
            f"map yours: {option} {missing[0]}=YOURS",
        )


def _stems(paths: pd.Series) -> pd.Series:
    return paths.str.replace(r"^.*/", "", regex=True).str.replace(r"\.[^.]*$", "", regex=True)


def _boxes(path: Path, mapping: Mapping[str, str], selection: TableSelection) -> pd.DataFrame:
    """Boxes with corners, under manifest names; columns without a place keep their own."""
    raw = read_source_table(path, ())
    raw["row"] = raw.index + 2
    raw = raw[row_mask(path, raw, selection.boxes_where)].reset_index(drop=True)
    known = [name for name in BOX_COLUMNS if name not in CORNERS]
    boxes = _mapped(path, raw, {k: v for k, v in mapping.items() if k in known}, known)
    _require_mapped(path, boxes, ("image_id",), raw, "--box-column")
    if selection.ids_from_paths:
        boxes["image_id"] = _stems(boxes["image_id"])
    if "width" in mapping or "height" in mapping:
        theirs = {name: mapping.get(name, name) for name in WIDTH_HEIGHT}
        require_columns(path, raw.columns.drop("row"), list(theirs.values()), MAP_CORNERS)
        x, y, width, height = (
            pd.to_numeric(raw[theirs[name]], errors="coerce").to_numpy(np.float64)
            for name in WIDTH_HEIGHT
        )
        corners = dict(zip(CORNERS, (x, y, x + width, y + height), strict=True))
    else:
        theirs = {name: mapping.get(name, name) for name in CORNERS}
        require_columns(path, raw.columns.drop("row"), list(theirs.values()), MAP_CORNERS)
        corners = {name: raw[theirs[name]].to_numpy() for name in CORNERS}
    for position, name in enumerate(CORNERS, start=1):
        boxes.insert(position, name, corners[name])
    used = {*theirs.values(), *(mapping.get(name, name) for name in known)}
    for name in raw.columns:
        if name not in used and name not in boxes and name not in REPEATED_FILM_COLUMNS:
            boxes[name] = raw[name].to_numpy()
    return boxes


def _film_texts(path: Path, table: pd.DataFrame, films: pd.DataFrame, column: str) -> pd.DataFrame:
    """Texts that stand in a column of the film table, as reports of the film's study."""
    require_columns(path, table.columns, (column,))
    text = table[column].str.strip()
    rows = {"study_id": films["study_id"], "section": column, "text": text}
    return pd.DataFrame(rows)[text != ""].drop_duplicates()


def _labels(
    path: Path,
    table: pd.DataFrame,
    films: pd.DataFrame,
    mapping: Mapping[str, str],
    ruled: pd.DataFrame,
) -> pd.DataFrame | None:
    require_columns(path, table.columns, list(mapping.values()))
    labels = pd.DataFrame({"image_id": films["image_id"]})
    for name in ruled:
        labels[str(name)] = ruled[name]
    for name, theirs in mapping.items():
        labels[name] = table[theirs].str.strip()
    return labels if len(labels.columns) > 1 else None


def _joined(mapping: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={theirs}" for name, theirs in mapping.items())
