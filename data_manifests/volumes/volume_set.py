"""`VolumeSet`: CT volumes with reports and the regions that the reports describe, as a folder.

`volumes.csv`: `volume_id, patient_id, path, anatomy, report, split`; `anatomy` (a label map) may be
blank. `anomalies.csv`: `volume_id, start, end, type, organ, place, assertion, mask, value`: the
anomaly's phrase is `report[start:end]`; its region are the voxels of `mask` with `value`, or
channel `value` of a mask of four dimensions; a denied anomaly has no mask. `labels.csv` names the
organs of `anatomy` (TotalSegmentator's names where there is no such file).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from data_manifests.support.atomic import write_json
from data_manifests.support.csv_file import read_text_csv, write_csv
from data_manifests.support.errors import DataError, Problem
from data_manifests.volumes.organ_labels import OrganLabels, read_organ_labels

FORMAT_VERSION = 1
VOLUME_COLUMNS = ("volume_id", "patient_id", "path", "anatomy", "report", "split")
ANOMALY_COLUMNS = (
    "volume_id", "start", "end", "type", "organ", "place", "assertion", "mask", "value",
)  # fmt: skip
SPLITS = ("train", "val", "test", "")
ASSERTIONS = ("present", "absent", "uncertain", "resolved")


@dataclass(frozen=True)
class MarkedAnomaly:
    """An anomaly of a report with its region: `mask` is a file's path, blank for a denied one.

    `is_channel`: `value` is a channel of the mask, else the value of its voxels. `place` are the
    words of its place, joined by `;`.
    """

    start: int
    end: int
    type: str
    organ: str
    place: str
    assertion: str
    mask: str
    value: int
    is_channel: bool = False


@dataclass(frozen=True)
class ReportedVolume:
    """A volume with its report and what is marked in it. Paths are below the set's folder."""

    volume_id: str
    patient_id: str
    path: str
    anatomy: str
    report: str
    split: str
    anomalies: tuple[MarkedAnomaly, ...]


@dataclass(frozen=True)
class VolumeSet:
    """Volumes below a folder, with the names of their organ labels."""

    folder: Path
    volumes: tuple[ReportedVolume, ...]
    labels: OrganLabels

    def of_split(self, split: str) -> tuple[ReportedVolume, ...]:
        """The volumes of a split.

        Raises:
            DataError: there is none.
        """
        chosen = tuple(item for item in self.volumes if item.split == split)
        if not chosen:
            problem = Problem("volumes.csv", f"volumes of split {split!r}", "none", field="split")
            raise DataError.from_problems([problem])
        return chosen


def read_volume_set(folder: Path) -> VolumeSet:
    """Read and check the tables; the volumes themselves are read when they are needed.

    Raises:
        DataError: missing tables or columns, and all bad rows at once.
    """
    volumes = _table(folder / "volumes.csv", VOLUME_COLUMNS)
    anomalies = _table(folder / "anomalies.csv", ANOMALY_COLUMNS)
    labels = folder / "labels.csv"
    problems: list[Problem] = []
    reports: dict[str, str] = {}
    for row, item in enumerate(volumes.to_dict("records"), start=2):
        name = item["volume_id"]
        if not name or name in reports:
            problems.append(
                Problem("volumes.csv", "an id of its own", repr(name), row, "volume_id")
            )
        if item["split"] not in SPLITS:
            problems.append(
                Problem("volumes.csv", "train, val, test or blank", item["split"], row, "split")
            )
        for column in ("path", "anatomy"):
            problems += _outside("volumes.csv", row, column, item[column])
        reports[name] = item["report"]
    marked: dict[str, list[MarkedAnomaly]] = {name: [] for name in reports}
    for row, item in enumerate(anomalies.to_dict("records"), start=2):
        anomaly = _anomaly(row, item, reports.get(item["volume_id"]), problems)
        problems += _outside("anomalies.csv", row, "mask", item["mask"])
        if anomaly is not None:
            marked[item["volume_id"]].append(anomaly)
    if problems:
        raise DataError.from_problems(problems)
    return VolumeSet(
        folder,
        tuple(
            ReportedVolume(
                **{name: item[name] for name in VOLUME_COLUMNS},
                anomalies=tuple(marked[item["volume_id"]]),
            )
            for item in volumes.to_dict("records")
        ),
        read_organ_labels(labels if labels.is_file() else None),
    )


def write_volume_set(
    volume_set: VolumeSet, *, builder: str, options: dict[str, str | int | float]
) -> None:
    """Write the tables into the set's folder; the volumes are there already."""
    folder, volumes = volume_set.folder, volume_set.volumes
    rows = [{name: getattr(item, name) for name in VOLUME_COLUMNS} for item in volumes]
    anomalies = [
        {
            "volume_id": item.volume_id,
            **{name: getattr(one, name) for name in ANOMALY_COLUMNS[1:-1]},
            "value": _value_text(one),
        }
        for item in volumes
        for one in item.anomalies
    ]  # fmt: skip
    names = sorted(volume_set.labels.names.items())
    write_csv(folder / "labels.csv", pd.DataFrame(names, columns=["value", "name"]))
    write_csv(folder / "anomalies.csv", pd.DataFrame(anomalies, columns=[*ANOMALY_COLUMNS]))
    write_csv(folder / "volumes.csv", pd.DataFrame(rows, columns=[*VOLUME_COLUMNS]))
    write_json(
        folder / "set.json",
        {"format_version": FORMAT_VERSION, "builder": builder, "options": options},
    )


def _value_text(one: MarkedAnomaly) -> str:
    if not one.mask:
        return ""
    return f"channel {one.value}" if one.is_channel else str(one.value)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError.from_problems(
            [
                Problem(
                    str(path), "a table of a volume set", "no such file", fix="see docs/volumes.md"
                )
            ]
        )
    table = read_text_csv(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise DataError.from_problems(
            [Problem(path.name, f"the columns {', '.join(columns)}", f"no {', '.join(missing)}")]
        )
    return table


def _outside(file: str, row: int, column: str, path: str) -> list[Problem]:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        return [Problem(file, "a path below the set's folder", path, row, column)]
    return []


def _anomaly(
    row: int, item: Mapping[Hashable, str], report: str | None, problems: list[Problem]
) -> MarkedAnomaly | None:
    def complain(expected: str, got: str, field: str) -> None:
        problems.append(Problem("anomalies.csv", expected, got, row, field))

    if report is None:
        complain("an id of volumes.csv", repr(item["volume_id"]), "volume_id")
        return None
    before = len(problems)
    start, end = item["start"], item["end"]
    if not (start.isdecimal() and end.isdecimal() and int(start) < int(end) <= len(report)):
        complain(f"characters of a report of {len(report)}", f"{start} to {end}", "start")
    if item["assertion"] not in ASSERTIONS:
        complain(" or ".join(ASSERTIONS), item["assertion"], "assertion")
    value = item["value"].removeprefix("channel ")
    if item["mask"] and not value.isdecimal():
        complain("a whole number or `channel` and one", item["value"], "value")
    if len(problems) > before:
        return None
    return MarkedAnomaly(
        int(start), int(end), item["type"], item["organ"], item["place"], item["assertion"],
        item["mask"], int(value) if item["mask"] else 0, item["value"].startswith("channel"),
    )  # fmt: skip
