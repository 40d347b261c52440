"""The folder of groundings: written and read back, and what is said of a damaged one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_manifests.support.errors import DataError
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding
from localize.grounding.tables import GROUNDINGS, GroundingWriter, read_groundings, read_info

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=30)


def sentence(text="Left opacity.", boxes=((1.0, 2.0, 30.0, 40.0),), start=0, **known):
    count = len(boxes)
    values = {
        "finding": "opacity",
        "words": "opacity",
        "assertion": "present",
        "attributes": ("left",),
        "why_none": "" if count else "absent",
    }
    return GroundedSentence(
        "findings",
        text,
        start,
        start + len(text),
        xyxy=np.array(boxes, float).reshape(-1, 4),
        scores=np.linspace(0.5, 0.25, count),
        methods=("detector",) * count,
        **{**values, **known},
    )


def write(folder, *groundings, finish=True):
    with GroundingWriter(folder) as writer:
        for one in groundings:
            writer.write(one)
        if finish:
            writer.finish({"bundle_id": "b"})


def test_groundings_come_back_as_they_were_written(tmp_path):
    two = sentence(boxes=((1, 2, 30, 40), (50, 50, 60, 70)))
    film = ReportGrounding("s1", "i1", "a.png", 100, 90, (two, sentence("No.", (), 20)))
    lost = ReportGrounding("s2", "", "", 0, 0, (sentence("No.", (), why_none="no film"),))
    other = ReportGrounding("s1", "i2", "b.png", 100, 90, (two,))
    write(tmp_path / "out", film, lost, other)
    back = list(read_groundings(tmp_path / "out"))
    assert [one.to_dict() for one in back] == [one.to_dict() for one in (film, lost, other)]
    info = read_info(tmp_path / "out")
    assert (info["films"], info["boxes"], info["why_none"]) == (3, 4, {"absent": 1, "no film": 1})


@settings(max_examples=30, deadline=None)
@given(text=TEXT, name=TEXT)
def test_any_text_comes_back(tmp_path_factory, text, name):
    folder = tmp_path_factory.mktemp("any") / "out"
    film = ReportGrounding(name, "i", name, 100, 90, (sentence(text),))
    write(folder, film)
    assert next(read_groundings(folder)).to_dict() == film.to_dict()


def test_an_unfinished_folder_is_refused(tmp_path):
    write(tmp_path / "out", ReportGrounding("s", "i", "", 9, 9, ()), finish=False)
    with pytest.raises(DataError, match="finished folder of `pneumoloc ground`"):
        list(read_groundings(tmp_path / "out"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("30.0", "3000", "box"),
        ("30.0", "thirty", "thirty"),
        ("0.5,", "7,", "scores"),
        (",words,", ",wordz,", "no words"),
    ],
)
def test_damage_is_named(tmp_path, old, new, message):
    write(tmp_path / "out", ReportGrounding("s", "i", "", 100, 90, (sentence(),)))
    path = tmp_path / "out" / GROUNDINGS
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        list(read_groundings(tmp_path / "out"))


def test_rows_of_an_unknown_film_are_not_lost_silently(tmp_path):
    write(tmp_path / "out", ReportGrounding("s", "i", "", 100, 90, (sentence(),)))
    path = tmp_path / "out" / GROUNDINGS
    path.write_text(path.read_text().replace("s,i,", "s,other,"))
    with pytest.raises(DataError, match=r"images\.csv in their order"):
        list(read_groundings(tmp_path / "out"))


def test_a_sentence_has_boxes_or_a_reason():
    with pytest.raises(ValueError, match="why_none"):
        sentence(boxes=(), why_none="")
    with pytest.raises(ValueError, match="scores"):
        GroundedSentence(
            "", "x", 0, 1, xyxy=np.ones((1, 4)), scores=np.array([2.0]), methods=("place",)
        )
    with pytest.raises(ValueError, match="box 0"):
        ReportGrounding("s", "i", "", 20, 20, (sentence(),))
