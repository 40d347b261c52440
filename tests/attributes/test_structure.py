from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from attributes.grammar.units import MAX_SENTENCE_WORDS
from attributes.lexicon.entries import ASSERTIONS
from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer

ENGLISH = load_lexicon("en")
STRUCTURER = Structurer(ENGLISH)
SMALL = Structurer(ENGLISH, cached_sentences=2)
UNCACHED = Structurer(ENGLISH, cached_sentences=0)
WORDS = st.sampled_from(
    "no left right opacity effusion and or , but which may represent pneumonia in the base lower "
    "is has resolved not seen with possible clear patchy small fracture versus ; : there are of "
    "areas unchanged xyz XXXX".split()
)


@settings(max_examples=500)
@given(st.lists(WORDS, max_size=40).map(" ".join))
def test_any_order_of_words_gives_valid_findings(text: str) -> None:
    names = set(ENGLISH.axis_of)
    types = {kind.name for kind in ENGLISH.findings}
    for sentence in STRUCTURER.structure(text):
        for finding in sentence.findings:
            assert finding.finding in types
            assert finding.assertion in ASSERTIONS
            assert set(finding.attributes) <= names
            assert len(set(finding.attributes)) == len(finding.attributes)
            assert 0 <= finding.start < finding.end <= len(text)


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_every_mention_is_found_once_and_in_order(text: str) -> None:
    found = [f for s in STRUCTURER.structure(text) for f in s.findings]
    mentions = [w for w in text.split() if w in ("opacity", "effusion", "pneumonia")]
    assert [finding.finding for finding in found] == mentions
    assert [f.start for f in found] == sorted(f.start for f in found)


@given(st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=6))
def test_the_cache_changes_nothing(texts: list[str]) -> None:
    for text in texts + texts:
        assert SMALL.structure(text) == UNCACHED.structure(text)
    assert len(SMALL._cache) <= 2


def test_anonymised_words_do_not_separate() -> None:
    plain = STRUCTURER.structure_sentence("Patchy left opacity.")[0]
    masked = STRUCTURER.structure_sentence("Patchy XXXX left ___ opacity.")[0]
    assert masked.attributes == plain.attributes


def test_a_sentence_beyond_the_cut_is_still_read_to_its_end() -> None:
    text = "word " * (2 * MAX_SENTENCE_WORDS) + "left opacity"
    assert [f.attributes for s in STRUCTURER.structure(text) for f in s.findings] == [("left",)]
