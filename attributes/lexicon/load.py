"""`load_lexicon`: reads and validates a lexicon file.

A lexicon is a YAML file with all words and rules of a language; `languages/en.yaml` is the
annotated example. The code contains no word of any language.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from attributes.lexicon.checks import check_meanings
from attributes.lexicon.entries import (
    DIRECTIONS,
    KINDS,
    MODIFIER_ORDERS,
    REACHES,
    Compound,
    FindingType,
    Keyword,
    Lexicon,
    Modifier,
    Rule,
    SectionHeadings,
    Syntax,
)
from attributes.lexicon.field_reader import FieldReader
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.support.located_yaml import read_located_yaml

LEXICON_FOLDER = Path(__file__).parent / "languages"
FORMAT_VERSION = 1


def lexicon_languages() -> tuple[str, ...]:
    """The languages that come with the package."""
    return tuple(sorted(path.stem for path in LEXICON_FOLDER.glob("*.yaml")))


def load_lexicon(path_or_language: str | Path = "en") -> Lexicon:
    """Read and validate a lexicon: one of `lexicon_languages()` or a YAML file of your own.

    Raises ConfigError naming file, line, field, what was expected and what was found, for all
    defects at once.
    """
    name = str(path_or_language)
    path = LEXICON_FOLDER / f"{name}.yaml" if name in lexicon_languages() else Path(name)
    if not path.is_file():
        languages = ", ".join(lexicon_languages())
        raise ConfigError(
            f"{name}: expected a lexicon file or one of {languages}, got no such file"
        )
    top = FieldReader(read_located_yaml(path), str(path))
    if "of" in top.table:
        return _stemmed(top, path)
    lexicon = _build(top, path)
    check_meanings(lexicon, top)
    if top.problems:
        raise ConfigError(str(DataError.from_problems(top.problems)))
    return lexicon


def _stemmed(top: FieldReader, path: Path) -> Lexicon:
    """The stems of another lexicon: the fields of `languages/es_stemmed.yaml`."""
    from attributes.lexicon.stemmed import dropped_words, snowball, stem_lexicon

    top.only("language", "of", "stemmer", "dropped")
    language, of, stemmer = top.text("language"), top.text("of"), top.text("stemmer")
    dropped = dropped_words(top.texts("dropped"))
    if top.problems:
        raise ConfigError(str(DataError.from_problems(top.problems)))
    stemmed = stem_lexicon(load_lexicon(of), snowball(stemmer), dropped, language)
    return replace(stemmed, source=path)


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
    return Lexicon(
        language=top.text("language"),
        modifier_order=top.choice("modifier_order", MODIFIER_ORDERS),
        keywords=tuple(_keyword(entry, compounds) for entry in top.entries("keywords")),
        modifiers=tuple(_modifier(entry) for entry in top.entries("modifiers")),
        compounds=compounds,
        findings=tuple(_finding(entry) for entry in top.entries("findings")),
        others=top.phrases("others"),
        syntax=_syntax(top.child("syntax")),
        sections=_sections(top.child("sections")),
        rules=tuple(_rule(entry) for entry in top.entries("rules")),
        source=path,
        sha256=file_sha256(path),
    )


def _sections(entry: FieldReader) -> SectionHeadings:
    entry.only(*(kind.name for kind in fields(SectionHeadings)))
    return SectionHeadings(
        read=entry.phrases("read"),
        impression=entry.phrases("impression", optional=True),
        skip=entry.phrases("skip"),
        brief=entry.phrases("brief", optional=True),
        labels=entry.phrases("labels", optional=True),
        views=entry.phrases("views", optional=True),
        bodies=entry.phrases("bodies", optional=True),
        finding_bodies=entry.phrases("finding_bodies", optional=True),
        no_bodies=entry.phrases("no_bodies", optional=True),
    )


def _syntax(entry: FieldReader) -> Syntax:
    entry.only(*(role.name for role in fields(Syntax)))
    return Syntax(
        coordinators=entry.phrases("coordinators"),
        alternatives=entry.phrases("alternatives"),
        companions=entry.phrases("companions"),
        of=entry.phrases("of"),
        prepositions=entry.phrases("prepositions"),
        directions=entry.phrases("directions", optional=True),
        givens=entry.phrases("givens", optional=True),
        partitives=entry.phrases("partitives"),
        articles=entry.phrases("articles"),
        glue=entry.phrases("glue"),
        verbs=entry.phrases("verbs"),
        openers=entry.phrases("openers"),
        relatives=entry.phrases("relatives"),
        breakers=entry.phrases("breakers"),
        excluders=entry.phrases("excluders"),
        determiners=entry.phrases("determiners", optional=True),
        pronouns=entry.phrases("pronouns", optional=True),
        neighbours=entry.phrases("neighbours", optional=True),
        degree_adverbs=entry.phrases("degree_adverbs", optional=True),
        denied_attributes=tuple(entry.texts("denied_attributes", optional=True)),
        abbreviations=tuple(entry.texts("abbreviations")),
        answers=tuple(entry.texts("answers", optional=True)),
        capitals=tuple(entry.texts("capitals", optional=True)),
        placeholders=tuple(entry.texts("placeholders")),
    )


def _keyword(entry: FieldReader, compounds: tuple[Compound, ...]) -> Keyword:
    entry.only("name", "axis", "variants", "negative", "overlaps")
    name = entry.text("name")
    shared = [spelling for item in compounds if name in item.means for spelling in item.spellings]
    return Keyword(
        name=name,
        axis=entry.text("axis"),
        variants=entry.phrases("variants"),
        negative=entry.text("negative"),
        compounds=tuple(shared),
        overlaps=tuple(entry.texts("overlaps", optional=True)),
    )


def _modifier(entry: FieldReader) -> Modifier:
    entry.only("name", "axis", "variants")
    return Modifier(entry.text("name"), entry.text("axis"), entry.phrases("variants"))


def _compound(entry: FieldReader) -> Compound:
    entry.only("phrases", "means")
    return Compound(entry.phrases("phrases"), tuple(entry.texts("means")))


def _finding(entry: FieldReader) -> FindingType:
    entry.only(
        "name",
        "phrases",
        "carries",
        "pneumonia_like",
        "extended",
        "apart",
        "subjects",
        "predicates",
        "also_stated_by",
        "outside_lung",
    )
    return FindingType(
        name=entry.text("name"),
        spellings=entry.phrases("phrases"),
        carries=tuple(_compound(child) for child in entry.entries("carries", optional=True)),
        pneumonia_like=entry.flag("pneumonia_like"),
        extended=entry.flag("extended"),
        apart=entry.flag("apart"),
        subjects=entry.phrases("subjects", optional=True),
        predicates=entry.phrases("predicates", optional=True),
        also_stated_by=entry.phrases("also_stated_by", optional=True),
        outside_lung=entry.flag("outside_lung"),
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
        "lifts",
        "spares",
        "only",
        "bygone",
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
        lifts=entry.flag("lifts"),
        spares=tuple(entry.texts("spares", optional=True)),
        only=tuple(entry.texts("only", optional=True)),
        bygone=tuple(entry.texts("bygone", optional=True)),
    )
