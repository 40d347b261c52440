from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.grammar.tick_boxes import without_tick_boxes

FINDINGS = frozenset({"effusion", "edema"})


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("[x] effusion [ ] edema", ";   effusion ;¬  edema"),
        ("effusion [x] edema [ ]", "effusion ;   edema ¬  "),
        ("Effusion: [ ] yes [x] no", "Effusion:             no"),
        ("( ) edema", ";¬  edema"),
        ("☐ effusion ☒ edema", "¬ effusion ; edema"),
        ("Effusion (see above) [1]", "Effusion (see above) [1]"),
    ],
)
def test_an_empty_box_denies_and_a_ticked_one_states(sentence: str, expected: str) -> None:
    assert without_tick_boxes(sentence, FINDINGS) == expected


@given(st.text(alphabet="[] x()☐☒\tedma effusion,.", max_size=80))
def test_offsets_stay_right(sentence: str) -> None:
    read = without_tick_boxes(sentence, FINDINGS)
    assert len(read) == len(sentence)
    for before, after in zip(sentence, read, strict=True):
        assert after in (before, " ", ";", "¬")
