"""`Manifest`: the tables of films, boxes, reports and labels, and their folder on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.boxes import Boxes
from data_manifests.films.paths import locate_films
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import is_member
from data_manifests.support.temporary import temporary_folder
from data_manifests.tables.columns import CORNERS, REQUIRED_COLUMNS, TABLE_COLUMNS
from data_manifests.tables.row_checks import table_problems
from data_manifests.tables.table_file import read_table, table_file_error, write_table
from data_manifests.tables.typed_tables import numeric_if_all_numbers, typed_table, typed_tables

FORMAT_VERSION = 1

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
    folder: Path,
    *,
    image_root: Path | None = None,
    tables: Sequence[str] = tuple(TABLE_COLUMNS),
    without: Mapping[str, Sequence[str]] | None = None,
) -> Manifest:
    """Read a manifest folder; each table may be CSV or parquet.

    `image_root` overrides the one in `manifest.json`. `images.csv` alone is legal. Only the
    listed `tables` are opened: `tables=("images",)` reads no reports. `without` names optional
    columns that are blank in the result whatever the file has: that takes less memory.

    Raises:
        DataError: no such folder or table, another format version, or any bad row.
    """
    found, info = read_tables(folder, tables, without or {})
    return _validated(found, info, image_root or Path(folder) / info.image_root)


def read_tables(
    folder: Path, names: Sequence[str], without: Mapping[str, Sequence[str]]
) -> tuple[dict[str, pd.DataFrame], ManifestInfo]:
    """The tables of a manifest folder as they stand, not yet checked.

    Missing ones, and those not in `names`, are empty. Columns of `without` are left out, unless a
    required one is missing: then the error names all there are.

    Raises:
        DataError: no such folder or table of films, unreadable files, another format version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise table_file_error(folder, "a manifest folder", "no such folder")
    info = _read_info(folder / "manifest.json")
    tables = {}
    for name, columns in TABLE_COLUMNS.items():
        table = read_table(folder, name) if name in names else None
        if table is None and name == "images":
            raise table_file_error(folder / "images.csv", "a table of films", "no such file")
        if table is not None and set(REQUIRED_COLUMNS[name]) <= set(table):
            table = table.drop(columns=list(without.get(name, ())), errors="ignore")
        tables[name] = pd.DataFrame(columns=list(columns)) if table is None else table
    return tables, info


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the tables and `manifest.json`; tables of more than 100,000 rows become parquet.

    A relative image root is kept as it is, so it must be right as seen from `folder`.
    """
    _write(((name, getattr(manifest, name)) for name in TABLE_COLUMNS), manifest.info, folder)


def write_with_split(source: Path, split: pd.Series, info: ManifestInfo, folder: Path) -> None:
    """Write the manifest of `source`, which was validated, with this split of its films.

    As `write_manifest`, with one table in memory at a time; `folder` may be `source`.
    """
    _write(_tables_with_split(source, split), info, folder)


def _tables_with_split(source: Path, split: pd.Series) -> Iterator[tuple[str, pd.DataFrame]]:
    for name, columns in TABLE_COLUMNS.items():
        table = read_table(source, name)
        table = pd.DataFrame(columns=list(columns)) if table is None else table
        finished = _finished(name, typed_table(name, table))
        del table
        if name == "images":
            finished["split"] = split.set_axis(finished.index)
        yield name, finished
        del finished


def _write(tables: Iterable[tuple[str, pd.DataFrame]], info: ManifestInfo, folder: Path) -> None:
    folder = Path(folder)
    parent = folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    # Everything is written aside first: a full disk or a bad value leaves `folder` as it was.
    aside = folder if folder.is_dir() else parent
    with temporary_folder(folder.name, aside) as name:
        staged = Path(name) / folder.name
        staged.mkdir()
        for table_name, table in tables:
            write_table(table, staged, table_name)
            del table  # before the next one is read
        _write_info(info, staged)
        if not folder.exists():
            os.replace(staged, folder)
            return
        if not folder.is_dir():
            raise table_file_error(folder, "a folder to write a manifest to", "a file")
        kept = {path.name for path in staged.iterdir()}
        # manifest.json comes last: it tells a reader that the rest is there.
        for path in sorted(staged.iterdir(), key=lambda path: path.suffix == ".json"):
            os.replace(path, folder / path.name)
        for table_name in TABLE_COLUMNS:
            for suffix in (".csv", ".parquet"):
                if table_name + suffix not in kept:
                    (folder / (table_name + suffix)).unlink(missing_ok=True)


def _write_info(info: ManifestInfo, folder: Path) -> None:
    write_json(
        folder / "manifest.json",
        {
            "format_version": FORMAT_VERSION,
            "builder": info.builder,
            "image_root": info.image_root,
            "options": dict(info.options),
            "sources": dict(info.sources),
        },
    )


def _read_info(path: Path) -> ManifestInfo:
    if not path.exists():
        return ManifestInfo()
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise table_file_error(path, "JSON with format_version", f"{error!r}") from error
    if version != FORMAT_VERSION:
        raise table_file_error(path, f"format_version {FORMAT_VERSION}", str(version))
    return ManifestInfo(
        builder=str(content.get("builder", "csv")),
        image_root=str(content.get("image_root", ".")),
        options=content.get("options", {}),
        sources=content.get("sources", {}),
    )


def _validated(tables: dict[str, pd.DataFrame], info: ManifestInfo, root: Path) -> Manifest:
    typed = typed_tables(tables)
    problems = table_problems(tables, typed)
    if problems:
        raise DataError.from_problems(problems)
    tables.clear()  # what was read takes memory beside what was typed
    finished = {name: _finished(name, typed.pop(name)) for name in TABLE_COLUMNS}
    return Manifest(**finished, info=info, root=root)


def _finished(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A sound table: sizes as whole numbers, other columns of boxes and labels numeric if they are.

    Changes `table`.
    """
    if name == "images":
        for column in ("width", "height"):
            table[column] = table[column].astype("Int64")
    if name in ("boxes", "labels"):
        for column in table.columns.difference(list(TABLE_COLUMNS[name])):
            table[column] = numeric_if_all_numbers(table[column])
    return table


def _table_error(field: str, expected: str, got: str, fix: str = "") -> DataError:
    problem = Problem(file="images.csv", field=field, expected=expected, got=got, fix=fix)
    return DataError.from_problems([problem])
