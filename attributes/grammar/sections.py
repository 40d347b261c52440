"""`section_splitter`: the splitter of reports with the headings of a lexicon."""

from __future__ import annotations

from attributes.lexicon.entries import Lexicon
from data_manifests.support.report_headings import BodyWords, Headings
from data_manifests.support.report_sections import SectionSplitter


def section_splitter(lexicon: Lexicon) -> SectionSplitter:
    """A splitter that knows the headings of `lexicon`."""
    sections, syntax = lexicon.sections, lexicon.syntax
    small_words = (*syntax.of, *syntax.prepositions, *syntax.verbs, *syntax.companions)
    joiners = (*syntax.coordinators, *syntax.alternatives)
    return SectionSplitter(
        Headings(
            read=_joined(sections.read),
            impression=_joined(sections.impression),
            skip=_joined(sections.skip),
            brief=_joined(sections.brief),
            labels=_joined(sections.labels),
            views=_joined(sections.views),
            joiners=frozenset({"/", "&", ",", *(s[0] for s in joiners if len(s) == 1)}),
            connectives=frozenset(spelling[0] for spelling in small_words if len(spelling) == 1),
            bodies=BodyWords(
                starts=_joined(sections.bodies),
                finding_starts=_joined(sections.finding_bodies),
                findings=frozenset(s[-1] for kind in lexicon.findings for s in kind.spellings),
                stops=frozenset(word for spelling in sections.no_bodies for word in spelling),
            ),
        )
    )


def _joined(spellings: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    return frozenset(" ".join(spelling) for spelling in spellings)
