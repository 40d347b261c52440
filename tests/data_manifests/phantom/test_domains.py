"""Hospital A stays, hospital B moves in straight lines; at shift 0 they are one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.phantom.domains import HOSPITAL_A, HOSPITAL_B, TEXTURES, ZONES, domain_at
from data_manifests.support.errors import ConfigError


def test_at_shift_zero_both_hospitals_draw_from_equal_distributions() -> None:
    assert domain_at("B", 0.0) == domain_at("A", 0.0)


def test_hospital_a_never_moves() -> None:
    assert {domain_at("A", shift) for shift in (0.0, 0.3, 1.0)} == {HOSPITAL_A}


def test_hospital_b_moves_in_straight_lines_to_its_own_numbers() -> None:
    assert domain_at("B", 1.0) == HOSPITAL_B
    quarter = domain_at("B", 0.25)
    for field in fields(quarter):
        start = np.array(getattr(HOSPITAL_A, field.name))
        end = np.array(getattr(HOSPITAL_B, field.name))
        assert np.allclose(getattr(quarter, field.name), start + 0.25 * (end - start))


def test_every_number_differs_between_the_hospitals() -> None:
    for field in fields(HOSPITAL_A):
        assert getattr(HOSPITAL_A, field.name) != getattr(HOSPITAL_B, field.name), field.name


def test_weights_cover_all_zones_and_textures() -> None:
    for domain in (HOSPITAL_A, HOSPITAL_B):
        assert len(domain.zones) == len(ZONES)
        assert len(domain.textures) == len(TEXTURES)
        assert min(*domain.zones, *domain.textures, *domain.sides, *domain.extents) > 0


def test_grey_levels_agree_at_shift_zero_and_part_with_the_shift() -> None:
    def lung_grey(domain: str, shift: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        options = PhantomOptions(size=64, domain=domain, shift=shift, seed=6, prevalence=0.0)
        return np.array([make_case(options, i).pixels[20:40, 8:24].mean() for i in range(20)])

    a, b0, b1 = lung_grey("A", 0.0), lung_grey("B", 0.0), lung_grey("B", 1.0)
    standard_error = np.sqrt(a.var() / 20 + b0.var() / 20)
    assert abs(a.mean() - b0.mean()) < 4 * standard_error
    assert abs(a.mean() - b1.mean()) > 4 * standard_error


@pytest.mark.parametrize(("name", "shift"), [("C", 0.5), ("B", -0.1), ("B", 1.1)])
def test_unknown_hospitals_and_shifts_are_refused(name: str, shift: float) -> None:
    with pytest.raises(ConfigError, match="phantom"):
        domain_at(name, shift)
