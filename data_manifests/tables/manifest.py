"""`Manifest`: the tables of films, boxes, reports and labels, and their folder on disk."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_manifests.boxes import Boxes
from data_manifests.films.paths import locate_films
from data_manifests.support.atomic import atomic_path, write_json
from data_manifests.support.csv_file import read_text_csv, write_csv
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import is_member
from data_manifests.tables.columns import BOX_COLUMNS, CORNERS, IMAGE_COLUMNS, REPORT_COLUMNS
from data_manifests.tables.row_checks import table_problems

FORMAT_VERSION = 1
PARQUET_ROWS = 100_000  # larger tables are written as parquet: such a CSV is slow to parse
TABLE_COLUMNS: Mapping[str, Sequence[str]] = {
    "images": IMAGE_COLUMNS,
    "boxes": BOX_COLUMNS,
    "reports": REPORT_COLUMNS,
    "labels": ("image_id",),
}

Option = str | int | float | bool | None


@dataclass(frozen=True)
class ManifestInfo:
    """Where a manifest comes from.

    `image_root` is the folder that the `path` column is relative to: absolute, or relative to the
    manifest's own folder. `options` are those of the builder, `sources` the SHA-256 of its inputs.
    """

    builder: str = "csv"
    image_root: str = "."
    options: Mapping[str, Option] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Films with their boxes, reports and labels; see `docs/manifest.md` for the columns.

    Frames are validated when made by `make_manifest` or `read_manifest`; treat them as read-only.
    `root` is the resolved image root.
    """

    images: pd.DataFrame
    boxes: pd.DataFrame
    reports: pd.DataFrame
    labels: pd.DataFrame
    info: ManifestInfo
    root: Path

    def film_paths(self) -> list[Path]:
        """The film files, one for each row of `images`.

        Raises:
            DataError: a path is absolute, or leads out of the image root (also through a link).
        """
        located = locate_films(self.root, self.images["path"])
        if located.problems:
            raise DataError.from_problems(located.problems)
        return list(located.paths)

    def boxes_by_image(self) -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
        """True boxes of every image that has some: image_id -> (N, 4) float64 film pixels."""
        corners = self.boxes[list(CORNERS)].to_numpy(np.float64)
        groups = self.boxes.groupby("image_id", sort=False).indices
        return {str(image_id): corners[rows] for image_id, rows in groups.items()}

    def boxes_of(self, image_id: str) -> Boxes:
        """The true boxes of one film.

        Raises:
            DataError: no such film, or its width and height are not known.
        """
        rows = self.images[self.images["image_id"] == image_id]
        if rows.empty:
            raise _table_error("image_id", "a film of the manifest", image_id)
        width, height = rows["width"].iloc[0], rows["height"].iloc[0]
        if pd.isna(width) or pd.isna(height):
            raise _table_error("width,height", f"the size of {image_id}", "blank")
        xyxy = self.boxes.loc[self.boxes["image_id"] == image_id, list(CORNERS)]
        return Boxes(xyxy.to_numpy(np.float64), int(width), int(height))

    def subset(self, keep: Sequence[bool] | pd.Series) -> Manifest:
        """The films where `keep` (one bool for each row of `images`) is true, in all tables."""
        images = self.images[np.asarray(keep, dtype=bool)].reset_index(drop=True)

        def kept(table: pd.DataFrame, column: str) -> pd.DataFrame:
            return table[is_member(table[column], images[column])].reset_index(drop=True)

        return Manifest(
            images=images,
            boxes=kept(self.boxes, "image_id"),
            reports=kept(self.reports, "study_id"),
            labels=kept(self.labels, "image_id"),
            info=self.info,
            root=self.root,
        )

    def split(self, name: str) -> Manifest:
        """The films of one split.

        Raises:
            DataError: the manifest has no film in it.
        """
        part = self.subset(self.images["split"] == name)
        if part.images.empty:
            raise _table_error(
                "split",
                f"at least one film with split {name!r}",
                f"splits {sorted(set(self.images['split']))}",
                "run `pneumoloc manifest split`",
            )
        return part


def make_manifest(
    images: pd.DataFrame,
    boxes: pd.DataFrame | None = None,
    reports: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
    *,
    info: ManifestInfo | None = None,
    root: Path | None = None,
) -> Manifest:
    """A manifest from tables in memory: missing optional columns are filled, everything is checked.

    Raises:
        DataError: all problems of all tables together.
    """
    info = info or ManifestInfo()
    tables = {
        "images": images,
        "boxes": boxes,
        "reports": reports,
        "labels": labels,
    }
    filled = {
        name: pd.DataFrame(columns=list(TABLE_COLUMNS[name])) if table is None else table
        for name, table in tables.items()
    }
    return _validated(filled, info, root or Path(info.image_root))


def read_manifest(
    folder: Path, *, image_root: Path | None = None, tables: Sequence[str] = tuple(TABLE_COLUMNS)
) -> Manifest:
    """Read a manifest folder; each table may be CSV or parquet.

    `image_root` overrides the one in `manifest.json`. `images.csv` alone is legal. Only the
    listed `tables` are opened: `tables=("images",)` reads no reports.

    Raises:
        DataError: no such folder or table, another format version, or any bad row.
    """
    found, info = read_tables(folder, tables)
    return _validated(found, info, image_root or Path(folder) / info.image_root)


def read_tables(
    folder: Path, names: Sequence[str] = tuple(TABLE_COLUMNS)
) -> tuple[dict[str, pd.DataFrame], ManifestInfo]:
    """The tables of a manifest folder as they stand, not yet checked.

    Missing ones, and those not in `names`, are empty.

    Raises:
        DataError: no such folder or table of films, unreadable files, another format version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise _file_error(folder, "a manifest folder", "no such folder")
    info = _read_info(folder / "manifest.json")
    tables = {}
    for name, columns in TABLE_COLUMNS.items():
        table = _read_table(folder, name) if name in names else None
        if table is None and name == "images":
            raise _file_error(folder / "images.csv", "a table of films", "no such file")
        tables[name] = pd.DataFrame(columns=list(columns)) if table is None else table
    return tables, info


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the tables and `manifest.json`; tables of more than 100,000 rows become parquet.

    A relative image root is kept as it is, so it must be right as seen from `folder`.
    """
    folder = Path(folder)
    parent = folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    # Everything is written aside first: a full disk or a bad value leaves `folder` as it was.
    aside = folder if folder.is_dir() else parent
    with tempfile.TemporaryDirectory(dir=aside, prefix=f".{folder.name}.") as name:
        staged = Path(name) / folder.name
        staged.mkdir()
        _write_tables(manifest, staged)
        if not folder.exists():
            os.replace(staged, folder)
            return
        if not folder.is_dir():
            raise _file_error(folder, "a folder to write a manifest to", "a file")
        kept = {path.name for path in staged.iterdir()}
        # manifest.json comes last: it tells a reader that the rest is there.
        for path in sorted(staged.iterdir(), key=lambda path: path.suffix == ".json"):
            os.replace(path, folder / path.name)
        for table in TABLE_COLUMNS:
            for suffix in (".csv", ".parquet"):
                if table + suffix not in kept:
                    (folder / (table + suffix)).unlink(missing_ok=True)


def _write_tables(manifest: Manifest, folder: Path) -> None:
    for name in TABLE_COLUMNS:
        table: pd.DataFrame = getattr(manifest, name)
        if len(table) > PARQUET_ROWS:
            with atomic_path(folder / f"{name}.parquet") as temporary:
                table.to_parquet(temporary, index=False)
        else:
            write_csv(folder / f"{name}.csv", table)
    write_json(
        folder / "manifest.json",
        {
            "format_version": FORMAT_VERSION,
            "builder": manifest.info.builder,
            "image_root": manifest.info.image_root,
            "options": dict(manifest.info.options),
            "sources": dict(manifest.info.sources),
        },
    )


def _read_info(path: Path) -> ManifestInfo:
    if not path.exists():
        return ManifestInfo()
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _file_error(path, "JSON with format_version", f"{error!r}") from error
    if version != FORMAT_VERSION:
        raise _file_error(path, f"format_version {FORMAT_VERSION}", str(version))
    return ManifestInfo(
        builder=str(content.get("builder", "csv")),
        image_root=str(content.get("image_root", ".")),
        options=content.get("options", {}),
        sources=content.get("sources", {}),
    )


def _read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """A table as text columns (CSV) or as stored (parquet); None where there is no file."""
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if parquet.exists() and csv.exists():
        raise _file_error(folder, f"one of {name}.csv and {name}.parquet", "both")
    try:
        if parquet.exists():
            return pd.read_parquet(parquet)
        if csv.exists():
            return read_text_csv(csv)
    except UnicodeDecodeError as error:
        raise _file_error(csv, "UTF-8 text", f"{error.reason} at byte {error.start}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _file_error(csv, "a CSV table with a header", str(error).strip()) from error
    except (OSError, ValueError) as error:
        raise _file_error(parquet, "a parquet table", str(error)) from error
    return None


def _validated(tables: dict[str, pd.DataFrame], info: ManifestInfo, root: Path) -> Manifest:
    typed = typed_tables(tables)
    problems = table_problems(tables, typed)
    if problems:
        raise DataError.from_problems(problems)
    for column in ("width", "height"):
        typed["images"][column] = typed["images"][column].astype("Int64")
    for name in ("boxes", "labels"):
        for column in typed[name].columns.difference(list(TABLE_COLUMNS[name])):
            typed[name][column] = _numeric_if_all_numbers(typed[name][column])
    return Manifest(**typed, info=info, root=root)


def typed_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with known columns filled in and typed; text that is no number becomes NaN."""
    return {
        "images": _fill(tables["images"], IMAGE_COLUMNS, ("width", "height")),
        "boxes": _fill(tables["boxes"], BOX_COLUMNS, CORNERS),
        "reports": _fill(tables["reports"], REPORT_COLUMNS, ()),
        "labels": _fill(tables["labels"], ("image_id",), ()),
    }


def _fill(table: pd.DataFrame, columns: Sequence[str], numeric: Sequence[str]) -> pd.DataFrame:
    """Known columns first and typed, unknown ones kept; text that is no number becomes NaN."""
    filled: dict[str, pd.Series] = {}
    for name in columns:
        if name not in table:
            blank: float | str = np.nan if name in numeric else ""
            filled[name] = pd.Series([blank] * len(table), dtype=None if name in numeric else "str")
        elif name in numeric:
            filled[name] = _as_numbers(table[name])
        else:
            filled[name] = table[name].astype("str").fillna("")
        filled[name] = filled[name].reset_index(drop=True)
    for column in table.columns:
        if column not in filled:
            filled[str(column)] = table[column].reset_index(drop=True)
    return pd.DataFrame(filled)


def _as_numbers(column: pd.Series) -> pd.Series:
    """float64; blank, and what is no number, is NaN."""
    if not pd.api.types.is_numeric_dtype(column) and len(column):
        try:  # arrow parses clean text ten times faster than pandas
            text = pa.array(column.astype("str"), type=pa.large_string())
            text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)
            numbers = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
            return pd.Series(numbers, index=column.index, dtype="float64")
        except pa.ArrowInvalid:
            pass
    return pd.to_numeric(column, errors="coerce").astype("float64")


def _numeric_if_all_numbers(column: pd.Series) -> pd.Series:
    """Numbers where every non-blank value is one, text otherwise (`007` stays a number)."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    text = column.astype("str").fillna("")
    numbers = _as_numbers(text)
    return numbers if bool((numbers.notna() | (text == "")).all()) else text


def _table_error(field: str, expected: str, got: str, fix: str = "") -> DataError:
    problem = Problem(file="images.csv", field=field, expected=expected, got=got, fix=fix)
    return DataError.from_problems([problem])


def _file_error(path: Path, expected: str, got: str) -> DataError:
    # A parser's message may quote a line of the file; only its first line is shown.
    got = re.split(r"[\r\n]", got, maxsplit=1)[0][:200]
    return DataError.from_problems([Problem(file=str(path), expected=expected, got=got)])
