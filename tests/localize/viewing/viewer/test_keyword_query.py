from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.lexicon.load import load_lexicon
from localize.viewing.viewer.keyword_query import read_query

LEXICON = load_lexicon("en")


@pytest.mark.parametrize(
    ("text", "keywords", "ignored", "reason"),
    [
        ("left lower opacity", ("left", "lower"), ("opacity",), "plain keywords"),
        ("Left-sided", ("left",), (), "the longer spelling wins"),
        ("LLL", ("left", "lower"), (), "a compound"),
        ("bibasilar hazy", ("bilateral", "basal", "hazy"), (), "a compound and a keyword"),
        ("Ground-Glass at the bases", ("hazy", "basal"), ("at", "the"), "two words, one keyword"),
        ("left left", ("left",), (), "each once"),
        ("", (), (), "nothing"),
        ("new", (), ("new",), "a modifier that is no target"),
    ],
)
def test_phrases(text, keywords, ignored, reason):
    phrase = read_query(text, LEXICON)
    assert (phrase.keywords, phrase.ignored) == (keywords, ignored), reason


def test_spanish_lexicon_reads_spanish():
    phrase = read_query("izquierda", load_lexicon("es"))
    assert phrase.keywords == ("left",)


@given(st.text(max_size=200))
def test_any_text_gives_keywords_of_the_lexicon(text):
    phrase = read_query(text, LEXICON)
    assert set(phrase.keywords) <= set(LEXICON.keyword_names)
