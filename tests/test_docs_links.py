"""Links of the pages lead to files that exist; pages and docstrings use plain English."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_manifests", "attributes", "detector", "localize", "experiments")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(
    [ROOT / "pneumoloc.py", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

# Phrases that need a second reading, each with what to write instead.
PHRASES = {
    r"vouch": "pseudo-label boxes derived from reports",
    r"at a time, each|made at a time": "in parallel",
    r"who knows": "oracle, reference",
    r"\b(by|for|only) who\b|\bof who (is|has|knows|asks)\b": "name the method or the person",
    r"what was told|\b(is|are|was|were) told\b|\btold to\b": "given, reported",
    r"\b(the|whole|that|those|other|this) roads?\b": "path, pipeline",
    r"serves only": "is reused only if",
    r"nothing but": "only",
    r"\b(went|goes|going|go) on learning": "fine-tuned",
    r"\bsaid of\b": "said about",
    r"\bjudge[sd]?\b": "evaluate, score",
    r"\bmend(s|ed)?\b": "fix",
    r"\bthe shelf\b": "name what it holds",
    r"\basked? of\b": "required, computed from",
    r"without a word": "without an error",
    r"hangs? on it": "depends on it",
    r"by chance, and by": "at random, and by an oracle",
    r"are the making of|in the making": "name the step",
}


def targets(page: Path) -> Iterator[str]:
    """The relative link targets of a page, without anchors."""
    for target in LINK.findall(CODE_BLOCK.sub("", page.read_text("utf-8"))):
        path = target.partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            yield path


def prose(module: Path) -> Iterator[tuple[int, str]]:
    """Strings and comments of a module with their first line."""
    source = module.read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def found_phrases(text: str) -> list[str]:
    """The phrases that a text uses, as they stand there."""
    text = " ".join(text.split())
    matches = (re.search(phrase, text, re.IGNORECASE) for phrase in PHRASES)
    return [match.group() for match in matches if match]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_of_a_page_lead_to_files(page):
    missing = [target for target in targets(page) if not (page.parent / target).exists()]
    assert missing == []


def test_the_link_check_sees_a_missing_file_and_skips_code(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("[a](gone.md#top) ![b](b.png)\n\n```\n[c](code.md)\n```\n[d](https://x.org)")
    assert list(targets(page)) == ["gone.md", "b.png"]


def test_pages_use_no_phrase_that_needs_a_second_reading():
    lines = [
        f"{page.relative_to(ROOT)}:{number}: {phrase}"
        for page in PAGES
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1)
        for phrase in found_phrases(line)
    ]
    assert lines == []


def test_code_uses_no_phrase_that_needs_a_second_reading():
    lines = [
        f"{module.relative_to(ROOT)}:{number}: {phrase}"
        for module in MODULES
        for number, text in prose(module)
        for phrase in found_phrases(text)
    ]
    assert lines == []


def test_the_phrase_check_sees_a_phrase_across_lines():
    assert found_phrases("boxes that reports\nvouch for, by who\nknows the truth") == [
        "vouch",
        "who knows",
        "by who",
    ]
    assert found_phrases("Scores of the judgement; a tool; the roadside; of whom") == []
