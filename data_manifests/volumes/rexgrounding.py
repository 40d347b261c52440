"""`build_rexgrounding`: a set of volumes from CT-RATE and ReXGroundingCT (Baharoon et al. 2025).

Read are, of CT-RATE, `dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz` (or `train`,
`valid`, `valid_fixed`; the fixed ones hold Hounsfield units), and of ReXGroundingCT `dataset.json`:
`{"train": [{"name": "train_1_a_1.nii.gz", "findings": {"0": "text", ...}}], "val": ...}` and
`segmentations/train_1_a_1.nii.gz`, a mask of four dimensions with a channel for each finding. The
layouts were written down from the publications; both sets need an agreement and were not at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_manifests.support.errors import DataError, Problem
from data_manifests.volumes.organ_labels import read_organ_labels
from data_manifests.volumes.volume_set import (
    MarkedAnomaly,
    ReportedVolume,
    VolumeSet,
    write_volume_set,
)

SPLIT_OF = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
FOLDERS = ("train_fixed", "train", "valid_fixed", "valid")
NAME_PARTS = 4  # train_1_a_1: split, patient, scan, reconstruction


def build_rexgrounding(
    ct_rate: Path, rex: Path, out: Path, *, anatomy: Path | None = None
) -> VolumeSet:
    """Write the tables of a set into `out`, with links to the folders; nothing is copied.

    The report of a volume are its findings, a line each; each finding is one anomaly with its
    channel as region. `anatomy` holds TotalSegmentator's label maps, named like the volumes.

    Raises:
        DataError: no `dataset.json`, or one of another form; volumes or masks that are not there:
            all at once.
    """
    problems: list[Problem] = []
    volumes = []
    for entry in _entries(rex / "dataset.json"):
        name = entry.name
        path = _volume_path(ct_rate, name)
        mask = Path("segmentations") / name
        if path is None:
            problems.append(Problem(name, "a volume of CT-RATE", "no such file", fix="download it"))
            continue
        if not (rex / mask).is_file():
            problems.append(Problem(name, "a mask in segmentations/", "no such file"))
            continue
        has_organs = anatomy is not None and (anatomy / name).is_file()
        report, anomalies = _findings(entry.findings, f"rex/{mask.as_posix()}")
        volumes.append(
            ReportedVolume(
                volume_id=name.removesuffix(".nii.gz"),
                patient_id="_".join(name.split("_")[:2]),
                path=f"ct/{path.relative_to(ct_rate).as_posix()}",
                anatomy=f"anatomy/{name}" if has_organs else "",
                report=report,
                split=entry.split,
                anomalies=anomalies,
            )
        )
    if problems:
        raise DataError.from_problems(problems)
    out.mkdir(parents=True, exist_ok=True)
    for link, target in (("ct", ct_rate), ("rex", rex), ("anatomy", anatomy)):
        if target is not None and not (out / link).exists():
            (out / link).symlink_to(target.resolve(), target_is_directory=True)
    made = VolumeSet(out, tuple(volumes), read_organ_labels(None))
    write_volume_set(made, builder="rexgrounding", options={"volumes": len(volumes)})
    return made


@dataclass(frozen=True)
class _Entry:
    split: str
    name: str
    findings: dict[str, str]


def _entries(path: Path) -> Iterator[_Entry]:
    """The volumes of `dataset.json`, checked."""
    expected = "a map of splits to lists of {name, findings}"
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError.from_problems([Problem(path.name, expected, str(error))]) from error
    if not isinstance(content, dict):
        raise DataError.from_problems([Problem(path.name, expected, type(content).__name__)])
    for split, entries in content.items():
        if split not in SPLIT_OF or not isinstance(entries, list):
            raise DataError.from_problems([Problem(path.name, expected, f"{split!r}")])
        for number, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, dict) else None
            findings = entry.get("findings") if isinstance(entry, dict) else None
            if (
                not isinstance(name, str)
                or len(name.removesuffix(".nii.gz").split("_")) != NAME_PARTS
                or "/" in name
                or not isinstance(findings, dict)
                or not all(k.isdecimal() and isinstance(v, str) for k, v in findings.items())
            ):
                got = f"{split}[{number}] with name {name!r}"
                raise DataError.from_problems([Problem(path.name, expected, got)])
            yield _Entry(SPLIT_OF[split], name, findings)


def _volume_path(ct_rate: Path, name: str) -> Path | None:
    """A volume by its name, in one of CT-RATE's folders."""
    split, patient, scan, _ = name.removesuffix(".nii.gz").split("_")
    for folder in FOLDERS:
        scans = ct_rate / "dataset" / folder / f"{split}_{patient}"
        path = scans / f"{split}_{patient}_{scan}" / name
        if path.is_file():
            return path
    return None


def _findings(findings: dict[str, str], mask: str) -> tuple[str, tuple[MarkedAnomaly, ...]]:
    """A report with a line for each finding, and the findings as anomalies."""
    report, anomalies = "", []
    for number, text in sorted(findings.items(), key=lambda item: int(item[0])):
        line = " ".join(text.split())
        if not line:
            continue
        start = len(report)
        report += f"{line}{'' if line.endswith('.') else '.'}\n"
        anomalies.append(
            MarkedAnomaly(
                start, start + len(line), "finding", "", line, "present", mask, int(number), True
            )
        )
    return report.rstrip("\n"), tuple(anomalies)
