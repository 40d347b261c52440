"""One film from (seed, index): the same whoever makes it, with the sides and shares asked for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from data_manifests.phantom.case import Case, PhantomOptions, make_case, patient_of, plan_case
from data_manifests.phantom.domains import HOSPITAL_B, Domain
from data_manifests.phantom.plan import LEFT, RIGHT, ZONE_PLACES, Blob, OpacityPlan, plan_opacity
from data_manifests.support.errors import ConfigError

DIGEST = """
import hashlib
from data_manifests.phantom.case import PhantomOptions, make_case
case = make_case(PhantomOptions(size=64, domain="B", seed=11, shift=0.7, prevalence=0.85), 4)
print(hashlib.sha256(case.pixels.tobytes() + case.report.text.encode()).hexdigest())
print(sorted(case.truth.keywords), case.opacity.boxes.tolist())
"""


def test_a_film_made_alone_equals_the_one_made_in_a_series(
    cases: list[Case], options: PhantomOptions
) -> None:
    for index in (37, 4, 11):
        alone = make_case(options, index)
        assert np.array_equal(alone.pixels, cases[index].pixels)
        assert alone.report == cases[index].report
        assert np.array_equal(alone.opacity.boxes, cases[index].opacity.boxes)


def test_the_hash_seed_of_the_interpreter_does_not_matter() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_films_differ_between_indices_seeds_and_hospitals() -> None:
    base = PhantomOptions(size=64, domain="A", shift=0.0, seed=1)
    variants = [(base, 0), (base, 1), (replace(base, seed=2), 0), (replace(base, domain="B"), 0)]
    digests = {hashlib.sha256(make_case(o, i).pixels.tobytes()).hexdigest() for o, i in variants}
    assert len(digests) == 4  # B at shift 0 has A's distribution but films of its own


def test_the_same_case_keeps_its_patient_and_plan_at_another_size(options: PhantomOptions) -> None:
    for index in range(12):
        assert plan_case(options, index) == plan_case(replace(options, size=512), index)


def test_boxes_and_sizes_scale_with_the_film(options: PhantomOptions) -> None:
    for index in (0, 2, 5):
        small, large = (
            make_case(replace(options, size=96), index),
            make_case(replace(options, size=192), index),
        )
        assert len(small.opacity.boxes) == len(large.opacity.boxes)
        assert np.allclose(small.opacity.boxes * 2, large.opacity.boxes, atol=6)


@pytest.mark.parametrize("size", [64, 128, 200])
def test_films_have_the_asked_size_and_use_the_grey_scale(size: int) -> None:
    pixels = make_case(PhantomOptions(size=size, seed=2), 0).pixels
    assert pixels.shape == (size, size)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 30
    assert len(np.unique(pixels)) > 60


def test_sixteen_bits_hold_the_same_film_more_finely(options: PhantomOptions) -> None:
    fine = make_case(replace(options, bits=16), 3).pixels
    coarse = make_case(options, 3).pixels
    assert fine.dtype == np.uint16
    assert np.abs(fine / 257.0 - coarse).max() <= 0.5 + 1e-6


def test_left_opacities_lie_on_the_image_right(cases: list[Case]) -> None:
    seen = {LEFT: 0, RIGHT: 0}
    for case in cases:
        if case.plan.is_clipped or case.plan.is_rotated:
            continue  # there the midline itself is off the middle
        for region in case.opacity.regions:
            centre = (region.box[0] + region.box[2]) / 2 / case.pixels.shape[1]
            assert (centre > 0.5) == (region.side == LEFT)
            seen[region.side] += 1
    assert min(seen.values()) >= 10


def test_true_words_match_where_the_boxes_are(cases: list[Case]) -> None:
    for case in cases:
        x, _ = case.plan.pose.body_grid(case.pixels.shape[0])
        sides = set()
        for x1, y1, x2, y2 in case.opacity.boxes:
            sides.add("left" if x[int((y1 + y2) / 2), int((x1 + x2) / 2)] > 0 else "right")
        words = case.truth.keywords
        assert sides == words & {"left", "right"}
        assert ("bilateral" in words) == (len(sides) == 2)
        assert ("focal" in words) == (len(case.opacity.boxes) == 1 and "diffuse" not in words)
        assert len(words & {"focal", "multifocal", "diffuse"}) == int(bool(sides))
        assert len(words & {"mild", "moderate", "severe"}) == int(bool(sides))


@pytest.mark.parametrize(
    ("zone", "side", "word", "least"),
    [
        ("apical", RIGHT, "apical", 0.8),
        ("apical", LEFT, "upper", 1.0),
        ("upper", LEFT, "upper", 1.0),
        ("middle", RIGHT, "middle", 1.0),
        ("perihilar", RIGHT, "perihilar", 0.8),
        ("lingular", LEFT, "lingular", 0.5),
        ("lower", RIGHT, "lower", 1.0),
        ("basal", LEFT, "basal", 0.8),
        ("retrocardiac", LEFT, "retrocardiac", 0.8),
    ],
)
def test_a_blob_aimed_at_a_zone_lies_in_it(
    zone: str, side: int, word: str, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    (s_low, s_high), (t_low, t_high) = ZONE_PLACES[zone]
    blob = Blob(side, zone, (s_low + s_high) / 2, (t_low + t_high) / 2, 0.08, 0.09, 0.0, 0.4)
    plan = OpacityPlan("focal", "dense", (blob,), 0.0)
    monkeypatch.setattr("data_manifests.phantom.case.plan_opacity", lambda rng, domain: plan)
    films = [make_case(PhantomOptions(size=64, prevalence=1.0, seed=4), i) for i in range(10)]
    assert sum(word in film.truth.keywords for film in films) >= least * len(films)
    assert all(("left", "right")[side == RIGHT] in film.truth.keywords for film in films)


def test_the_prevalence_is_met_within_binomial_limits() -> None:
    films, share = 600, 0.3
    options = PhantomOptions(prevalence=share, seed=5, domain="B", shift=1.0)
    plans = [plan_case(options, index) for index in range(films)]
    counts = {
        share: sum(bool(plan.opacity.blobs) for plan in plans),
        HOSPITAL_B.p_device: sum(bool(plan.distractors.devices) for plan in plans),
        HOSPITAL_B.p_effusion: sum(plan.distractors.effusion_side is not None for plan in plans),
        HOSPITAL_B.p_cardiomegaly: sum(plan.distractors.has_cardiomegaly for plan in plans),
        HOSPITAL_B.p_rotated: sum(plan.is_rotated for plan in plans),
    }
    for chance, count in counts.items():
        assert abs(count - films * chance) < 4.0 * np.sqrt(films * chance * (1 - chance))


def test_every_opacity_asked_for_can_be_seen(cases: list[Case]) -> None:
    for case in cases:
        assert bool(case.plan.opacity.blobs) == case.truth.has_opacity
        assert len(case.opacity.boxes) <= 4


def test_patients_have_one_to_three_consecutive_films() -> None:
    options = PhantomOptions(seed=9)
    films: dict[int, list[int]] = {}
    for index in range(240):
        patient, visit = patient_of(options, index)
        films.setdefault(patient, []).append(index)
        assert visit == len(films[patient]) - 1
    assert {len(visits) for visits in films.values()} == {1, 2, 3}
    assert all(visits[-1] - visits[0] == len(visits) - 1 for visits in films.values())


def test_films_of_one_patient_share_the_build_but_not_the_finding() -> None:
    options = PhantomOptions(seed=9)
    index = next(i for i in range(60) if patient_of(options, i)[1] == 1)
    first, second = plan_case(options, index - 1), plan_case(options, index)
    assert first.anatomy.half_width == second.anatomy.half_width
    assert first.exposure != second.exposure


def test_the_opacity_is_drawn_with_the_same_numbers_whatever_the_shift() -> None:
    mild, full = Domain(), HOSPITAL_B
    for seed in range(20):
        a = plan_opacity(np.random.default_rng(seed), mild)
        b = plan_opacity(np.random.default_rng(seed), replace(mild, density=full.density))
        assert [blob.zone for blob in a.blobs] == [blob.zone for blob in b.blobs]
        for one, other in zip(a.blobs, b.blobs, strict=True):
            assert other.density == pytest.approx(one.density * full.density)


def test_no_large_effusion_hides_an_opacity() -> None:
    options = PhantomOptions(seed=5, domain="B", shift=1.0)
    sizes: dict[bool, list[float]] = {True: [], False: []}
    for plan in (plan_case(options, index) for index in range(400)):
        if plan.distractors.effusion_side is not None:
            is_shared = plan.distractors.effusion_side in {b.side for b in plan.opacity.blobs}
            sizes[is_shared].append(plan.distractors.effusion_size)
    assert max(sizes[True]) <= 0.3
    assert max(sizes[False]) > 0.6


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": 8}, "size"),
        ({"domain": "C"}, "domain"),
        ({"shift": 1.5}, "shift"),
        ({"seed": -1}, "seed"),
        ({"prevalence": 2.0}, "prevalence"),
        ({"bits": 12}, "bits"),
    ],
)
def test_wrong_options_are_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        PhantomOptions(**change)  # type: ignore[arg-type]
