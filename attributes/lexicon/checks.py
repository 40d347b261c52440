"""`check_meanings`: checks of a lexicon as a whole, such as names that must exist or be unique."""

from __future__ import annotations

from attributes.lexicon.entries import Lexicon, Spelling
from attributes.lexicon.field_reader import FieldReader


def check_meanings(lexicon: Lexicon, top: FieldReader) -> None:
    """Complain about names that do not exist, are not unique, or have two meanings."""
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
        for name in keyword.overlaps:
            if name not in lexicon.keyword_names:
                top.complain(f"keywords.{keyword.name}.overlaps", "names of keywords", f"`{name}`")
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
                    "define it or correct the spelling",
                )
    for name in lexicon.syntax.denied_attributes:
        if name not in axes:
            top.complain("syntax.denied_attributes", "names of keywords or modifiers", f"`{name}`")
    findings = {kind.name for kind in lexicon.findings}
    for rule in lexicon.rules:
        for field, limited in (
            ("spares", rule.spares),
            ("only", rule.only),
            ("bygone", rule.bygone),
        ):
            for name in limited:
                if name not in findings:
                    top.complain(f"rules.{rule.id}.{field}", "names of findings", f"`{name}`")
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
        carried = [spelling for item in kind.carries for spelling in item.spellings]
        plain = [spelling for spelling in kind.spellings if spelling not in set(carried)]
        owners.append((f"findings.{kind.name}", (*plain, *carried)))
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
    for name, variants in lexicon.variants_of.items():
        for spelling in variants:
            if spelling in means:
                top.complain(
                    f"keywords.{name}.variants",
                    "phrases of its own",
                    f"`{' '.join(spelling)}`, also of {means[spelling]}",
                    "make it a compound",
                )
            means[spelling] = name
