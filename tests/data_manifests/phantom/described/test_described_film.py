"""Described films: the report names each finding, and every mention has its own boxes."""

from __future__ import annotations

import numpy as np
import pytest

from attributes import structure_report
from data_manifests.boxes import Boxes
from data_manifests.laterality import SIDES_ACROSS_FILM
from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.phantom.described.film import make_described_film
from data_manifests.phantom.described.findings import finding_boxes

OPTIONS = PhantomOptions(size=64, seed=3, prevalence=0.8)


@pytest.fixture(scope="module")
def films():
    return [make_described_film(OPTIONS, index) for index in range(24)]


def test_the_structurer_reads_every_mention_with_its_assertion(films):
    for film in films:
        findings = structure_report(film.text)
        for mention in film.mentions:
            read = [one for one in findings if one.start < mention.end and one.end > mention.start]
            assert [one.assertion for one in read] == [mention.assertion], film.text


def test_only_present_findings_have_boxes_and_these_lie_in_the_film(films):
    mentions = [mention for film in films for mention in film.mentions]
    assert {mention.assertion for mention in mentions} == {"present", "absent", "resolved"}
    for mention in mentions:
        assert (len(mention.boxes) > 0) == (mention.assertion == "present")
        Boxes(mention.boxes, 64, 64)


def test_a_stated_side_is_the_side_of_the_lung_under_the_box(films):
    seen = 0
    for film in films:
        for finding in structure_report(film.text):
            sides = {"left", "right"} & set(finding.attribute_names)
            if finding.finding != "effusion" or finding.assertion != "present" or not sides:
                continue
            mention = next(one for one in film.mentions if one.start == finding.start)
            x1, y1, x2, y2 = mention.boxes[0].round().astype(int)
            inside = film.lungs[y1:y2, x1:x2]
            most = SIDES_ACROSS_FILM[int((inside == 2).sum() > (inside == 1).sum())]
            assert {most} == sides
            seen += 1
    assert seen > 3


def test_a_film_is_the_same_each_time_and_not_that_of_the_other_series():
    first, again = (make_described_film(OPTIONS, 5) for _ in range(2))
    assert first.text == again.text
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.pixels != make_case(OPTIONS, 5).pixels).any()


def test_a_finding_that_leaves_no_trace_has_no_box():
    from data_manifests.phantom.case import plan_case, render_anatomy

    plan = plan_case(OPTIONS, 1)
    body, _ = render_anatomy(OPTIONS, 1, plan)
    from dataclasses import replace

    tiny = replace(
        plan.distractors,
        effusion_side=None,
        atelectasis_side=None,
        has_cardiomegaly=False,
        nodule_side=0,
        nodule_radius=1e-4,
    )
    assert not finding_boxes(body, tiny, lambda: np.random.default_rng(0))
