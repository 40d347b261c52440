"""The lexicon: what the structurer knows about a language, as data.

A lexicon is a YAML file (`lexicons/en.yaml` is the annotated example). Code holds no word of any
language: another hospital's vocabulary or another language is another file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from attributes.lexicon_parsing import FieldReader
from attributes.located_yaml import read_located_yaml
from data_manifests.atomic import file_sha256
from data_manifests.errors import ConfigError, DataError, Problem

LEXICON_FOLDER = Path(__file__).parent / "lexicons"
FORMAT_VERSION = 1
ASSERTIONS = ("present", "absent", "uncertain", "resolved")
KINDS = ("affirmation", "pre_uncertainty", "negation", "resolution", "uncertainty")
DIRECTIONS = ("forward", "backward", "both", "forward_first", "backward_first")
REACHES = ("phrase", "list", "clause")
MODIFIER_ORDERS = ("before", "after")

Spelling = tuple[str, ...]


@dataclass(frozen=True)
class Keyword:
    """One of the 22 attributes. `compounds` are the spellings that say this keyword among others."""

    name: str
    axis: str
    variants: tuple[Spelling, ...]
    negative: str
    compounds: tuple[Spelling, ...] = ()


@dataclass(frozen=True)
class Modifier:
    """An attribute that is kept with a finding but is no training target (size, change)."""

    name: str
    axis: str
    variants: tuple[Spelling, ...]


@dataclass(frozen=True)
class Compound:
    """Spellings that mean several attributes at once, such as RUL: right, upper."""

    spellings: tuple[Spelling, ...]
    means: tuple[str, ...]


@dataclass(frozen=True)
class FindingType:
    """A finding, its spellings, and those spellings that say attributes with it (`carries`)."""

    name: str
    spellings: tuple[Spelling, ...]
    carries: tuple[Compound, ...]
    pneumonia_like: bool


@dataclass(frozen=True)
class Rule:
    """An assertion rule; see the comments in `lexicons/en.yaml` for the meaning of the fields."""

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


@dataclass(frozen=True)
class Syntax:
    """The words that hold a sentence together, one tuple of spellings a role."""

    coordinators: tuple[Spelling, ...]
    alternatives: tuple[Spelling, ...]
    companions: tuple[Spelling, ...]
    of: tuple[Spelling, ...]
    prepositions: tuple[Spelling, ...]
    partitives: tuple[Spelling, ...]
    articles: tuple[Spelling, ...]
    glue: tuple[Spelling, ...]
    verbs: tuple[Spelling, ...]
    openers: tuple[Spelling, ...]
    relatives: tuple[Spelling, ...]
    breakers: tuple[Spelling, ...]
    excluders: tuple[Spelling, ...]
    abbreviations: tuple[str, ...]
    placeholders: tuple[str, ...]


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
    read_sections: tuple[str, ...]
    skip_sections: tuple[str, ...]
    rules: tuple[Rule, ...]
    source: Path = field(compare=False)
    sha256: str = ""

    @property
    def keyword_names(self) -> tuple[str, ...]:
        """The names of the keywords in target order."""
        return tuple(keyword.name for keyword in self.keywords)

    @property
    def axis_of(self) -> dict[str, str]:
        """Attribute name -> axis, keywords first, then the other modifiers."""
        return {item.name: item.axis for item in (*self.keywords, *self.modifiers)}

    @property
    def pneumonia_like(self) -> frozenset[str]:
        """The names of the findings that feed the targets."""
        return frozenset(kind.name for kind in self.findings if kind.pneumonia_like)


def lexicon_languages() -> tuple[str, ...]:
    """The languages that come with the package."""
    return tuple(sorted(path.stem for path in LEXICON_FOLDER.glob("*.yaml")))


def load_lexicon(path_or_language: str | Path = "en") -> Lexicon:
    """Read and validate a lexicon: one of `lexicon_languages()` or a YAML file of your own.

    Raises ConfigError naming file, line, field, what was expected and what was found, for all defects
    at once.
    """
    name = str(path_or_language)
    path = LEXICON_FOLDER / f"{name}.yaml" if name in lexicon_languages() else Path(name)
    if not path.is_file():
        languages = ", ".join(lexicon_languages())
        raise ConfigError(
            f"{name}: expected a lexicon file or one of {languages}, got no such file"
        )
    top = FieldReader(read_located_yaml(path), str(path))
    lexicon = _build(top, path)
    _check_meanings(lexicon, top)
    if top.problems:
        raise ConfigError(str(DataError.from_problems(top.problems)))
    return lexicon


def _build(top: FieldReader, path: Path) -> Lexicon:
    top.only(
        "language",
        "version",
        "modifier_order",
        "keywords",
        "modifiers",
        "compounds",
        "findings",
        "others",
        "syntax",
        "sections",
        "rules",
    )
    version = top.integer("version")
    if version not in (FORMAT_VERSION, 0):  # 0: missing, already reported
        top.complain("version", str(FORMAT_VERSION), str(version), "use a lexicon of this version")
    compounds = tuple(_compound(entry) for entry in top.entries("compounds"))
    syntax = top.child("syntax")
    roles = (
        "coordinators",
        "alternatives",
        "companions",
        "of",
        "prepositions",
        "partitives",
        "articles",
        "glue",
        "verbs",
        "openers",
        "relatives",
        "breakers",
        "excluders",
    )
    syntax.only(*roles, "abbreviations", "placeholders")
    sections = top.child("sections")
    sections.only("read", "skip")
    return Lexicon(
        language=top.text("language"),
        modifier_order=top.choice("modifier_order", MODIFIER_ORDERS),
        keywords=tuple(_keyword(entry, compounds) for entry in top.entries("keywords")),
        modifiers=tuple(_modifier(entry) for entry in top.entries("modifiers")),
        compounds=compounds,
        findings=tuple(_finding(entry) for entry in top.entries("findings")),
        others=top.phrases("others"),
        syntax=Syntax(
            *(syntax.phrases(role) for role in roles),
            abbreviations=tuple(syntax.texts("abbreviations")),
            placeholders=tuple(syntax.texts("placeholders")),
        ),
        read_sections=tuple(sections.texts("read")),
        skip_sections=tuple(sections.texts("skip")),
        rules=tuple(_rule(entry) for entry in top.entries("rules")),
        source=path,
        sha256=file_sha256(path),
    )


def _keyword(entry: FieldReader, compounds: tuple[Compound, ...]) -> Keyword:
    entry.only("name", "axis", "variants", "negative")
    name = entry.text("name")
    said = [spelling for item in compounds if name in item.means for spelling in item.spellings]
    return Keyword(
        name, entry.text("axis"), entry.phrases("variants"), entry.text("negative"), tuple(said)
    )


def _modifier(entry: FieldReader) -> Modifier:
    entry.only("name", "axis", "variants")
    return Modifier(entry.text("name"), entry.text("axis"), entry.phrases("variants"))


def _compound(entry: FieldReader) -> Compound:
    entry.only("phrases", "means")
    return Compound(entry.phrases("phrases"), tuple(entry.texts("means")))


def _finding(entry: FieldReader) -> FindingType:
    entry.only("name", "phrases", "carries", "pneumonia_like")
    carries = tuple(_compound(child) for child in entry.entries("carries", optional=True))
    return FindingType(
        entry.text("name"), entry.phrases("phrases"), carries, entry.flag("pneumonia_like")
    )


def _rule(entry: FieldReader) -> Rule:
    entry.only(
        "id",
        "kind",
        "direction",
        "reach",
        "phrases",
        "means",
        "likely",
        "links",
        "former",
        "fires",
        "silent",
    )
    return Rule(
        id=entry.text("id"),
        kind=entry.choice("kind", KINDS),
        direction=entry.choice("direction", DIRECTIONS),
        reach=entry.choice("reach", REACHES),
        spellings=entry.phrases("phrases"),
        fires=entry.text("fires"),
        silent=entry.text("silent"),
        means=tuple(entry.texts("means", optional=True)),
        likely=entry.flag("likely"),
        links=entry.flag("links"),
        former=entry.flag("former"),
    )


def _check_meanings(lexicon: Lexicon, top: FieldReader) -> None:
    """Names that must exist, be unique, or not be said twice."""
    names = [*lexicon.keyword_names, *(modifier.name for modifier in lexicon.modifiers)]
    axes = lexicon.axis_of
    for kind, listed in (
        ("keywords", names),
        ("findings", [item.name for item in lexicon.findings]),
        ("rules", [rule.id for rule in lexicon.rules]),
    ):
        for name in sorted({name for name in listed if name and listed.count(name) > 1}):
            top.complain(
                kind, "every name once", f"`{name}` {listed.count(name)} times", "rename or merge"
            )
    for keyword in lexicon.keywords:
        if keyword.negative not in lexicon.keyword_names or keyword.negative == keyword.name:
            top.complain(
                f"keywords.{keyword.name}.negative",
                "the name of another keyword",
                f"`{keyword.negative}`",
            )
    meanings = [("compounds", item) for item in lexicon.compounds]
    meanings += [
        (f"findings.{kind.name}.carries", item)
        for kind in lexicon.findings
        for item in kind.carries
    ]
    for where, item in meanings:
        for name in item.means:
            if name not in axes:
                top.complain(
                    where,
                    "names of keywords or modifiers",
                    f"`{name}`",
                    "define it or mend the spelling",
                )
    for rule in lexicon.rules:
        for name in rule.means:
            if name not in axes:
                top.complain(
                    f"rules.{rule.id}.means", "names of keywords or modifiers", f"`{name}`"
                )
    _check_phrases(lexicon, top)


def _check_phrases(lexicon: Lexicon, top: FieldReader) -> None:
    """The same words must not be two findings, a finding and a rule, or two compounds."""
    seen: dict[Spelling, str] = {}
    owners: list[tuple[str, tuple[Spelling, ...]]] = []
    for kind in lexicon.findings:
        spellings = [*kind.spellings]
        for item in kind.carries:
            spellings = [s for s in spellings if s not in item.spellings] + list(item.spellings)
        owners.append((f"findings.{kind.name}", tuple(spellings)))
    owners += [(f"rules.{rule.id}", rule.spellings) for rule in lexicon.rules]
    owners.append(("others", lexicon.others))
    for owner, spellings in owners:
        for spelling in spellings:
            if spelling in seen:
                phrase = " ".join(spelling)
                top.complain(
                    owner, "phrases of its own", f"`{phrase}`, also in {seen[spelling]}", "keep one"
                )
            seen[spelling] = owner
    means: dict[Spelling, str] = {}
    for entry in (*lexicon.keywords, *lexicon.modifiers):
        for spelling in entry.variants:
            if spelling in means:
                top.complain(
                    f"keywords.{entry.name}.variants",
                    "phrases of its own",
                    f"`{' '.join(spelling)}`, also of {means[spelling]}",
                    "make it a compound",
                )
            means[spelling] = entry.name


__all__ = [
    "ASSERTIONS",
    "Compound",
    "FindingType",
    "Keyword",
    "Lexicon",
    "Modifier",
    "Problem",
    "Rule",
    "Spelling",
    "Syntax",
    "lexicon_languages",
    "load_lexicon",
]
