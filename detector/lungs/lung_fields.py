"""`LungFields`: where the lungs and the heart lie on one film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.laterality import WHOLE_FILM, LungBorders, Place, places_of
from data_manifests.support.arrays import Bools, Bytes, Floats

RIGHT_LUNG, LEFT_LUNG, HEART = 1, 2, 3
PARTS = {RIGHT_LUNG: "right lung", LEFT_LUNG: "left lung", HEART: "heart"}
ONE_PIXEL = 0.5
# A box taller than this share of the lungs has no single zone: the same as on the average film,
# where the zones are 18 % of its height each.
WHOLE_LUNG_SHARE = WHOLE_FILM.whole_lung / (
    3 * (WHOLE_FILM.lower_starts - WHOLE_FILM.middle_starts)
)
# From the inner edge of a single lung to the midline, as a share of that lung's width. Set by hand.
HALF_MEDIASTINUM = 0.15


@dataclass(frozen=True)
class LungFields:
    """Lungs and heart of one film, as it is displayed.

    `labels` is uint8 (H, W) in film pixels: 0 outside, 1 right lung, 2 left lung (the patient's,
    with the part behind the heart), 3 what the heart shows beside the lungs. `heart` is the one box
    around the whole heart. A score is the mean probability of the pixels of that part, None where
    it was not found. `reason` says why a lung is missing; it is empty where both were found.

    Raises:
        ValueError: another shape or label, a score for a part that is not there or out of range, or
            a missing lung without a reason.
    """

    labels: Bytes
    right_score: float | None
    left_score: float | None
    heart_score: float | None = None
    heart: Boxes | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        if labels.ndim != 2 or labels.dtype != np.uint8 or not labels.size:
            raise ValueError(f"labels must be uint8 (H, W), but got {labels.dtype} {labels.shape}")
        present = set(np.unique(labels).tolist())
        if not present <= {0, *PARTS}:
            raise ValueError(f"labels must be 0 to 3, but got {sorted(present)}")
        for part, name in PARTS.items():
            score = self.score_of(part)
            is_there = self.heart is not None if part == HEART else part in present
            if (score is not None) != is_there:
                what = "a box" if part == HEART else "pixels"
                raise ValueError(f"the {name} must have both {what} and a score, or neither")
            if score is not None and not 0 <= score <= 1:
                raise ValueError(f"the score of the {name} must be in [0, 1], but got {score}")
        if self.heart is None and HEART in present:
            raise ValueError("a heart with pixels must have a box")
        if self.heart is not None and (len(self.heart), self.heart.width, self.heart.height) != (
            1,
            labels.shape[1],
            labels.shape[0],
        ):
            raise ValueError("heart must be one box of this film")
        if bool(self.reason) == self.is_complete:
            raise ValueError("reason must say why a lung is missing, and only then")
        labels = labels.copy()
        labels.setflags(write=False)
        object.__setattr__(self, "labels", labels)

    @property
    def width(self) -> int:
        return int(self.labels.shape[1])

    @property
    def height(self) -> int:
        return int(self.labels.shape[0])

    @property
    def is_found(self) -> bool:
        """Whether there is at least one lung."""
        return self.right_score is not None or self.left_score is not None

    @property
    def is_complete(self) -> bool:
        """Whether both lungs were found."""
        return self.right_score is not None and self.left_score is not None

    def score_of(self, part: int) -> float | None:
        """The score of RIGHT_LUNG, LEFT_LUNG or HEART."""
        return {RIGHT_LUNG: self.right_score, LEFT_LUNG: self.left_score}.get(
            part, self.heart_score
        )

    @cached_property
    def borders(self) -> LungBorders:
        """Midline and zones of these lungs; those of the average film where none was found.

        Zones are thirds of the height from the mean top to the mean bottom of the lungs. The
        midline lies half-way between the lungs in the median row that has both.
        """
        if not self.is_found:
            return WHOLE_FILM
        found = [part for part in (RIGHT_LUNG, LEFT_LUNG) if self.score_of(part) is not None]
        rows = [np.flatnonzero((self.labels == part).any(axis=1)) for part in found]
        top = float(np.mean([lung[0] for lung in rows]))
        bottom = float(np.mean([lung[-1] + 1 for lung in rows]))
        third = (bottom - top) / 3 / self.height
        starts = top / self.height + third
        return LungBorders(
            midline=float(np.clip(self._midline() / self.width, 0.01, 0.99)),
            middle_starts=float(starts),
            lower_starts=float(starts + third),
            whole_lung=float(3 * third * WHOLE_LUNG_SHARE),
        )

    def places(self, xyxy: Floats | Sequence[Sequence[float]]) -> list[Place]:
        """Side and zone of N boxes (N, 4) in film pixels, relative to these lungs."""
        return places_of(xyxy, self.width, self.height, self.borders)

    def point_place(self, x: float, y: float) -> Place:
        """Side and zone of a point in film pixels."""
        return self.places([(x - ONE_PIXEL, y - ONE_PIXEL, x + ONE_PIXEL, y + ONE_PIXEL)])[0]

    def _midline(self) -> float:
        """The x between the lungs, px."""
        right, left = self.labels == RIGHT_LUNG, self.labels == LEFT_LUNG
        inner_right = self.width - _first(right[:, ::-1])
        inner_left = _first(left)
        both = right.any(axis=1) & left.any(axis=1)
        if both.any():
            return float(np.median((inner_right + inner_left)[both]) / 2)
        columns = np.flatnonzero((right | left).any(axis=0))
        gap = HALF_MEDIASTINUM * (columns[-1] + 1 - columns[0])
        if self.is_complete:  # one above the other: a film on its side
            return self.width / 2
        if self.right_score is not None:
            return float(np.median(inner_right[right.any(axis=1)]) + gap)
        return float(np.median(inner_left[left.any(axis=1)]) - gap)


def _first(mask: Bools) -> Floats:
    """Column of the first true pixel of each row; 0 in rows without one."""
    columns: Floats = mask.argmax(axis=1).astype(np.float64)
    return columns
