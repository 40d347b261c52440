"""`load_ct_lexicon`: the lexicon of CT reports: assertion rules of films, words of CT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from attributes.lexicon.checks import check_meanings
from attributes.lexicon.entries import FindingType, Lexicon, Modifier, Spelling
from attributes.lexicon.field_reader import FieldReader
from attributes.lexicon.load import load_lexicon
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.support.located_yaml import read_located_yaml

CT_LEXICON = Path(__file__).parent / "ct_en.yaml"
FORMAT_VERSION = 1
PLACE_AXIS = "zone"
FIELDS = (
    "language", "version", "base", "classes", "inherited_axes", "organs", "anomalies", "places",
    "modifiers", "others", "left_out", "references", "definite",
)  # fmt: skip


@dataclass(frozen=True)
class CtLexicon:
    """A validated CT lexicon.

    Args:
        lexicon: what the grammar reads; its findings are the anomalies.
        class_of: attribute -> phrase class.
        organs: all organ classes.
        organ_of: anomaly or place -> organ, "" for those of any organ.
        generic: places that are no place by themselves ("lobe").
        relative: places that refine another one ("posterior").
        references, definite: first words of a sentence that describes an earlier anomaly.
    """

    lexicon: Lexicon
    class_of: dict[str, str]
    organs: tuple[str, ...]
    organ_of: dict[str, str]
    generic: frozenset[str]
    relative: frozenset[str]
    references: tuple[Spelling, ...]
    definite: tuple[Spelling, ...]


@cache
def load_ct_lexicon(path: Path = CT_LEXICON) -> CtLexicon:
    """Read and validate a CT lexicon; a file is read once.

    Raises:
        ConfigError: as `load_lexicon`: all defects at once, with file, line and field.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: expected a lexicon of CT reports, got no such file")
    top = FieldReader(read_located_yaml(path), str(path))
    top.only(*FIELDS)
    if top.integer("version") not in (FORMAT_VERSION, 0):  # 0: missing, already reported
        top.complain("version", str(FORMAT_VERSION), "another", "use a lexicon of this version")
    organs = tuple(top.texts("organs"))
    anomalies = [(_finding(entry), _organ(entry, organs)) for entry in top.entries("anomalies")]
    places = [_place(entry, organs) for entry in top.entries("places")]
    described = [
        Modifier(entry.text("name"), entry.text("axis"), entry.phrases("phrases"))
        for entry in top.entries("modifiers")
    ]
    classes = top.child("classes")
    left_out = frozenset(top.phrases("left_out"))
    base = load_lexicon(top.text("base"))
    inherited = top.texts("inherited_axes")
    described += [Modifier(place.name, PLACE_AXIS, place.spellings) for place in places]
    lexicon = _combined(
        base, described, [kind for kind, _ in anomalies], top.phrases("others"), inherited, left_out
    )
    lexicon = replace(lexicon, language=top.text("language"), source=path, sha256=file_sha256(path))
    axes = lexicon.axis_of
    class_of = {name: classes.text(axis) for name, axis in axes.items()}
    check_meanings(lexicon, top)
    if top.problems:
        raise ConfigError(str(DataError.from_problems(top.problems)))
    organ_of = {kind.name: organ for kind, organ in anomalies}
    organ_of |= {place.name: place.organ for place in places}
    return CtLexicon(
        lexicon,
        class_of,
        organs,
        organ_of,
        frozenset(place.name for place in places if place.is_generic),
        frozenset(place.name for place in places if place.is_relative),
        top.phrases("references"),
        top.phrases("definite"),
    )


@dataclass(frozen=True)
class _Place:
    name: str
    spellings: tuple[Spelling, ...]
    organ: str
    is_generic: bool
    is_relative: bool


def _place(entry: FieldReader, organs: tuple[str, ...]) -> _Place:
    entry.only("name", "organ", "generic", "relative", "phrases")
    return _Place(
        entry.text("name"),
        entry.phrases("phrases"),
        _organ(entry, organs),
        entry.flag("generic"),
        entry.flag("relative"),
    )


def _finding(entry: FieldReader) -> FindingType:
    entry.only("name", "organ", "phrases")
    return FindingType(entry.text("name"), entry.phrases("phrases"), (), pneumonia_like=False)


def _organ(entry: FieldReader, organs: tuple[str, ...]) -> str:
    organ = entry.text("organ") if "organ" in entry.table else ""
    if organ and organ not in organs:
        entry.complain("organ", f"one of {', '.join(organs)}", organ)
    return organ


def _combined(
    base: Lexicon,
    own: list[Modifier],
    anomalies: list[FindingType],
    others: tuple[Spelling, ...],
    inherited: list[str],
    left_out: frozenset[Spelling],
) -> Lexicon:
    """The base's rules and small words with the words of CT; a word of CT is taken from the base's
    own roles, and an attribute of the same name gains the base's spellings."""
    taken = left_out | {spelling for item in own for spelling in item.variants}
    taken |= {spelling for kind in anomalies for spelling in kind.spellings}
    variants: dict[str, tuple[str, list[Spelling]]] = {
        item.name: (item.axis, list(item.variants)) for item in own
    }
    for name, spellings in base.variants_of.items():
        axis = base.axis_of[name]
        if axis in inherited:
            free = [spelling for spelling in spellings if spelling not in taken]
            variants.setdefault(name, (axis, []))[1].extend(free)
    compounds = tuple(
        replace(item, spellings=tuple(s for s in item.spellings if s not in taken))
        for item in base.compounds
        if set(item.means) <= set(variants)
    )
    nouns = {spelling[-1] for spelling in taken} | {spelling[0] for spelling in taken}
    return replace(
        base,
        keywords=(),
        modifiers=tuple(Modifier(name, axis, tuple(v)) for name, (axis, v) in variants.items()),
        compounds=tuple(item for item in compounds if item.spellings),
        findings=tuple(anomalies),
        # Of the base's other nouns those that share no word with CT's.
        others=(*others, *(s for s in base.others if nouns.isdisjoint(s) and s not in others)),
        rules=tuple(
            replace(
                rule,
                spellings=tuple(s for s in rule.spellings if s not in left_out),
                spares=tuple(n for n in rule.spares if n in {k.name for k in anomalies}),
            )
            for rule in base.rules
        ),
    )
