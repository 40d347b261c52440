from __future__ import annotations

import pytest

from attributes.lexicon.phrases import MAX_SPELLINGS, PhraseError, expand_phrase


@pytest.mark.parametrize(
    ("phrase", "spellings"),
    [
        ("left", [("left",)]),
        ("no (change|increase) in", [("no", "change", "in"), ("no", "increase", "in")]),
        ("no [acute] sign", [("no", "acute", "sign"), ("no", "sign")]),
        ("[a|b] c", [("a", "c"), ("b", "c"), ("c",)]),
        ("(x [y]|z)", [("x", "y"), ("x",), ("z",)]),
        ("ground-glass", [("ground", "glass")]),
        ("opacidad (basal|básal)", [("opacidad", "basal")]),  # accents fold to one spelling
    ],
)
def test_a_phrase_expands_to_its_spellings(phrase: str, spellings: list[tuple[str, ...]]) -> None:
    assert expand_phrase(phrase) == spellings


@pytest.mark.parametrize(
    ("phrase", "complaint"),
    [
        ("no (change", "not closed"),
        ("no [change)", "not closed"),
        ("no change)", "closes nothing"),
        ("a|b", "outside"),
        ("[a]", "can be empty"),
        ("-", "can be empty"),
    ],
)
def test_a_malformed_phrase_is_refused_with_its_defect(phrase: str, complaint: str) -> None:
    with pytest.raises(PhraseError, match=complaint):
        expand_phrase(phrase)


def test_a_phrase_with_too_many_spellings_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(PhraseError, match=str(MAX_SPELLINGS)):
        expand_phrase("(a|b|c|d) " * 30)


def test_a_phrase_of_thousands_of_brackets_is_refused() -> None:
    for phrase in ("(" * 3000 + "a" + ")" * 3000, "(a)" * 3000, "[" * 3000):
        with pytest.raises(PhraseError, match="groups"):
            expand_phrase(phrase)
