"""Opacities of a report: which side, which words of place."""

import numpy as np

from localize.adaptation.opacity_words import FilmWords, film_words
from localize.adaptation.report_words import ReportWords

KEYWORDS = ("left", "right", "bilateral", "upper", "lower", "retrocardiac", "mild")


def _film(present: set[str], *mentions: set[str], stated: bool | None = True) -> FilmWords:
    is_present = np.array([name in present for name in KEYWORDS])
    sides = tuple(side for side in ("left", "right") if side in present or "bilateral" in present)
    report = ReportWords(stated, sides if stated else (), is_present, np.ones(7, bool))
    return film_words(report, [frozenset(one) for one in mentions], KEYWORDS)


def _named(film: FilmWords) -> set[tuple[str | None, frozenset[str]]]:
    return {(one.side, frozenset(np.array(KEYWORDS)[one.words].tolist())) for one in film.opacities}


def test_each_mention_keeps_its_own_place_and_shares_the_words_of_the_film() -> None:
    film = _film(
        {"left", "right", "upper", "lower", "mild"}, {"right", "upper", "mild"}, {"left", "lower"}
    )
    assert _named(film) == {
        ("right", frozenset({"upper", "mild"})),
        ("left", frozenset({"lower", "mild"})),
    }


def test_bilateral_names_an_opacity_on_either_side() -> None:
    film = _film({"bilateral", "lower"}, {"bilateral", "lower"})
    assert _named(film) == {("left", frozenset({"lower"})), ("right", frozenset({"lower"}))}


def test_a_mention_without_a_place_says_no_more_than_one_with_a_place_on_its_side() -> None:
    film = _film({"right", "upper"}, {"right"}, {"right", "upper"})
    assert _named(film) == {("right", frozenset({"upper"}))}


def test_a_place_of_the_left_lung_has_a_side_without_saying_it() -> None:
    assert _named(_film({"retrocardiac"}, {"retrocardiac"})) == {
        ("left", frozenset({"retrocardiac"}))
    }


def test_a_report_without_a_side_has_one_opacity_anywhere() -> None:
    assert _named(_film({"mild"}, {"mild"})) == {(None, frozenset({"mild"}))}


def test_denied_and_hedged_reports_name_none() -> None:
    assert _film(set(), stated=False) == FilmWords(False, ())
    assert _film({"left"}, {"left"}, stated=None) == FilmWords(None, ())
