"""Reports against a checker of their own: regular expressions, not the generator's grammar."""

from __future__ import annotations

import re

import numpy as np
import pytest

from data_manifests.phantom.case import Case, PhantomOptions, make_case, plan_case
from data_manifests.phantom.reports import Report, write_report
from data_manifests.phantom.truth import RegionTruth, Truth

# word pattern -> keywords, from the table of variants of the method
VARIANTS = {
    r"left(-sided)?|l[ul]l": {"left"},
    r"right(-sided)?|r[uml]l": {"right"},
    r"bilateral|both|bibasilar|bibasal|biapical": {"bilateral"},
    r"upper|[rl]ul": {"upper"},
    r"mid|middle|midlungs?|midzones?|rml": {"middle"},
    r"lower|[rl]ll": {"lower"},
    r"basal|bases?|basilar|bibasilar|bibasal": {"basal"},
    r"apical|apex|apices|biapical": {"apical"},
    r"lingula|lingular": {"lingular"},
    r"perihilar|parahilar|hilum|hila": {"perihilar"},
    r"retrocardiac": {"retrocardiac"},
    r"diffuse|widespread|throughout|generalized": {"diffuse"},
    r"focal|localized": {"focal"},
    r"multifocal|scattered|multiple": {"multifocal"},
    r"patchy": {"patchy"},
    r"interstitial|reticular": {"interstitial"},
    r"streaky|linear|strandy": {"streaky"},
    r"nodular|rounded": {"nodular"},
    r"hazy|ground-glass|ill-defined|faint|vague|subtle|indistinct": {"hazy"},
    r"mild|minimal|slight": {"mild"},
    r"moderate": {"moderate"},
    r"severe|marked|massive|large": {"severe"},
    r"extensive": {"severe", "diffuse"},
}
OPACITY = r"opacit(y|ies)|opacification|infiltrates?|consolidations?"
DENIED = r"^no |^negative|^there is no |resolved|resolution|cleared| is clear"
# clauses of other findings in the same sentence: cut from the connecting word to the end
ASIDE = r" (with|and) (?:(?! and | with )[a-z -])*(pleural effusion|atelectasis)"
HEDGES = r"^(possible|questionable|cannot exclude|suspected) "


def stated(report: Report) -> tuple[set[str], set[str]]:
    """Keywords said of the opacity: (all, in firm sentences), re-read from the text alone."""
    everything: set[str] = set()
    firm: set[str] = set()
    for section in report.sections:
        if section.name == "indication":
            continue
        for sentence in re.split(r"(?<=\.)\s+", section.text.lower()):
            clause = re.sub(ASIDE, "", sentence)
            if re.search(DENIED, clause) or not re.search(rf"\b({OPACITY})\b", clause):
                continue
            for pattern, keywords in VARIANTS.items():
                if re.search(rf"(?<![\w-])({pattern})(?![\w-])", clause):
                    everything |= keywords
                    if not re.search(HEDGES, clause):
                        firm |= keywords
    return everything, firm


def made_truth(rng: np.random.Generator) -> Truth:
    """Any consistent truth, without a film."""
    places = {"upper": ("apical",), "middle": ("perihilar", "lingular"), "lower": ("basal",)}
    regions = []
    for _ in range(int(rng.integers(1, 4))):
        side = ("right", "left")[int(rng.integers(2))]
        third = ("upper", "middle", "lower")[int(rng.integers(3))]
        fine = [
            p for p in places[third] if rng.random() < 0.5 and (side, p) != ("right", "lingular")
        ]
        thirds = ("middle", "lower") if third == "middle" and rng.random() < 0.3 else (third,)
        regions.append(RegionTruth(side, thirds, tuple(fine)))
    if rng.random() < 0.25:  # the same place on both sides, as in bibasilar
        fine = [place for place in regions[0].places if place != "lingular"]
        regions = [RegionTruth(s, regions[0].thirds, tuple(fine)) for s in ("right", "left")]
    extent = ("focal" if len(regions) == 1 else "multifocal", "diffuse")[int(rng.random() < 0.3)]
    texture = ("dense", "patchy", "interstitial", "streaky", "nodular", "hazy")[
        int(rng.integers(6))
    ]
    severity = ("mild", "moderate", "severe")[int(rng.integers(3))]
    words = {word for region in regions for word in (region.side, *region.thirds, *region.places)}
    words |= {extent, severity} | ({texture} - {"dense"})
    words |= {"bilateral"} if {"right", "left"} <= words else set()
    return Truth(tuple(regions), frozenset(words), extent, texture, 0.1, 0.1, 0.1)


@pytest.fixture(scope="module")
def written() -> list[tuple[Truth, Report]]:
    """A thousand reports of invented truths with the distractors of hospital B."""
    options = PhantomOptions(domain="B", seed=3)
    plans = [plan_case(options, index) for index in range(100)]
    pairs = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        truth = made_truth(rng)
        plan = plans[seed % len(plans)]
        pairs.append((truth, write_report(rng, truth, plan.distractors, plan.anatomy)))
    return pairs


def test_every_word_about_the_opacity_is_true_of_it(written: list[tuple[Truth, Report]]) -> None:
    for truth, report in written:
        assert stated(report)[0] <= truth.keywords, report.text


def test_the_mentioned_set_is_what_a_reader_finds(written: list[tuple[Truth, Report]]) -> None:
    for _, report in written:
        everything, firm = stated(report)
        assert everything == report.mentioned, report.text
        assert everything - firm == report.hedged, report.text


def test_reports_of_real_cases_are_true_too(cases: list[Case]) -> None:
    for case in cases:
        everything, _ = stated(case.report)
        assert everything == case.report.mentioned <= case.truth.keywords, case.report.text


def test_adjectives_of_an_effusion_are_never_the_opacitys() -> None:
    options = PhantomOptions(domain="B", seed=3)
    plan = next(
        plan
        for plan in (plan_case(options, index) for index in range(200))
        if plan.distractors.effusion_side == 1 and plan.distractors.effusion_size >= 0.65
    )
    truth = Truth(
        (RegionTruth("right", ("upper",), ()),),
        frozenset({"right", "upper", "focal", "mild"}),
        "focal", "dense", 0.1, 0.0, 0.02,
    )  # fmt: skip
    mixed = 0
    for seed in range(200):
        report = write_report(np.random.default_rng(seed), truth, plan.distractors, plan.anatomy)
        assert not report.mentioned & {"left", "severe"}
        mixed += "with large left pleural effusion" in report.text
    assert mixed > 10  # the hard sentences are there


def test_not_everything_is_always_said(written: list[tuple[Truth, Report]]) -> None:
    shares = [len(report.mentioned) / len(truth.keywords) for truth, report in written]
    assert 0.4 < np.mean(shares) < 0.85
    assert min(shares) < 0.3
    assert max(shares) == 1.0


def test_the_language_varies(written: list[tuple[Truth, Report]]) -> None:
    text = " ".join(report.text.lower() for _, report in written)
    for word in ("bibasilar", "rul", "rml", "lingula", "ground-glass", "may represent", "possible",
                 "no focal", "resolved", "indication:", "impression:", "throughout"):  # fmt: skip
        assert word in text, word
    sentences = set(re.split(r"(?<=\.)\s+", text))
    assert len(sentences) > 1000


def test_every_keyword_is_said_by_some_report(written: list[tuple[Truth, Report]]) -> None:
    said = set().union(*(report.mentioned for _, report in written))
    possible = set().union(*(truth.keywords for truth, _ in written))
    assert said == possible


def test_reports_always_have_findings_or_an_impression(written: list[tuple[Truth, Report]]) -> None:
    for _, report in written:
        names = [section.name for section in report.sections]
        assert set(names) & {"findings", "impression"}
        assert len(names) == len(set(names))
        assert all(section.text.strip() for section in report.sections)


def test_sentences_are_spelled_properly(written: list[tuple[Truth, Report]]) -> None:
    for _, report in written:
        for section in report.sections:
            assert "  " not in section.text
            assert not re.search(r"\ba [aeiou]|\ban [bcdfghjklmnpqrstvwxyz]", section.text), section
            assert "{" not in section.text


def test_a_clear_film_is_called_clear() -> None:
    case = make_case(PhantomOptions(size=64, prevalence=0.0, seed=2), 0)
    assert stated(case.report) == (set(), set())
