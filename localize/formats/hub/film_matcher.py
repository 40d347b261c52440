"""`FilmMatcher`: finds the film of a manifest by the name that a tool gives it."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from localize.formats.hub.film_names import SafeNames, split_suffix
from localize.formats.hub.imported_film import SizeOf


class FilmMatcher:
    """Finds films by path, image id, file name, or these without extension.

    A name that two films share finds neither.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._rows: list[dict[str, set[int]]] = []
        columns: list[list[str]] = [
            list(manifest.images["path"]),
            list(manifest.images["image_id"]),
        ]
        columns.append([path.rsplit("/", 1)[-1] for path in columns[0]])
        columns += [
            [split_suffix(name)[0] for name in column] for column in (columns[0], columns[2])
        ]
        safe = SafeNames(columns[0])
        dotless = SafeNames(columns[0], replace_dots=True)
        columns += [[names.of(path) for path in columns[0]] for names in (safe, dotless)]
        for column in columns:
            rows: dict[str, set[int]] = defaultdict(set)
            for row, name in enumerate(column):
                rows[name].add(row)
            self._rows.append(dict(rows))

    def find(self, name: str, image_id: str = "") -> int | None:
        """The row of the film in `manifest.images`; None where no single one fits.

        `image_id` is tried first: our own exports write it into the file.
        """
        by_id = self._rows[1].get(image_id, set())
        if len(by_id) == 1:
            return next(iter(by_id))
        bare = name.rsplit("/", 1)[-1]
        tries = [name, split_suffix(name)[0], bare, split_suffix(bare)[0]]
        for wanted in dict.fromkeys(tries):
            for rows in self._rows:
                found = rows.get(wanted, set())
                if len(found) == 1:
                    return next(iter(found))
        return None


def film_sizes(manifest: Manifest) -> SizeOf:
    """A function from a film's name to its width and height in pixels.

    It raises DataError for a film that the manifest does not have, or has without a size.
    """
    matcher = FilmMatcher(manifest)

    def size_of(name: str) -> tuple[int, int]:
        row = matcher.find(name)
        if row is None:
            fix = "give the manifest that was exported"
            problem = Problem("import", "a film of the manifest", repr(name), fix=fix)
            raise DataError.from_problems([problem])
        width, height = manifest.images[["width", "height"]].iloc[row]
        if pd.isna(width) or pd.isna(height):
            problem = Problem("images.csv", "width and height", "none", field=f"film {name!r}")
            raise DataError.from_problems([problem])
        return int(width), int(height)

    return size_of
