"""`read_report_words`: a film's mined report as keywords."""

from __future__ import annotations

import numpy as np
import pytest

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from localize.adaptation.report_words import read_report_words
from tests.localize.models import film_manifest, write_films

TEXTS = {
    "one side": "Patchy opacity in the left lower zone.",
    "both": "Bilateral opacities.",
    "hedged": "Possible left opacity.",
    "denied": "No opacity.",
}


@pytest.fixture
def mined(tmp_path):
    source = tmp_path / "reports.csv"
    source.write_text("study_id,text\n" + "".join(f"{k},{v}\n" for k, v in TEXTS.items()))
    mine_reports(source, tmp_path / "mined", lexicon=load_lexicon("en"))
    return tmp_path / "mined"


@pytest.fixture
def films(tmp_path):
    """A film for each report, the last without one."""
    paths = write_films(tmp_path / "films", [(20, 20)] * (len(TEXTS) + 1))
    manifest = film_manifest(tmp_path / "films", paths)
    manifest.images["study_id"] = [*TEXTS, "no report"]
    return manifest


def test_words_are_those_of_the_report(films, mined):
    found = read_report_words(films, mined)
    assert [one.has_opacity for one in found.reports] == [True, True, None, False, None]
    assert [one.sides for one in found.reports] == [("left",), ("left", "right"), (), (), ()]
    said = [np.array(found.keywords)[one.is_present].tolist() for one in found.reports]
    assert set(said[0]) == {"left", "lower", "patchy"}
    assert said[2:] == [[], [], []]


def test_what_a_report_leaves_out_is_known_to_be_no(films, mined):
    found = read_report_words(films, mined)
    known = dict(zip(found.keywords, found.reports[0].is_known, strict=True))
    assert known["severe"]  # of severity the report says nothing at all
    assert known["upper"]
    (mined / "mining.json").unlink()  # so no policy that asks for axes
    assert read_report_words(films, mined).reports[0].sides == ("left",)
