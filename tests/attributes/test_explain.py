from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attributes.explain import explain_html, explain_text
from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer
from attributes.trace import SentenceTrace, trace_report, trace_sentence

STRUCTURER = Structurer(load_lexicon("en"))


def trace(text: str) -> list[SentenceTrace]:
    return trace_report([("", text)], STRUCTURER)


def test_findings_attributes_and_rules_are_marked() -> None:
    marks = {
        part.text: (part.mark, part.note)
        for part in trace("No patchy opacity but edema.")[0].stretches
    }
    assert marks["No"] == ("rule", "rule plain_no (negation, value)")
    assert marks["patchy"] == ("attribute", "patchy")
    assert marks["opacity"] == ("absent", "opacity: absent by rule plain_no")
    assert marks["but"][0] == "break"
    assert marks["edema"][0] == "present"


@given(st.text(max_size=300))
def test_the_stretches_add_up_to_the_sentence(text: str) -> None:
    shown = "".join(part.text for part in trace_sentence(text, STRUCTURER).stretches)
    assert len(shown) == len(text)
    assert all(a == b or ord(b) < 32 or ord(b) == 127 for a, b in zip(shown, text, strict=True))


def test_the_plain_view_shows_the_findings_below_their_sentence() -> None:
    text = explain_text(trace("Left opacity."), colour=False)
    assert "_Left_ <opacity|present>." in text
    assert "    opacity: present [left]" in text


def test_colours_are_switched_off_after_every_mark() -> None:
    text = explain_text(trace("Left opacity, no edema."), colour=True)
    assert text.count("\x1b[0m") * 2 == text.count("\x1b[")


def test_control_characters_of_a_report_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in explain_text(trace("Left \x1b[31mopacity\x00 here."), colour=False)


class Nodes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def nodes(text: str) -> Nodes:
    parser = Nodes()
    parser.feed(explain_html(trace(text), title=text[:50], language="en"))
    return parser


@pytest.mark.faults
@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                "<script>alert(1)</script>",
                "left opacity ",
                '" onload="x',
                "<img src=x onerror=y>",
                "\u202e",
                "\x00",
                "</mark>",
                "&lt;",
                "{{ 7*7 }}",
                ". ",
                "no edema",
                "'",
            ]
        ),
        max_size=12,
    ).map("".join)
)
def test_no_report_puts_a_node_or_a_handler_into_the_page(text: str) -> None:
    found = nodes(text)
    plain = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "mark",
        "bdi",
        "ul",
        "li",
    }
    assert set(found.tags) <= plain
    assert not [name for name in found.attributes if name.startswith("on")]


def test_the_page_needs_nothing_from_outside() -> None:
    page = explain_html(trace("Left opacity."), title="t", language="en")
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page
    assert '<mark class="present"' in page
