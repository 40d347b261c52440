"""`join_shards`: the predictions of all shards as the one that a single process would write."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from data_manifests.support.csv_file import csv_writer
from data_manifests.support.errors import DataError
from data_manifests.support.temporary import temporary_folder
from detector.propose import Shard
from localize.prediction.table_blocks import packed_tables
from localize.prediction.tables import DESCRIPTION, TABLES, publish_prediction

FOLDER = "shards"
OF_A_SHARD = ("run", "counts", "format_version")  # left out of the joined description
Row = list[str]


def shard_folder(out: Path, shard: Shard) -> Path:
    """The folder of a shard: `out` itself if it is the only one."""
    return out if shard.of == 1 else out / FOLDER / f"{shard.index}-of-{shard.of}"


def join_shards(out: Path, of: int, block: int) -> tuple[int, ...]:
    """Write the tables of all shards into `out`, blocks of `block` films in turn.

    Returns the numbers of missing shards, and does nothing while there are some. Two processes that
    end together may both join: they write the same.

    Raises:
        DataError: the shards are of different films, bundles or options.
    """
    folders = [shard_folder(out, Shard(index, of)) for index in range(of)]
    missing = [k for k, folder in enumerate(folders) if not (folder / DESCRIPTION).is_file()]
    if missing:
        return tuple(missing)
    infos = [json.loads((folder / DESCRIPTION).read_text("utf-8")) for folder in folders]
    runs = [{**info["run"], "shard": ""} for info in infos]
    for folder, run in zip(folders, runs, strict=True):
        if run != runs[0]:
            raise DataError(
                f"{folder}: expected a shard of the same films, bundle and options as "
                f"{folders[0]}; delete {out / FOLDER} or choose another --out"
            )
    with temporary_folder("joined", out) as name:
        staged = Path(name) / out.name
        staged.mkdir()
        _join_tables(folders, staged, block)
        info = {key: value for key, value in infos[0].items() if key not in OF_A_SHARD}
        publish_prediction(packed_tables(staged), out, info)
    return ()


def _join_tables(folders: list[Path], staged: Path, block: int) -> None:
    """Join row by row: memory does not grow with the number of films."""
    with ExitStack() as files:
        readers = [
            [
                csv.reader(files.enter_context((folder / name).open(newline="", encoding="utf-8")))
                for name in TABLES
            ]
            for folder in folders
        ]
        writers = [
            csv_writer(files.enter_context((staged / name).open("w", newline="", encoding="utf-8")))
            for name in TABLES
        ]
        shards: list[tuple[Iterator[Row], _Grouped, Iterator[Row]]] = []
        for images, boxes, attributes in readers:
            headers = [next(reader, []) for reader in (images, boxes, attributes)]
            if not shards:  # shard 0 has the first block, so it has the headers
                for writer, header in zip(writers, headers, strict=True):
                    writer.writerow(header)
            shards.append((images, _Grouped(boxes), attributes))
        for turn in count():
            films, grouped, words = shards[turn % len(shards)]
            for place in range(block):
                image = next(films, None)
                if image is None:
                    if place == 0:
                        return  # shards take blocks in turn: after the first gap there are none
                    break
                writers[0].writerow(image)
                writers[1].writerows(grouped.of(image[0]))
                writers[2].writerow(next(words))


class _Grouped:
    """Rows of a table that are ordered by their first column."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, key: str) -> Iterator[Row]:
        """The next rows, as long as they belong to `key`."""
        while self._next is not None and self._next[0] == key:
            yield self._next
            self._next = next(self._rows, None)
