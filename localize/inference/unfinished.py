"""`UnfinishedPrediction`: the tables of a prediction while they grow, and how a run resumes."""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from data_manifests.support.atomic import lock_folder, write_json
from data_manifests.support.csv_file import csv_text
from localize.prediction.table_blocks import packed_tables
from localize.prediction.tables import TABLES, Prediction, publish_prediction, written_tables

logger = logging.getLogger(__name__)
RUN = "run.json"
PROGRESS = "progress.jsonl"


class UnfinishedPrediction:
    """Tables that grow in `.TARGET.unfinished`; use as a context manager.

    `run` holds the settings: with other ones the work starts again. After each block a line of
    `progress.jsonl` notes the length of the tables. Rows beyond the last line are the rest of a
    killed block and are removed.
    """

    def __init__(self, target: Path, run: Mapping[str, Any]) -> None:  # Any: whatever JSON holds
        self.target = target = target.absolute()  # `.` has no name
        self.folder = target.with_name(f".{target.name}.unfinished")
        self._staged = self.folder / target.name
        self._run = json.loads(json.dumps(run))
        self._done = {"predicted": 0, "skipped": 0, "boxes": 0}
        self._files: dict[str, IO[bytes]] = {}
        self._lock: IO[str] | None = None

    def __enter__(self) -> UnfinishedPrediction:
        self._lock = lock_folder(
            self.folder,
            "another process is writing this prediction; wait for it, choose another --out, or "
            "give each process its --shard",
        )
        sizes = self._restore()
        self._staged.mkdir(exist_ok=True)
        for name in TABLES:
            self._files[name] = (self._staged / name).open("ab")
            self._files[name].truncate(sizes.get(name, 0))
            self._files[name].seek(0, os.SEEK_END)
        if not sizes:
            (self.folder / PROGRESS).unlink(missing_ok=True)
            write_json(self.folder / RUN, self._run)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            with suppress(OSError):  # what did not fit on the disk is not noted as done
                file.close()
        if self.films == 0:  # nothing to resume
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    @property
    def films(self) -> int:
        """The number of films that are done."""
        return self._done["predicted"] + self._done["skipped"]

    def counts(self) -> dict[str, int]:
        """Films predicted and skipped, and boxes, so far."""
        return dict(self._done)

    def append(self, block: Prediction) -> None:
        """Add the rows of a block and note it as done.

        Raises:
            OSError: the disk is full; it names the file, and the earlier blocks stay.
        """
        for name, table in written_tables(block).items():
            file = self._files[name]
            text = csv_text(table, header=file.tell() == 0)
            try:
                file.write(text.encode("utf-8"))
                file.flush()
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._staged / name)) from error
        skipped = int((block.images["status"] == "skipped").sum())
        self._done["predicted"] += len(block.images) - skipped
        self._done["skipped"] += skipped
        self._done["boxes"] += len(block.boxes)
        line = {**self._done, "sizes": {name: f.tell() for name, f in self._files.items()}}
        with (self.folder / PROGRESS).open("a", encoding="utf-8") as progress:
            progress.write(json.dumps(line) + "\n")

    def finish(self, info: Mapping[str, Any], *, is_shard: bool = False) -> None:
        """Put the tables in place, with their `prediction.json`; large ones as parquet.

        Those of a shard stay CSV: `join_shards` joins their rows as text.
        """
        for file in self._files.values():
            os.fsync(file.fileno())
            file.close()
        staged = self._staged if is_shard else packed_tables(self._staged)
        publish_prediction(staged, self.target, info)
        shutil.rmtree(self.folder)

    def discard(self) -> str:
        """Delete the work; returns the error of its first film."""
        with (self._staged / TABLES[0]).open(newline="", encoding="utf-8") as images:
            first = next(csv.DictReader(images), {})
        shutil.rmtree(self.folder)
        return str(first.get("error", ""))

    def _restore(self) -> dict[str, int]:
        """Find the last block whose rows are all on disk; returns the tables' sizes at its end."""
        try:
            run = json.loads((self.folder / RUN).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        if run != self._run:
            logger.warning(
                "%s: an unfinished prediction of other films or options; it starts again",
                self.folder,
            )
            return {}
        found: dict[str, int] = {}
        valid_bytes = 0
        lines = _lines(self.folder / PROGRESS)
        for line in lines:
            try:
                entry = json.loads(line)
                sizes = {name: int(entry["sizes"][name]) for name in TABLES}
                counts = {name: int(entry[name]) for name in self._done}
            except (ValueError, KeyError, TypeError):
                break  # the last line, cut by the kill
            # After a power cut a table can be shorter than noted.
            if any(_size(self._staged / name) < size for name, size in sizes.items()):
                break
            self._done, found = counts, sizes
            valid_bytes += len(line)
        if found:
            os.truncate(self.folder / PROGRESS, valid_bytes)
        return found


def _lines(path: Path) -> list[bytes]:
    try:
        return [
            line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
        ]
    except OSError:
        return []


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1
