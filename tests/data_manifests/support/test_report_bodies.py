from __future__ import annotations

import pytest

from data_manifests.support.report_bodies import find_body
from data_manifests.support.report_headings import BodyWords

WORDS = BodyWords(
    starts=frozenset({"the lungs are", "lungs are"}),
    finding_starts=frozenset({"there is", "no"}),
    findings=frozenset({"effusion"}),
    stops=frozenset({"concern"}),
)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("Cough. Lungs are clear.", "Lungs are clear."),
        ("Cough. No fever. No effusion. Clear.", "No effusion. Clear."),
        ("Cough; there is an effusion.", "there is an effusion."),
        ("Cough. There is concern for effusion.", ""),
        ("Lungs are what hurts.", ""),  # the first sentence belongs to the heading
        ("Cough. Effusion.", ""),
    ],
)
def test_a_description_begins_with_a_sentence_about_the_film(text: str, body: str) -> None:
    begin = find_body(text, 0, len(text), WORDS, is_begun=False)
    assert (text[begin:] if begin >= 0 else "") == body


def test_a_section_that_has_begun_may_end_with_the_first_sentence() -> None:
    assert find_body("Lungs are clear.", 0, 16, WORDS, is_begun=True) == 0


def test_without_words_there_is_no_body() -> None:
    assert find_body("Cough. Lungs are clear.", 0, 23, BodyWords(), is_begun=True) == -1
