"""`make_described_film`: a phantom film with several findings, and the boxes of each mention.

The films are a series of their own: they use the anatomy and the lesions of `make_case`, with more
findings beside the opacity and with nodules of 17 to 34 mm, which a small film can show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_manifests.phantom.case import (
    PhantomOptions,
    described_generator,
    device_generator,
    plan_case,
    render_anatomy,
    render_pixels,
)
from data_manifests.phantom.described.findings import Mention, finding_boxes, lung_labels
from data_manifests.phantom.described.sentences import describe_film
from data_manifests.phantom.lesions import render_opacity
from data_manifests.phantom.plan import plan_distractors
from data_manifests.phantom.truth import measure_truth
from data_manifests.support.arrays import Bytes

# Shares of films with each finding beside the opacity.
P_EFFUSION, P_NODULE, P_ATELECTASIS, P_CARDIOMEGALY = 0.4, 0.45, 0.35, 0.25
NODULE_RADIUS, NODULE_SPREAD = 0.020, 0.020  # of the frame: 17 mm across, up to 34 mm


@dataclass(frozen=True)
class DescribedFilm:
    """One film with its report.

    Args:
        index: its number in the series.
        patient: number of its patient.
        pixels: grey levels, uint8 (size, size).
        lungs: 0 outside, 1 right lung, 2 left lung, uint8 (size, size).
        text: the report, one section.
        mentions: every finding of the text, in its order.
    """

    index: int
    patient: int
    pixels: Bytes
    lungs: Bytes
    text: str
    mentions: tuple[Mention, ...]


def make_described_film(options: PhantomOptions, index: int) -> DescribedFilm:
    """Make film `index` of the series of `options` (8 bits); equal options give equal films."""
    plan = plan_case(options, index)
    domain = replace(
        options.parameters(),
        p_effusion=P_EFFUSION,
        p_nodule=P_NODULE,
        p_atelectasis=P_ATELECTASIS,
        p_cardiomegaly=P_CARDIOMEGALY,
    )
    rng = described_generator(options, index)
    distractors = plan_distractors(rng, domain)
    size = 0.5 if distractors.effusion_side in {b.side for b in plan.opacity.blobs} else 1.0
    distractors = replace(
        distractors,
        effusion_size=size * distractors.effusion_size,
        nodule_radius=NODULE_RADIUS + NODULE_SPREAD * float(rng.random()),
    )
    plan = replace(plan, distractors=distractors)
    body, anatomy = render_anatomy(options, index, plan)
    opacity = render_opacity(body, plan.opacity, rng)
    truth = measure_truth(body, opacity, plan.opacity.extent, plan.opacity.texture)
    boxes = finding_boxes(body, distractors, lambda: device_generator(options, index))
    description = describe_film(rng, truth, opacity, distractors, boxes)
    return DescribedFilm(
        index=index,
        patient=plan.patient,
        pixels=render_pixels(options, index, plan, anatomy, opacity.added).astype(np.uint8),
        lungs=lung_labels(body),
        text=description.text,
        mentions=description.mentions,
    )
