"""`make_case`: one phantom film from (seed, index), the same in any order and process."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_manifests.phantom.anatomy import Anatomy, draw_anatomy
from data_manifests.phantom.body import Body, place_body
from data_manifests.phantom.distractors import draw_distractors
from data_manifests.phantom.domains import DOMAIN_NAMES, Domain, domain_at
from data_manifests.phantom.exposure import Exposure, GreyLevels, draw_exposure, expose, quantize
from data_manifests.phantom.lesions import Opacity, render_opacity
from data_manifests.phantom.plan import Distractors, OpacityPlan, plan_distractors, plan_opacity
from data_manifests.phantom.pose import FloatField, Pose
from data_manifests.phantom.reports import Report, write_report
from data_manifests.phantom.skeleton import draw_skeleton
from data_manifests.phantom.truth import Truth, measure_truth
from data_manifests.phantom.vessels import draw_vessels
from data_manifests.support.errors import ConfigError

MIN_SIZE, MAX_SIZE = 64, 4096
NO_OPACITY = OpacityPlan(extent="", texture="", blobs=(), softness=0.0)

# One random stream for each part, so that a change in one part leaves the others as they were.
(
    _PATIENT,
    _VISITS,
    _POSE,
    _PLAN,
    _DISTRACT,
    _EXPOSE,
    _PAINT,
    _BONES,
    _VESSELS,
    _DEVICES,
    _NOISE,
    _WORDS,
    _SPLIT,
    _DESCRIBED,
) = range(14)

# Patients come in blocks of six films, so film i knows its patient without its predecessors.
BLOCK = 6
_BLOCK_PATTERNS = ((1, 2, 3), (2, 1, 1, 2), (1, 1, 1, 3), (2, 2, 2), (1, 1, 1, 1, 1, 1), (3, 1, 2))


@dataclass(frozen=True)
class PhantomOptions:
    """What to generate. Equal options and seed give identical films."""

    size: int = 256
    domain: str = "A"
    shift: float = 1.0  # how far hospital B is from A; A ignores it
    seed: int = 0
    prevalence: float = 0.5  # share of films with an opacity
    bits: int = 8

    def __post_init__(self) -> None:
        problems = []
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            problems.append(f"size: expected {MIN_SIZE}..{MAX_SIZE} pixels, got {self.size}")
        if self.domain not in DOMAIN_NAMES:
            problems.append(f"domain: expected A or B, got {self.domain!r}")
        if not 0.0 <= self.shift <= 1.0:
            problems.append(f"shift: expected 0..1, got {self.shift}")
        if self.seed < 0:
            problems.append(f"seed: expected 0 or more, got {self.seed}")
        if not 0.0 <= self.prevalence <= 1.0:
            problems.append(f"prevalence: expected 0..1, got {self.prevalence}")
        if self.bits not in (8, 16):
            problems.append(f"bits: expected 8 or 16, got {self.bits}")
        if problems:
            raise ConfigError("phantom options: " + "; ".join(problems))

    def parameters(self) -> Domain:
        """The numbers of the chosen hospital at the chosen shift."""
        return domain_at(self.domain, self.shift)


@dataclass(frozen=True)
class CasePlan:
    """Everything that is decided before a pixel is drawn."""

    patient: int
    visit: int
    anatomy: Anatomy
    pose: Pose
    breath: float
    is_rotated: bool
    is_clipped: bool
    opacity: OpacityPlan
    distractors: Distractors
    exposure: Exposure


@dataclass(frozen=True)
class Case:
    """One finished film with its truth and its report."""

    index: int
    plan: CasePlan
    pixels: GreyLevels  # (size, size)
    opacity: Opacity
    truth: Truth
    report: Report


def patient_of(options: PhantomOptions, index: int) -> tuple[int, int]:
    """The patient's number and which of their films (0, 1, 2) film `index` is."""
    block, within = divmod(index, BLOCK)
    pattern = _BLOCK_PATTERNS[int(_rng(options, _VISITS, block).integers(len(_BLOCK_PATTERNS)))]
    for patient, films in enumerate(pattern):
        if within < films:
            return block * BLOCK + patient, within
        within -= films
    raise ValueError("block patterns must sum to the block's length")


def split_number(options: PhantomOptions, patient: int) -> float:
    """A number in [0, 1) that decides the patient's split."""
    return float(_rng(options, _SPLIT, patient).random())


def plan_case(options: PhantomOptions, index: int) -> CasePlan:
    """Decide film `index` of the series."""
    domain = options.parameters()
    patient, visit = patient_of(options, index)
    anatomy = draw_anatomy(
        _rng(options, _PATIENT, patient), fat_mean=domain.fat, heart_mean=domain.heart
    )
    rng = _rng(options, _POSE, index)
    normal, chance = rng.standard_normal(6), rng.random(6)
    is_rotated = bool(chance[0] < domain.p_rotated)
    is_clipped = bool(chance[1] < domain.p_clipped)
    turn = float(np.sign(chance[2] - 0.5))
    pose = Pose(
        rotation_deg=float(
            domain.rotation_deg * normal[0] + is_rotated * turn * (5 + 5 * chance[3])
        ),
        shift_x=float(0.014 * normal[1] + is_clipped * 0.07 * np.sign(chance[4] - 0.5)),
        shift_y=float(0.014 * normal[2] + is_clipped * 0.07 * np.sign(chance[5] - 0.5)),
        scale=float(
            np.clip(domain.scale + 0.03 * normal[3], 0.88, 1.10) * (1.0 + 0.08 * is_clipped)
        ),
        yaw=float(np.clip(domain.yaw * normal[4] + 0.8 * turn * is_rotated, -1.0, 1.0)),
    )
    breath = float(np.clip(domain.breath + 0.05 * normal[5], 0.78, 1.08))
    rng = _rng(options, _PLAN, index)
    has_opacity = bool(rng.random() < options.prevalence)
    opacity = plan_opacity(rng, domain) if has_opacity else NO_OPACITY
    distractors = plan_distractors(_rng(options, _DISTRACT, index), domain)
    if distractors.effusion_side in {blob.side for blob in opacity.blobs}:
        # A large effusion would hide the opacity that the truth and the report still name.
        distractors = replace(distractors, effusion_size=0.3 * distractors.effusion_size)
    if distractors.is_rib_dense:
        anatomy = replace(anatomy, rib_density=anatomy.rib_density * 1.6)
    if distractors.has_congestion:
        anatomy = replace(anatomy, vessel_density=anatomy.vessel_density * 1.55)
    return CasePlan(
        patient=patient,
        visit=visit,
        anatomy=anatomy,
        pose=pose,
        breath=breath,
        is_rotated=is_rotated,
        is_clipped=is_clipped,
        opacity=opacity,
        distractors=distractors,
        exposure=draw_exposure(_rng(options, _EXPOSE, index), domain),
    )


def make_case(options: PhantomOptions, index: int) -> Case:
    """Make film `index` alone: pixels, planted opacity, truth and report."""
    plan = plan_case(options, index)
    body, anatomy = render_anatomy(options, index, plan)
    opacity = render_opacity(body, plan.opacity, _rng(options, _PAINT, index))
    truth = measure_truth(body, opacity, plan.opacity.extent, plan.opacity.texture)
    report = write_report(
        _rng(options, _WORDS, index),
        truth,
        plan.distractors,
        plan.anatomy,
        low_volumes=plan.breath < 0.90,
    )
    pixels = render_pixels(options, index, plan, anatomy, opacity.added)
    return Case(index, plan, pixels, opacity, truth, report)


def render_anatomy(options: PhantomOptions, index: int, plan: CasePlan) -> tuple[Body, FloatField]:
    """The body and the attenuation of everything but the opacity, float32 (size, size)."""
    body = place_body(
        plan.anatomy, plan.pose, plan.breath, plan.distractors.heart_scale, options.size
    )
    attenuation = body.attenuation + draw_skeleton(body, _rng(options, _BONES, plan.patient))
    attenuation += draw_vessels(body, _rng(options, _VESSELS, plan.patient))
    attenuation += draw_distractors(body, plan.distractors, device_generator(options, index))
    return body, attenuation


def render_pixels(
    options: PhantomOptions, index: int, plan: CasePlan, anatomy: FloatField, added: FloatField
) -> GreyLevels:
    """Expose the film. With `added` all zero this is the same film without its opacity."""
    film = expose(anatomy, added, plan.exposure, _rng(options, _NOISE, index))
    return quantize(film, options.bits)


def device_generator(options: PhantomOptions, index: int) -> np.random.Generator:
    """The generator that draws the distractors of film `index`, from its start."""
    return _rng(options, _DEVICES, index)


def described_generator(options: PhantomOptions, index: int) -> np.random.Generator:
    """The generator of what film `index` has more in the series of described films."""
    return _rng(options, _DESCRIBED, index)


def _rng(options: PhantomOptions, stream: int, index: int) -> np.random.Generator:
    """A separate generator for each (seed, hospital, part, number).

    The hospital is part of the key: at shift 0 the two have equal distributions but not equal
    films, so training on one and testing on the other stays honest. The shift is not part of it:
    the same case can be watched while the shift grows.
    """
    key = (options.seed, DOMAIN_NAMES.index(options.domain), stream, index)
    return np.random.default_rng(np.random.SeedSequence(key))
