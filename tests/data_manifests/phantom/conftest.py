"""Small phantom cases, made once for all tests of the generator."""

from __future__ import annotations

import pytest

from data_manifests.phantom.case import Case, PhantomOptions, make_case

OPTIONS = PhantomOptions(size=64, domain="B", shift=0.7, seed=11, prevalence=0.85)


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """Sixty films of 64 pixels, most with an opacity."""
    return [make_case(OPTIONS, index) for index in range(60)]


@pytest.fixture(scope="session")
def options() -> PhantomOptions:
    """The options of `cases`."""
    return OPTIONS
