from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from attributes.lexicon.tokens import MAX_REMEMBERED, MAX_WORD, fold, words_of


def test_hyphens_separate_and_accents_and_case_fold() -> None:
    assert words_of("Ground-GLASS opacidad retrocardíaca") == [
        "ground", "glass", "opacidad", "retrocardiaca",
    ]  # fmt: skip


def test_a_composed_and_a_combining_accent_are_one_word() -> None:
    assert words_of("neumonía") == words_of("neumoni\u0301a") == ["neumonia"]


def test_slashes_and_commas_are_words_and_other_marks_are_not() -> None:
    assert words_of("a/b, c. d!") == ["a", "/", "b", ",", "c", "d"]


def test_a_decimal_number_is_one_word() -> None:
    assert words_of("2.5 cm") == ["2.5", "cm"]


def test_a_monstrous_word_is_cut() -> None:
    assert len(fold("x" * 10_000)) == MAX_WORD


def test_the_memory_of_words_is_bounded() -> None:
    from attributes.lexicon import tokens

    for number in range(MAX_REMEMBERED + 10):
        fold(f"word{number}x")
    assert len(tokens._FOLDED) <= MAX_REMEMBERED


@given(st.text())
def test_folding_is_idempotent(text: str) -> None:
    words = words_of(text)
    assert [fold(word) for word in words if word.isascii()] == [w for w in words if w.isascii()]
