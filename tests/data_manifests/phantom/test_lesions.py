"""Planted opacities: tight boxes, kept inside the lung, textures that look as called."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from data_manifests.phantom.case import (
    Case,
    PhantomOptions,
    make_case,
    render_anatomy,
    render_pixels,
)
from data_manifests.phantom.lesions import BOX_TAIL, render_opacity, tight_box
from data_manifests.phantom.plan import RIGHT, Blob, OpacityPlan
from data_manifests.phantom.pose import FloatField
from data_manifests.support.arrays import Floats


def share_inside(field: Floats, boxes: Floats) -> float:
    """Slow: the share of the field's mass in the union of boxes, pixel by pixel."""
    inside = 0.0
    for row in range(field.shape[0]):
        for column in range(field.shape[1]):
            x, y = column + 0.5, row + 0.5
            if any(b[0] - 0.5 <= x <= b[2] + 0.5 and b[1] - 0.5 <= y <= b[3] + 0.5 for b in boxes):
                inside += float(field[row, column])
    return inside / float(field.sum())


def test_boxes_hold_nine_tenths_of_what_the_opacity_changes_on_the_film(
    cases: list[Case], options: PhantomOptions
) -> None:
    checked = 0
    for case in cases:
        if not case.truth.has_opacity or checked == 12:
            continue
        checked += 1
        _, anatomy = render_anatomy(options, case.index, case.plan)
        added = case.opacity.added
        # The sixteen-bit film has the same noise with and without, so only the opacity differs.
        fine = replace(options, bits=16)
        with_it = render_pixels(fine, case.index, case.plan, anatomy, added)
        without = render_pixels(fine, case.index, case.plan, anatomy, np.zeros_like(added))
        difference = np.abs(with_it.astype(np.float64) - without.astype(np.float64))
        assert share_inside(difference, case.opacity.boxes) >= 0.90
        assert share_inside(added.astype(np.float64), case.opacity.boxes) >= 0.92
    assert checked == 12


def test_boxes_are_no_larger_than_the_visible_opacity(cases: list[Case]) -> None:
    for case in cases:
        for region in case.opacity.regions:
            rows, columns = np.nonzero(region.added > 0.02 * region.added.max())
            x1, y1, x2, y2 = region.box
            assert x1 >= columns.min() - 0.01
            assert x2 <= columns.max() + 1.01
            assert y1 >= rows.min() - 0.01
            assert y2 <= rows.max() + 1.01


def test_the_box_of_an_even_rectangle_is_the_rectangle_less_its_tails() -> None:
    field = np.zeros((60, 80), dtype=np.float32)
    field[10:50, 20:60] = 0.3
    cut = 40 * BOX_TAIL
    assert tight_box(field) == pytest.approx((20 + cut, 10 + cut, 60 - cut, 50 - cut))


def test_the_box_of_two_rectangles_weighs_their_mass() -> None:
    field = np.zeros((10, 100), dtype=np.float32)
    field[:, 10:20] = 1.0
    field[:, 80:81] = 0.05  # 0.5 % of the mass: less than a tail, so not worth a wider box
    assert tight_box(field)[2] < 20.0


def test_boxes_of_one_side_never_overlap(cases: list[Case]) -> None:
    for case in cases:
        for i, a in enumerate(case.opacity.regions):
            for b in case.opacity.regions[i + 1 :]:
                if a.side == b.side:
                    apart_x = a.box[2] <= b.box[0] or b.box[2] <= a.box[0]
                    apart_y = a.box[3] <= b.box[1] or b.box[3] <= a.box[1]
                    assert apart_x or apart_y


def test_overlapping_blobs_become_one_box() -> None:
    case = make_case(PhantomOptions(size=64, prevalence=0.0, seed=1), 0)
    body, _ = render_anatomy(PhantomOptions(size=64, prevalence=0.0, seed=1), 0, case.plan)
    one = Blob(RIGHT, "middle", 0.5, 0.45, 0.08, 0.10, 0.0, 0.4)
    near, far = replace(one, t=0.58), replace(one, t=0.95, half_height=0.05)
    for second, count in ((near, 1), (far, 2)):
        plan = OpacityPlan("multifocal", "dense", (one, second), 0.0)
        opacity = render_opacity(body, plan, np.random.default_rng(0))
        assert len(opacity.regions) == count


def test_opacities_stay_inside_the_lung_they_belong_to(
    cases: list[Case], options: PhantomOptions
) -> None:
    for case in cases[:20]:
        body, _ = render_anatomy(options, case.index, case.plan)
        for region in case.opacity.regions:
            outside = body.lungs[region.side] < 1e-3
            assert float(region.added[outside].sum()) <= 1e-3 * float(region.added.sum())


def one_blob(texture: str, density: float = 0.4) -> FloatField:
    """The attenuation of one large blob with this texture, 160 pixels wide."""
    options = PhantomOptions(size=160, prevalence=0.0, seed=1)
    case = make_case(options, 0)
    body, _ = render_anatomy(options, 0, case.plan)
    blob = Blob(RIGHT, "middle", 0.5, 0.5, 0.12, 0.18, 0.0, density)
    plan = OpacityPlan("focal", texture, (blob,), 0.0)
    return render_opacity(body, plan, np.random.default_rng(3)).added


def roughness(added: FloatField, sigma: float) -> float:
    """Share of the field's variation finer than `sigma` pixels."""
    smooth = cv2.GaussianBlur(added, (0, 0), sigma)
    return float(np.std(added - smooth) / np.std(added))


def test_fine_textures_are_rougher_than_even_ones() -> None:
    even = max(roughness(one_blob(name), 3.0) for name in ("dense", "hazy"))
    for name in ("interstitial", "streaky", "nodular"):
        assert roughness(one_blob(name), 3.0) > 1.8 * even
    assert roughness(one_blob("patchy"), 6.0) > 1.3 * max(
        roughness(one_blob(name), 6.0) for name in ("dense", "hazy")
    )


def test_hazy_is_fainter_than_dense() -> None:
    assert one_blob("hazy").max() < 0.75 * one_blob("dense").max()


def test_streaks_run_across_rather_than_down() -> None:
    field = one_blob("streaky")
    across, down = np.abs(np.diff(field, axis=1)).sum(), np.abs(np.diff(field, axis=0)).sum()
    assert down > 1.25 * across  # brightness changes faster down than along the strands


def test_denser_plans_add_more_and_never_exceed_a_filled_lung() -> None:
    sums = [float(one_blob("dense", density).sum()) for density in (0.1, 0.3, 0.9)]
    assert sums == sorted(sums)
    assert one_blob("dense", 50.0).max() <= 0.68 + 1e-6


def test_a_plain_threshold_does_not_find_the_opacities() -> None:
    options = PhantomOptions(size=96, domain="A", seed=8, prevalence=1.0)
    found, boxes = 0, 0
    for index in range(12):
        case = make_case(options, index)
        best = 0.0
        blurred = cv2.GaussianBlur(case.pixels, (0, 0), 1.0)
        for level in np.quantile(blurred, (0.4, 0.5, 0.6, 0.7, 0.8)):
            _, _, parts, _ = cv2.connectedComponentsWithStats((blurred > level).astype(np.uint8))
            for x, y, width, height, _ in parts[1:]:
                part = np.array([[x, y, x + width, y + height]], dtype=np.float64)
                best = max(best, iou(part[0], case.opacity.boxes[0]))
        found += best >= 0.5
        boxes += 1
    assert found / boxes <= 0.4  # even with the best of five levels and of all components


def iou(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return float(width * height / union)
