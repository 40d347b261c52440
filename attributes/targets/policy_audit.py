"""What a target policy costs: targets from reports against what the films truly show.

Only a phantom knows the truth: its `labels.csv` has a column `kw_<keyword>` for every keyword.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attributes.targets.policies import POLICIES
from attributes.targets.training_targets import Targets, read_targets
from data_manifests.support.arrays import Bools
from data_manifests.support.errors import DataError, Problem


@dataclass(frozen=True)
class PolicyAudit:
    """One policy over all studies and keywords.

    `positives`, `negatives`, `masked`: targets of each sort. `wrong_positives` are positive targets
    that the film does not show, `missed` negative targets that it does show; None without truth.
    """

    policy: str
    positives: int
    negatives: int
    masked: int
    wrong_positives: int | None = None
    missed: int | None = None

    @property
    def error_rate(self) -> float | None:
        """Wrong targets over targets that count in the loss; None without truth or targets."""
        known = self.positives + self.negatives
        if self.wrong_positives is None or self.missed is None or not known:
            return None
        return (self.wrong_positives + self.missed) / known


def audit_policies(mined: Path, manifest: Path | None = None) -> list[PolicyAudit]:
    """Every policy on a mined folder, against the truth in the labels of `manifest` where given.

    Raises:
        DataError: unreadable tables, a manifest without truth, or no study in common.
    """
    audits: list[PolicyAudit] = []
    truth = None if manifest is None else read_true_keywords(manifest)
    for name in POLICIES:
        targets = read_targets(mined, policy=name)
        known = targets.mask > 0
        positive = known & (targets.targets > 0)
        counts = (int(positive.sum()), int((known & ~positive).sum()), int((~known).sum()))
        if truth is None:
            audits.append(PolicyAudit(name, *counts))
            continue
        shown, compared = _shown(targets, truth)
        wrong = int((positive & ~shown & compared[:, None]).sum())
        missed = int((known & ~positive & shown & compared[:, None]).sum())
        audits.append(PolicyAudit(name, *counts, wrong_positives=wrong, missed=missed))
    return audits


def read_true_keywords(manifest: Path) -> Mapping[str, frozenset[str]]:
    """study_id -> keywords that its films show. Raises DataError without `kw_` columns."""
    from data_manifests.tables.manifest import read_manifest

    tables = read_manifest(manifest)
    columns = [name for name in tables.labels.columns if name.startswith("kw_")]
    if not columns:
        problem = Problem(
            str(manifest / "labels.csv"),
            "true keywords in columns such as kw_left",
            "none",
            fix="only a phantom knows them: `pneumoloc manifest build phantom`",
        )
        raise DataError.from_problems([problem])
    joined = tables.images[["image_id", "study_id"]].merge(tables.labels, on="image_id")
    truth: dict[str, set[str]] = {}
    for row in joined[["study_id", *columns]].to_dict("records"):
        shown = {name.removeprefix("kw_") for name in columns if float(row[name]) > 0}
        truth.setdefault(str(row["study_id"]), set()).update(shown)
    return {study_id: frozenset(shown) for study_id, shown in truth.items()}


def audit_text(audits: list[PolicyAudit]) -> str:
    """The audits as a table for a terminal."""
    lines = ["policy              positives  negatives   masked  wrong pos.   missed  error rate"]
    for audit in audits:
        rate = "–" if audit.error_rate is None else f"{audit.error_rate:.4f}"
        wrong = "–" if audit.wrong_positives is None else str(audit.wrong_positives)
        missed = "–" if audit.missed is None else str(audit.missed)
        lines.append(
            f"{audit.policy:19}{audit.positives:10}{audit.negatives:11}{audit.masked:9}"
            f"{wrong:>12}{missed:>9}{rate:>12}"
        )
    return "\n".join(lines)


def _shown(targets: Targets, truth: Mapping[str, frozenset[str]]) -> tuple[Bools, Bools]:
    """(S, K) what the films show, and (S,) whether the truth knows the study."""
    compared = np.array([study_id in truth for study_id in targets.study_ids], dtype=np.bool_)
    if not compared.any():
        raise DataError("targets and truth: expected common study ids, got none")
    empty = frozenset[str]()
    shown = [
        [name in truth.get(study_id, empty) for name in targets.keywords]
        for study_id in targets.study_ids
    ]
    return np.array(shown, dtype=np.bool_), compared
