"""Cards: what a page shows of one film."""

from __future__ import annotations

import dataclasses

from localize.prediction.tables import UNPROVEN_KEY
from localize.viewing.gallery.cards import film_cards
from tests.localize.predictions import make_prediction


def test_keywords_without_evidence_get_no_bar():
    prediction = make_prediction(["a"], attributes={"left": [0.7], "patchy": [0.4]})
    first, *others = prediction.keywords()
    before = film_cards(prediction, None, limit=1)[0]
    assert None not in before.attributes
    doubtful = dataclasses.replace(prediction, info={**prediction.info, UNPROVEN_KEY: [first]})
    after = film_cards(doubtful, None, limit=1)[0]
    assert after.attributes == (None, *before.attributes[1:])
    assert doubtful.shown_keywords() == tuple(others)
