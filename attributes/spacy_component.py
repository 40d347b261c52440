"""The structurer as a spaCy component, for those who have a spaCy pipeline.

>>> nlp = spacy.blank("en")
>>> nlp.add_pipe("pneumoloc_findings")
>>> nlp("Patchy left opacity.").spans["findings"][0]._.attributes
('left', 'patchy')

Mining does not go through spaCy: it needs neither its tokens nor its sentences.
"""

from __future__ import annotations

from spacy.language import Language
from spacy.tokens import Doc, Span

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer

NAME = "pneumoloc_findings"
GROUP = "findings"


class FindingsComponent:
    """Puts the findings of a document into `doc.spans["findings"]`.

    The label of a span is the finding; `span._.assertion` (text) and `span._.attributes` (tuple of
    names) hold the rest. A span that cuts a spaCy token is widened to it.
    """

    def __init__(self, lexicon: str) -> None:
        self.structurer = Structurer(load_lexicon(lexicon))
        for name, default in (("assertion", ""), ("attributes", ())):
            if not Span.has_extension(name):
                Span.set_extension(name, default=default)

    def __call__(self, doc: Doc) -> Doc:
        """Structure the text of `doc` and return it with its spans."""
        spans = []
        for sentence in self.structurer.structure(doc.text):
            for finding in sentence.findings:
                span = doc.char_span(
                    sentence.start + finding.start,
                    sentence.start + finding.end,
                    label=finding.finding,
                    alignment_mode="expand",
                )
                if span is not None:
                    span._.assertion = finding.assertion
                    span._.attributes = finding.attributes
                    spans.append(span)
        doc.spans[GROUP] = spans
        return doc


@Language.factory(NAME, default_config={"lexicon": "en"})
def make_findings_component(nlp: Language, name: str, lexicon: str) -> FindingsComponent:
    """The factory behind `nlp.add_pipe("pneumoloc_findings", config={"lexicon": "es"})`.

    Raises ConfigError for a bad lexicon.
    """
    return FindingsComponent(lexicon)
