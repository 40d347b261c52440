"""Which film of a manifest an imported name means."""

from __future__ import annotations

from collections import defaultdict

from data_manifests.tables.manifest import Manifest
from localize.formats.hub.film_names import SafeNames, split_suffix


class FilmMatcher:
    """Finds films by what tools call them: path, image id, file name, or these without extension.

    A way of naming that does not tell all films of the manifest apart is not used for those that
    share a name.
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

        `image_id` is what an export of ours wrote into the file; it goes first.
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
