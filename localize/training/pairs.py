"""`Pairs`: films of a ROI store with the words of their reports, what the localizer trains on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attributes.targets.policies import get_policy
from attributes.targets.training_targets import Targets
from data_manifests.support.arrays import Bools, Floats, Floats32, Ints
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from detector.roi_store import DONE, RoiStore


@dataclass(frozen=True)
class Pairs:
    """P films of a store.

    `rows` (P,) rows of the store; `patient_ids` tell whether two sets share a patient; `targets`
    and `mask` (P, K) the attribute targets and whether they are known; `boxes` the true boxes of
    each film, (G, 4) film pixels, None where not known.
    """

    rows: Ints
    image_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    targets: Floats32
    mask: Floats32
    boxes: tuple[Floats | None, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def words(self) -> Bools:
        """(P, K): the attributes that are present, the paper's T."""
        return np.logical_and(self.targets > 0.5, self.mask > 0)


def make_pairs(
    manifest: Manifest, store: RoiStore, targets: Targets, *, include_normal: bool
) -> Pairs:
    """The films of a manifest that the localizer can learn from.

    As in the paper: films whose report has a finding with at least one attribute (present, or
    hedged where the policy counts that); with `include_normal` also those whose report has no
    present finding (no words, targets zero except for what the report hedges). Films that the
    detector had to skip are left out.

    Raises:
        DataError: no film is left, or a film is not in the store or still to be done there.
    """
    study_row = targets.row_of
    true_boxes = manifest.boxes_by_image()
    # Attributes belong to findings, so an attribute says that there is one. `has_finding` knows
    # present ones only: it would turn a film with a hedge that the policy counts into a normal one.
    named = targets.has_attribute
    is_normal = ~named if targets.has_finding is None else ~named & ~targets.has_finding
    if targets.is_read is not None:
        is_normal &= targets.is_read
    wanted = named | is_normal if include_normal else named
    films = manifest.images[["image_id", "patient_id", "study_id"]]
    studies = np.array([study_row.get(study, -1) for study in films["study_id"]], np.int64)
    films, studies = films[studies >= 0], studies[studies >= 0]
    films, studies = films[wanted[studies]], studies[wanted[studies]]
    rows = store.rows_of(films["image_id"].tolist())
    is_done = store.status()[rows] == DONE
    films, studies, rows = films[is_done], studies[is_done], rows[is_done]
    if not len(rows):
        raise DataError.from_problems(
            [
                Problem(
                    file="attributes.csv",
                    expected="films whose report has a finding and one of the attributes",
                    got=f"none among {len(manifest.images)} films and {len(study_row)} studies",
                    fix="check that study_id agrees between images.csv and the mined reports",
                )
            ]
        )
    known = targets.mask
    if get_policy(targets.policy).unmentioned is None:
        # Silence about a finding's attributes is no evidence; a report without findings is.
        known = np.where(named[:, None], known, np.float32(1))
    return Pairs(
        rows=rows,
        image_ids=tuple(films["image_id"]),
        patient_ids=tuple(films["patient_id"]),
        targets=targets.targets[studies],
        mask=known[studies],
        boxes=tuple(true_boxes.get(image_id) for image_id in films["image_id"]),
    )
