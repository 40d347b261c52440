"""Training targets: the states of the 22 keywords as numbers and masks, under a named policy.

Reading needs neither spaCy nor gensim nor a lexicon: the folder of `attributes mine` is enough.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attributes.targets.keyword_states import STATES
from attributes.targets.policies import DEFAULT_POLICY, get_policy
from data_manifests.laterality import SIDES
from data_manifests.support.arrays import Bools, Floats32
from data_manifests.support.errors import DataError, Problem

# Folders mined before `mining.json` named these findings were mined with a lexicon of these.
FORMER_PNEUMONIA_LIKE = ("pneumonia", "consolidation", "infiltrate", "opacity", "airspace_disease")


@dataclass(frozen=True)
class Targets:
    """Targets of S studies and K keywords.

    `targets` (S, K) float32 in [0, 1]; `mask` (S, K) float32, 1 where the target counts in the
    loss and 0 where it is not known (the target is 0 there). `has_finding` (S,) bool: the study
    has a present pneumonia-like finding; None when only the keyword states were given. `is_read`
    (S,) bool: something was read of the report; None if that is not known.
    """

    study_ids: tuple[str, ...]
    keywords: tuple[str, ...]
    targets: Floats32
    mask: Floats32
    policy: str
    has_finding: Bools | None = None
    is_read: Bools | None = None

    def __post_init__(self) -> None:
        shape = (len(self.study_ids), len(self.keywords))
        for name, array in (("targets", self.targets), ("mask", self.mask)):
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(
                    f"{name} must be float32 with shape {shape}, "
                    f"but got {array.dtype} {array.shape}"
                )
            if not np.isfinite(array).all() or array.min(initial=0) < 0 or array.max(initial=0) > 1:
                raise ValueError(f"{name} must lie in [0, 1]")
        if len(set(self.study_ids)) != len(self.study_ids):
            raise ValueError("study_ids must be unique")
        for name, flags in (("has_finding", self.has_finding), ("is_read", self.is_read)):
            if flags is not None and flags.shape != shape[:1]:
                raise ValueError(f"{name} must have shape {shape[:1]}, but got {flags.shape}")

    @property
    def has_attribute(self) -> Bools:
        """(S,) bool: at least one keyword is positive."""
        positive = (self.targets > 0) & (self.mask > 0)
        return np.asarray(positive.any(axis=1), dtype=np.bool_)

    @property
    def row_of(self) -> dict[str, int]:
        """study_id -> row."""
        return {study_id: row for row, study_id in enumerate(self.study_ids)}


def targets_from_states(
    study_ids: Sequence[str],
    states: Iterable[Sequence[str]],
    keywords: Sequence[str],
    *,
    axes: Sequence[str] = (),
    policy: str = DEFAULT_POLICY,
    has_finding: Sequence[bool] | None = None,
    may_have_finding: Sequence[bool] | None = None,
) -> Targets:
    """Targets from keyword states (each one of `STATES`), one row a study.

    `axes`, one a keyword, are needed by a policy that masks silent ones; `may_have_finding` says of
    which studies a finding is present or hedged, though no keyword may belong to it.

    Raises:
        ConfigError: an unknown policy. ValueError: axes are needed, and not one a keyword.
    """
    rules = get_policy(policy)
    values = np.array([rules.value(state) or 0.0 for state in STATES], dtype=np.float32)
    known = np.array([rules.value(state) is not None for state in STATES], dtype=np.float32)
    code_of = {state: code for code, state in enumerate(STATES)}
    codes = np.array([[code_of[state] for state in row] for row in states], dtype=np.int64)
    codes = codes.reshape(len(study_ids), len(keywords))
    targets, mask = values[codes], known[codes]
    if rules.mask_sides_of_bilateral and {*SIDES, "bilateral"} <= set(keywords):
        order = list(keywords)
        both = codes[:, order.index("bilateral")] == code_of["present"]
        for side in SIDES:
            column = order.index(side)
            mask[both & (codes[:, column] == code_of["unmentioned"]), column] = 0.0
    if rules.mask_silent_axes:
        if len(axes) != len(keywords):
            raise ValueError(f"axes: expected one for each of {len(keywords)}, got {len(axes)}")
        hints = [code_of["present"], code_of["uncertain"]]
        is_there = np.asarray(np.isin(codes, hints).any(axis=1), dtype=np.bool_)
        if may_have_finding is not None:
            is_there = is_there | np.array(may_have_finding, dtype=np.bool_)
        is_spoken = ~np.isin(codes, [code_of["unmentioned"], code_of["unread"]])
        mask *= _is_known_by_axis(is_spoken, is_there, np.array(axes))
    found = None if has_finding is None else np.array(has_finding, dtype=np.bool_)
    is_read = (codes != code_of["unread"]).all(axis=1)
    return Targets(tuple(study_ids), tuple(keywords), targets, mask, policy, found, is_read)


def _is_known_by_axis(is_spoken: Bools, is_there: Bools, axes: NDArray[np.str_]) -> Bools:
    """(S, K): false on axes that a report leaves out, if it states or hedges a finding.

    A report without any finding describes a clear film: there, silence means absent.
    `is_spoken` (S, K): the report mentions the keyword, also to deny it; `is_there` (S,).
    """
    known = np.ones(is_spoken.shape, dtype=np.bool_)
    for axis in np.unique(axes):
        of_axis = axes == axis
        known[:, of_axis] = (is_spoken[:, of_axis].any(axis=1) | ~is_there)[:, None]
    return known


def read_targets(folder: Path, *, policy: str = DEFAULT_POLICY) -> Targets:
    """Targets from the `attributes.csv` (and `findings.csv`, where it is there) of `attributes
    mine`; a policy that masks silent axes reads them from `mining.json`.

    Raises:
        DataError: no such file, a missing column, an unknown state or a repeated study, all at
        once. ConfigError: an unknown policy.
    """
    rules = get_policy(policy)
    path = Path(folder) / "attributes.csv"
    problems: list[Problem] = []
    study_ids: list[str] = []
    states: list[list[str]] = []
    if not path.is_file():
        fix = "run `pneumoloc attributes mine REPORTS --out DIR` first"
        raise DataError.from_problems(
            [Problem(str(path), "the table of `attributes mine`", "no such file", fix=fix)]
        )
    with path.open(encoding="utf-8", newline="") as handle:
        rows = csv.reader(handle)
        header = next(rows, [])
        keywords = header[1:]
        if header[:1] != ["study_id"] or not keywords or len(set(keywords)) != len(keywords):
            problem = Problem(
                str(path),
                "study_id and one column a keyword",
                ",".join(header[:5]) or "nothing",
                row=1,
            )
            raise DataError.from_problems([problem])
        seen: set[str] = set()
        for fields in rows:
            if len(fields) != len(header):
                problems.append(
                    Problem(str(path), f"{len(header)} fields", str(len(fields)), row=rows.line_num)
                )
                continue
            if fields[0] in seen:
                problems.append(
                    Problem(
                        str(path),
                        "every study once",
                        f"`{fields[0]}` again",
                        row=rows.line_num,
                        field="study_id",
                    )
                )
            seen.add(fields[0])
            for name, state in zip(keywords, fields[1:], strict=True):
                if state not in STATES:
                    problems.append(
                        Problem(
                            str(path),
                            f"one of {', '.join(STATES)}",
                            f"`{state}`",
                            row=rows.line_num,
                            field=name,
                        )
                    )
            study_ids.append(fields[0])
            states.append(fields[1:])
    if problems:
        raise DataError.from_problems(problems)
    has_finding = may_have_finding = None
    if (Path(folder) / "findings.csv").is_file():
        found = read_studies_with_finding(Path(folder))
        perhaps = read_studies_with_finding(Path(folder), assertions=("present", "uncertain"))
        has_finding = [study_id in found for study_id in study_ids]
        may_have_finding = [study_id in perhaps for study_id in study_ids]
    return targets_from_states(
        study_ids,
        states,
        keywords,
        axes=_read_axes(Path(folder), keywords) if rules.mask_silent_axes else (),
        policy=policy,
        has_finding=has_finding,
        may_have_finding=may_have_finding,
    )


def _read_axes(folder: Path, keywords: Sequence[str]) -> list[str]:
    """The axis of each keyword as the mining noted it."""
    path = folder / "mining.json"
    try:
        axes = json.loads(path.read_text(encoding="utf-8"))["axes"]
        return [str(axes[name]) for name in keywords]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = Problem(
            str(path),
            "the axis of each keyword, as `attributes mine` writes it",
            f"{type(error).__name__}: {error}",
            fix="mine the reports again, or choose the target policy closed-world",
        )
        raise DataError.from_problems([problem]) from error


def read_pneumonia_like(folder: Path) -> frozenset[str]:
    """The names of the pneumonia-like findings in the lexicon that the reports were mined with."""
    try:
        names = json.loads((folder / "mining.json").read_text(encoding="utf-8"))["pneumonia_like"]
        return frozenset(map(str, names))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return frozenset(FORMER_PNEUMONIA_LIKE)


def read_studies_with_finding(
    folder: Path, *, assertions: Sequence[str] = ("present",)
) -> frozenset[str]:
    """The studies of `findings.csv` with a pneumonia-like finding of one of the given assertions.

    `mining.json` names the pneumonia-like findings.

    Raises DataError where the table or one of its columns is missing.
    """
    path = Path(folder) / "findings.csv"
    likes = read_pneumonia_like(Path(folder))
    if not path.is_file():
        raise DataError.from_problems(
            [Problem(str(path), "the table of `attributes mine`", "no such file")]
        )
    with path.open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        missing = {"study_id", "finding", "assertion"} - set(rows.fieldnames or ())
        if missing:
            raise DataError.from_problems(
                [Problem(str(path), f"columns {', '.join(sorted(missing))}", "none such", row=1)]
            )
        return frozenset(
            row["study_id"]
            for row in rows
            if row["finding"] in likes and row["assertion"] in assertions
        )
