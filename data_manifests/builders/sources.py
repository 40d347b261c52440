"""Reading what a data set publishes: tables with their headers checked, folders of films."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from data_manifests.films.find_films import film_stem, find_films
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.tables.table_file import table_parts


def read_source_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A published CSV (also .gz, .zip) or parquet with every field as text, blanks as "".

    Raises:
        DataError: no such file, no table, or a column is missing.
    """
    if path.suffix == ".parquet" and path.is_file():
        stored = next(table_parts(path, None))
        require_columns(path, stored.columns, columns)
        texts = {
            str(name): stored[name].astype("str").where(stored[name].notna(), "")
            for name in stored.columns
        }
        return pd.DataFrame(texts, dtype="str")
    try:
        table = pd.read_csv(
            path, dtype="str", keep_default_na=False, na_filter=False, encoding="utf-8-sig"
        )
    except FileNotFoundError as error:
        raise source_error(path, "a published table", "no such file") from error
    except (ValueError, OSError, EOFError) as error:  # ValueError: parser and unicode errors
        got = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"
        raise source_error(path, "a CSV table with a header", got) from error
    require_columns(path, table.columns, columns)
    return table


def require_columns(
    path: Path,
    found: Iterable[str],
    columns: Sequence[str],
    fix: str = "is this the file as published?",
) -> None:
    """Raise one problem for each column that the table lacks."""
    found = [str(name) for name in found]
    problems = [
        Problem(
            file=path.name,
            row=1,
            field=column,
            expected=f"the columns {', '.join(columns)}",
            got=f"only {', '.join(found)[:300]}",
            fix=fix,
        )
        for column in columns
        if column not in found
    ]
    if problems:
        raise DataError.from_problems(problems)


def first_existing(folder: Path, names: Sequence[str]) -> Path:
    """The first of `names` that exists in `folder`.

    Raises:
        DataError: none of them exists.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise source_error(
        folder, f"one of {', '.join(names)}", "none of them", "give the folder above"
    )


def index_films(root: Path) -> dict[str, list[str]]:
    """File name without extension -> paths relative to `root`, of all films below it."""
    if not root.is_dir():
        raise source_error(root, "a folder of films", "no such folder")
    found: dict[str, list[str]] = {}
    for film in find_films(root):
        found.setdefault(film_stem(film.name), []).append(film.relative_to(root).as_posix())
    return found


def torchxrayvision_file(name: str) -> Path | None:
    """A label table inside the installed `torchxrayvision`, found without importing it (or torch).

    None where the package or the file is not there.
    """
    spec = find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / name
    return path if path.is_file() else None


def source_checksums(paths: Iterable[Path]) -> Mapping[str, str]:
    """File name -> SHA-256, for `manifest.json`."""
    return {path.name: file_sha256(path) for path in paths}


def source_error(path: Path, expected: str, got: str, fix: str = "") -> DataError:
    """The error for a file or folder of a data set."""
    return DataError.from_problems([Problem(file=str(path), expected=expected, got=got, fix=fix)])


def key_values(pairs: Sequence[str], option: str) -> dict[str, str]:
    """`["image_id=Filename"]` as a dictionary.

    Raises:
        ConfigError: a pair without `=`, or a name given twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or name.strip() in values:
            raise ConfigError(f"{option} must be NAME=COLUMN, each NAME once, got {pair!r}")
        values[name.strip()] = value.strip()
    return values
