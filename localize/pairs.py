"""`Pairs`: films of a ROI store with the words of their reports, what the localizer trains on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attributes.targets import Targets, get_policy
from data_manifests.errors import DataError, Problem
from data_manifests.manifest import Manifest
from detector.roi_store import DONE, TODO, RoiStore


@dataclass(frozen=True)
class Pairs:
    """P films of a store.

    `rows` (P,) rows of the store; `patient_ids` tell whether two sets share a patient; `targets`
    and `mask` (P, K) the attribute targets and whether they are known; `boxes` the true boxes of
    each film, (G, 4) film pixels, None where not known.
    """

    rows: NDArray[np.int64]
    image_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    targets: NDArray[np.float32]
    mask: NDArray[np.float32]
    boxes: tuple[NDArray[np.float64] | None, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def words(self) -> NDArray[np.bool_]:
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
    row_of = {image_id: row for row, image_id in enumerate(store.image_ids())}
    status = store.status()
    study_row = targets.row_of
    true_boxes = manifest.boxes_by_image()
    # Attributes belong to findings, so an attribute says that there is one. `has_finding` knows
    # present ones only: it would turn a film with a hedge that the policy counts into a normal one.
    named = targets.has_attribute
    is_normal = ~named if targets.has_finding is None else ~named & ~targets.has_finding
    wanted = named | is_normal if include_normal else named
    rows, image_ids, patient_ids, studies, boxes, problems = [], [], [], [], [], []
    for image_id, patient_id, study_id in zip(
        manifest.images["image_id"],
        manifest.images["patient_id"],
        manifest.images["study_id"],
        strict=True,
    ):
        study = study_row.get(study_id)
        if study is None or not wanted[study]:
            continue
        row = row_of.get(image_id)
        if row is None or status[row] == TODO:
            problems.append(
                Problem(
                    file=str(store.folder),
                    field="image_ids" if row is None else "status",
                    expected="the regions of every film of the manifest",
                    got=f"no {image_id}" if row is None else f"{image_id} still to be done",
                    fix="run `pneumoloc detector propose` on this manifest",
                )
            )
            continue
        if status[row] == DONE:
            rows.append(row)
            image_ids.append(image_id)
            patient_ids.append(patient_id)
            studies.append(study)
            boxes.append(true_boxes.get(image_id))
    if problems:
        raise DataError.from_problems(problems)
    if not rows:
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
    chosen = np.array(studies)
    known = targets.mask
    if get_policy(targets.policy).unmentioned is None:
        # Silence about a finding's attributes is no evidence; a report without findings is.
        known = np.where(named[:, None], known, np.float32(1))
    return Pairs(
        rows=np.array(rows, np.int64),
        image_ids=tuple(image_ids),
        patient_ids=tuple(patient_ids),
        targets=targets.targets[chosen],
        mask=known[chosen],
        boxes=tuple(boxes),
    )
