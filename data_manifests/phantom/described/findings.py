"""`FilmFindings`: every finding of a phantom film with its own box, measured on its attenuation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from data_manifests.phantom.body import Body
from data_manifests.phantom.distractors import draw_distractors
from data_manifests.phantom.lesions import tight_box
from data_manifests.phantom.plan import Distractors
from data_manifests.phantom.pose import FloatField
from data_manifests.support.arrays import Bytes, Floats

MIN_ATTENUATION = 2e-5  # mean over the film from which a finding can be seen
LUNG = 0.5  # level of the soft masks
NONE_PLANNED = {"effusion_side": None, "nodule_side": None, "atelectasis_side": None, "devices": ()}


def finding_boxes(
    body: Body, plan: Distractors, rng: Callable[[], np.random.Generator]
) -> Mapping[str, Floats]:
    """The box (1, 4) in film pixels of each planned distractor that can be seen, by its name.

    `rng` gives the generator that the film itself was drawn with, anew at each call.
    """
    fields: dict[str, FloatField] = {}
    for name in ("effusion", "nodule", "atelectasis"):
        side = f"{name}_side"
        if getattr(plan, side) is not None:
            alone = replace(plan, **{**NONE_PLANNED, side: getattr(plan, side)})
            fields[name] = draw_distractors(body, alone, rng())
    if plan.has_cardiomegaly:
        fields["cardiomegaly"] = body.heart
    return {
        name: np.array([tight_box(field)])
        for name, field in fields.items()
        if float(field.mean()) > MIN_ATTENUATION
    }


def lung_labels(body: Body) -> Bytes:
    """0 outside, 1 right lung, 2 left lung, uint8 (size, size)."""
    right, left = (lung > LUNG for lung in body.lungs)
    return np.where(right, 1, np.where(left, 2, 0)).astype(np.uint8)


@dataclass(frozen=True)
class Mention:
    """A finding that a text mentions: its noun at characters `start` to `end`, and its boxes.

    `boxes` (N, 4) in film pixels; none where `assertion` is `absent` or `resolved`.
    """

    finding: str
    assertion: str
    start: int
    end: int
    boxes: Floats

    def moved(self, by: int) -> Mention:
        """The mention in a text with `by` more characters before it."""
        return replace(self, start=self.start + by, end=self.end + by)
