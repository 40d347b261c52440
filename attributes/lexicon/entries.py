"""`Lexicon` and its entries: frozen dataclasses that `load_lexicon` fills from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ASSERTIONS = ("present", "absent", "uncertain", "resolved")
KINDS = ("affirmation", "pre_uncertainty", "negation", "resolution", "uncertainty")
DIRECTIONS = ("forward", "backward", "both", "forward_first", "backward_first", "value")
REACHES = ("phrase", "list", "clause", "comma")
MODIFIER_ORDERS = ("before", "after")

Spelling = tuple[str, ...]


@dataclass(frozen=True)
class Keyword:
    """One of the 22 attributes. `compounds` are spellings that state it together with others.

    `overlaps` names keywords that may be true together with it: no negatives of it.
    """

    name: str
    axis: str
    variants: tuple[Spelling, ...]
    negative: str
    compounds: tuple[Spelling, ...] = ()
    overlaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Modifier:
    """An attribute that belongs to a finding but is no training target (size, change)."""

    name: str
    axis: str
    variants: tuple[Spelling, ...]


@dataclass(frozen=True)
class Compound:
    """Spellings that state several attributes at once, such as RUL: right, upper."""

    spellings: tuple[Spelling, ...]
    means: tuple[str, ...]


@dataclass(frozen=True)
class FindingType:
    """A finding and its spellings; those in `carries` state attributes too.

    Those `apart` take no place from joined nouns, those `outside_lung` give none to a finding that
    explains them. Phrases in `also_stated_by` belong to another finding and state this one too. A
    finding may also be a predicate of certain
    subjects ("the heart is enlarged"). The `extended` ones are left out of the tables unless they
    are asked for.
    """

    name: str
    spellings: tuple[Spelling, ...]
    carries: tuple[Compound, ...]
    pneumonia_like: bool
    extended: bool = False
    apart: bool = False
    subjects: tuple[Spelling, ...] = ()
    predicates: tuple[Spelling, ...] = ()
    also_stated_by: tuple[Spelling, ...] = ()
    outside_lung: bool = False


@dataclass(frozen=True)
class Rule:
    """An assertion rule; see the comments in `languages/en.yaml` for the meaning of the fields."""

    id: str
    kind: str
    direction: str
    reach: str
    spellings: tuple[Spelling, ...]
    fires: str
    silent: str
    means: tuple[str, ...] = ()
    likely: bool = False
    links: bool = False
    former: bool = False
    lifts: bool = False
    spares: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    bygone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Syntax:
    """The small words of a language, one tuple of spellings for each role in a sentence."""

    coordinators: tuple[Spelling, ...]
    alternatives: tuple[Spelling, ...]
    companions: tuple[Spelling, ...]
    of: tuple[Spelling, ...]
    prepositions: tuple[Spelling, ...]
    directions: tuple[Spelling, ...]
    givens: tuple[Spelling, ...]
    partitives: tuple[Spelling, ...]
    articles: tuple[Spelling, ...]
    glue: tuple[Spelling, ...]
    verbs: tuple[Spelling, ...]
    openers: tuple[Spelling, ...]
    relatives: tuple[Spelling, ...]
    breakers: tuple[Spelling, ...]
    excluders: tuple[Spelling, ...]
    determiners: tuple[Spelling, ...]
    pronouns: tuple[Spelling, ...]
    neighbours: tuple[Spelling, ...]
    degree_adverbs: tuple[Spelling, ...]
    denied_attributes: tuple[str, ...]
    abbreviations: tuple[str, ...]
    answers: tuple[str, ...]
    capitals: tuple[str, ...]
    placeholders: tuple[str, ...]


@dataclass(frozen=True)
class SectionHeadings:
    """The headings of reports; see the comments in `languages/en.yaml`."""

    read: tuple[Spelling, ...]
    impression: tuple[Spelling, ...]
    skip: tuple[Spelling, ...]
    brief: tuple[Spelling, ...] = ()
    labels: tuple[Spelling, ...] = ()
    views: tuple[Spelling, ...] = ()
    bodies: tuple[Spelling, ...] = ()
    finding_bodies: tuple[Spelling, ...] = ()
    no_bodies: tuple[Spelling, ...] = ()


@dataclass(frozen=True)
class Lexicon:
    """A validated lexicon. `source` is the file it came from, `sha256` that file's checksum."""

    language: str
    modifier_order: str
    keywords: tuple[Keyword, ...]
    modifiers: tuple[Modifier, ...]
    compounds: tuple[Compound, ...]
    findings: tuple[FindingType, ...]
    others: tuple[Spelling, ...]
    syntax: Syntax
    sections: SectionHeadings
    rules: tuple[Rule, ...]
    source: Path = field(compare=False)
    sha256: str = ""

    @cached_property
    def keyword_names(self) -> tuple[str, ...]:
        """The names of the keywords in target order."""
        return tuple(keyword.name for keyword in self.keywords)

    @property
    def axis_of(self) -> dict[str, str]:
        """Attribute name -> axis, keywords first, then the other modifiers."""
        keywords = {item.name: item.axis for item in self.keywords}
        return keywords | {item.name: item.axis for item in self.modifiers}

    @property
    def variants_of(self) -> dict[str, tuple[Spelling, ...]]:
        """Attribute name -> its own spellings, keywords first, then the other modifiers."""
        keywords = {item.name: item.variants for item in self.keywords}
        return keywords | {item.name: item.variants for item in self.modifiers}

    @cached_property
    def extended(self) -> frozenset[str]:
        """The names of the findings that are left out of the tables unless asked for."""
        return frozenset(kind.name for kind in self.findings if kind.extended)

    @cached_property
    def pneumonia_like(self) -> frozenset[str]:
        """The names of the findings that feed the targets."""
        return frozenset(kind.name for kind in self.findings if kind.pneumonia_like)
