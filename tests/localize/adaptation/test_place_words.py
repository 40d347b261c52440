"""`read_place_words` and `implied_words`: words of place of reports and of boxes."""

from __future__ import annotations

import numpy as np
import pytest

from attributes.lexicon.load import LEXICON_FOLDER, load_lexicon
from attributes.mine import mine_reports
from localize.adaptation.place_words import (
    PlaceWords,
    implied_words,
    mirrored,
    on_side,
    read_place_words,
)

REPORTS = {
    "two": "Peripheral opacity in the right mid and lower zones. Large opacity at the left base.",
    "both": "Bilateral opacities.",
    "whole": "Opacity throughout the left lung.",
    "hedged": "Possible opacity in the left lower zone.",
    "none": "No consolidation.",
    "twice": "Opacity in the left lower zone. Consolidation in the left lower zone.",
    "nowhere": "Small infiltrate.",
}
EXPECTED = {
    "two": (
        PlaceWords("right", ("middle", "lower"), depth="peripheral"),
        PlaceWords("left", ("lower",), extent="large"),
    ),
    "both": (PlaceWords("left"), PlaceWords("right")),
    "whole": (PlaceWords("left", ("upper", "middle", "lower")),),
    "twice": (PlaceWords("left", ("lower",)),),
    "nowhere": (PlaceWords(None, extent="small"),),
}


def test_each_stated_finding_has_its_own_place(tmp_path):
    rows = [f'{study},findings,"{text}"' for study, text in REPORTS.items()]
    (tmp_path / "reports.csv").write_text("\n".join(["study_id,section,text", *rows]))
    mine_reports(
        tmp_path / "reports.csv",
        tmp_path / "mined",
        lexicon=load_lexicon(LEXICON_FOLDER / "en.yaml"),
        workers=1,
    )
    assert read_place_words(tmp_path / "mined") == EXPECTED


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0.65, 0.55, 0.85, 0.72), PlaceWords("left", ("lower",), "small", "peripheral")),
        ((0.10, 0.15, 0.45, 0.75), PlaceWords("right", ("upper", "middle", "lower"), "large")),
        ((0.53, 0.33, 0.68, 0.70), PlaceWords("left", ("middle", "lower"), "", "central")),
        # Above and below the lungs a box still lies in the nearest zone.
        ((0.25, 0.01, 0.45, 0.06), PlaceWords("right", ("upper",), "small", "central")),
        ((0.25, 0.90, 0.45, 0.99), PlaceWords("right", ("lower",), "small", "central")),
    ],
)
def test_a_box_implies_the_words_that_a_reader_would_say(box, words):
    assert implied_words(np.array(box)) == words


def test_a_box_and_its_mirror_image_are_the_same_and_come_back_on_their_sides():
    random = np.random.default_rng(0)
    low = random.uniform(0, 0.4, (50, 2))
    boxes = np.hstack([low, low + random.uniform(0.05, 0.5, (50, 2))])
    image = np.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], axis=1)
    np.testing.assert_allclose(mirrored(boxes), mirrored(image))
    for box, same in zip(boxes, mirrored(boxes), strict=True):
        side = "left" if box[0] + box[2] > 1 else "right"
        np.testing.assert_allclose(on_side(same, side), box)
