from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from attributes.lexicon.load import load_lexicon
from data_manifests.support.errors import ConfigError

ENGLISH = load_lexicon("en")
NAMES = (
    "left right bilateral upper middle lower basal apical lingular perihilar retrocardiac diffuse "
    "focal multifocal patchy interstitial streaky nodular hazy mild moderate severe"
).split()
# PAPER_DETAILS 2.6: negatives a radiologist accepts.
SENSIBLE = {
    "left": "right",
    "right": "left",
    "bilateral": "left right",
    "upper": "lower",
    "lower": "upper",
    "middle": "upper lower",
    "basal": "apical",
    "apical": "basal",
    "lingular": "perihilar",
    "perihilar": "basal",
    "retrocardiac": "lingular",
    "diffuse": "focal",
    "focal": "diffuse",
    "multifocal": "focal",
    "patchy": "diffuse",
    "interstitial": "nodular",
    "streaky": "hazy",
    "hazy": "nodular",
    "mild": "severe",
    "severe": "mild",
    "moderate": "mild severe",
    "nodular": "interstitial hazy",
}


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_language_has_the_22_keywords_in_target_order(language: str) -> None:
    assert list(load_lexicon(language).keyword_names) == NAMES


def test_both_languages_agree_on_axes_findings_and_negatives() -> None:
    spanish = load_lexicon("es")
    assert spanish.axis_of == ENGLISH.axis_of
    assert [f.name for f in spanish.findings] == [f.name for f in ENGLISH.findings]
    assert [k.negative for k in spanish.keywords] == [k.negative for k in ENGLISH.keywords]


def test_the_findings_are_those_of_the_design() -> None:
    names = "pneumonia consolidation infiltrate opacity airspace_disease effusion atelectasis "
    names += "pneumothorax nodule edema cardiomegaly device"
    assert [kind.name for kind in ENGLISH.findings if not kind.extended] == names.split()
    extended = "mass fracture pleural_other enlarged_cardiomediastinum"
    assert [kind.name for kind in ENGLISH.findings if kind.extended] == extended.split()
    assert ENGLISH.pneumonia_like == set(names.split()[:5])


@pytest.mark.parametrize("keyword", ENGLISH.keywords, ids=lambda keyword: keyword.name)
def test_a_fixed_negative_is_on_the_same_axis_and_sensible(keyword: object) -> None:
    name, negative = keyword.name, keyword.negative  # type: ignore[attr-defined]
    assert ENGLISH.axis_of[name] == ENGLISH.axis_of[negative]
    assert negative in SENSIBLE[name].split()


def test_a_keyword_knows_the_compounds_that_say_it() -> None:
    right = ENGLISH.keywords[NAMES.index("right")]
    assert ("rul",) in right.compounds
    assert ("lll",) not in right.compounds


Edit = Callable[[str], str]


def cut(pattern: str, by: str = "") -> Edit:
    return lambda text: re.sub(pattern, by, text, count=1, flags=re.S)


BAD: list[tuple[str, Edit, str]] = [
    ("unknown field", cut("    axis: laterality", "    axes: laterality"), r"keywords\[0\]\.axes"),
    (
        "missing field",
        cut("    negative: right\n"),
        r"keywords\[0\]\.negative: expected text, got nothing",
    ),
    ("yes is true", cut("name: left\n", "name: yes\n"), r"keywords\[0\]\.name: .*true/false"),
    (
        "foreign negative",
        cut("negative: right", "negative: wrong"),
        r"keywords\.left\.negative.*`wrong`",
    ),
    ("own negative", cut("negative: right", "negative: left"), r"keywords\.left\.negative"),
    ("bad phrase", cut('"leftward"', '"left (ward"'), r"variants.*not closed"),
    ("said twice", cut('"leftward"', '"right"'), r"keywords\.right\.variants.*also of left"),
    (
        "no such attribute",
        cut(r"means: \[right, upper\]", "means: [right, uper]"),
        r"compounds.*`uper`",
    ),
    (
        "bad direction",
        cut("    direction: forward\n", "    direction: onward\n"),
        r"direction.*`onward`",
    ),
    (
        "list expected",
        cut(r'variants: \["upper"[^\]]*\]', "variants: upper"),
        r"variants: expected a list",
    ),
    ("duplicate rule", cut("id: plain_no", "id: not_seen"), r"rules.*`not_seen` 2 times"),
    ("other version", cut("version: 1", "version: 9"), r"version: expected 1, got 9"),
    ("a number", cut('"leftward"', "12"), r"variants\[2\].*a number"),
    (
        "phrase of two rules",
        cut('phrases: \\["no new", ', 'phrases: ["no", '),
        r"`no`, also in rules\.no_new",
    ),
]


@pytest.mark.parametrize(("edit", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_lexicon_is_refused_with_file_line_and_field(
    edit: Edit, message: str, tmp_path: Path
) -> None:
    text = ENGLISH.source.read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    assert edit(text) != text
    path.write_text(edit(text), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_lexicon(path)
    assert re.search(r"mine\.yaml row \d+", str(caught.value))


def test_the_line_in_the_message_is_the_line_of_the_defect(tmp_path: Path) -> None:
    lines = ENGLISH.source.read_text(encoding="utf-8").split("\n")
    number = next(n for n, line in enumerate(lines) if "negative: lower" in line)
    lines[number] = "    negative: downward"
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    entry = max(n for n in range(number) if lines[n].startswith("  - name:"))
    with pytest.raises(ConfigError, match=f"row {entry + 1}, field keywords.upper.negative"):
        load_lexicon(path)


def test_all_defects_are_reported_at_once(tmp_path: Path) -> None:
    text = ENGLISH.source.read_text(encoding="utf-8")
    text = text.replace("negative: right", "negative: wrong", 1).replace(
        "version: 1", "version: 7", 1
    )
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="2 problems"):
        load_lexicon(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a map, got nothing"),
        (b"a: [", "expected YAML"),
        (b"a: \xff", "UTF-8"),
        (b"a: &x [1]\nb: *x\n", "anchor or alias"),
        (b"a: !!python/object/apply:os.system [echo]\n", "expected"),
        (b"a: 1\na: 2\n", "got a second"),
        (b"language: 1.5\n", "language: expected text, got a number"),
        (b"- a\n- b\n", "expected a map"),
        (b"[" * 5000 + b"]" * 5000, "nesting"),
    ],
    ids=["empty", "broken", "latin", "alias", "tag", "twice", "float", "list", "deep"],
)
def test_a_file_that_is_no_plain_yaml_map_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_lexicon(path)


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="en, es"):
        load_lexicon("klingon")
