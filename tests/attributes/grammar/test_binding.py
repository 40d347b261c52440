from __future__ import annotations

import pytest

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer

STRUCTURER = Structurer(load_lexicon("en"))


def bound(text: str) -> list[str]:
    return [
        " ".join((finding.finding, *finding.attributes))
        for finding in STRUCTURER.structure_sentence(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        (
            "Small right effusion and patchy left basal opacity.",
            ["effusion right small", "opacity left basal patchy"],
            "each phrase keeps its words",
        ),
        ("Bibasilar opacities.", ["opacity bilateral basal"], "a compound says two keywords"),
        ("RUL consolidation.", ["consolidation right upper"], "an abbreviation expands"),
        (
            "Right middle and lower lobe consolidation.",
            ["consolidation right middle lower"],
            "coordination distributes",
        ),
        (
            "Opacity in the right middle lobe and left lower lobe atelectasis.",
            ["opacity right middle", "atelectasis left lower"],
            "the place after in belongs before it",
        ),
        ("In the left base there is opacity.", ["opacity left basal"], "a fronted place"),
        ("Opacities are patchy and bilateral.", ["opacity bilateral patchy"], "a predicate"),
        (
            "Consolidation and effusion in the left base.",
            ["consolidation left basal", "effusion left basal"],
            "a place shared by joined nouns",
        ),
        (
            "Right effusion and opacity in the left base.",
            ["effusion right", "opacity left basal"],
            "a placed noun takes no other place",
        ),
        (
            "Left basal consolidation and effusion.",
            ["consolidation left basal", "effusion left basal"],
            "a bare noun takes the place",
        ),
        ("Large effusion and opacity.", ["effusion severe large", "opacity"], "but not the size"),
        (
            "Patchy consolidation and opacity.",
            ["consolidation patchy", "opacity patchy"],
            "like findings share all",
        ),
        (
            "Old left rib fractures, right basal opacity.",
            ["opacity right basal"],
            "others keep theirs",
        ),
        (
            "Opacity in the right lung, left lung is clear.",
            ["opacity right"],
            "clear takes its side",
        ),
        ("Patchy areas of consolidation.", ["consolidation patchy"], "a partitive is transparent"),
        (
            "Left basal opacity may represent pneumonia.",
            ["opacity left basal", "pneumonia left basal"],
            "an explanation shares the place",
        ),
        (
            "Left basal opacity may represent lingular pneumonia.",
            ["opacity left basal", "pneumonia lingular"],
            "unless it has its own",
        ),
        (
            "Bilateral effusions, right greater than left.",
            ["effusion bilateral"],
            "a comparison of sides",
        ),
        ("Opacity sparing the apices.", ["opacity"], "what is spared is not bound"),
        ("Opacity, which has increased.", ["opacity increased"], "a relative clause"),
        ("Improving but persistent opacity.", ["opacity decreased stable"], "but inside a phrase"),
        (
            "Lungs: patchy infiltrate right base.",
            ["infiltrate right basal patchy"],
            "telegraph style",
        ),
        ("Nodular pattern and no edema.", ["edema"], "a denied noun takes no foreign texture"),
    ],
)
def test_attributes_reach_the_finding_they_describe(
    text: str, expected: list[str], reason: str
) -> None:
    assert bound(text) == expected, reason


def test_every_variant_of_every_keyword_gives_its_keyword() -> None:
    """Oracle: the table of PAPER_DETAILS 2.4, one phrase a variant before "opacity"."""
    missed = [
        (keyword.name, " ".join(variant))
        for keyword in STRUCTURER.lexicon.keywords
        for variant in keyword.variants
        if keyword.name
        not in {
            n
            for f in STRUCTURER.structure_sentence(f"{' '.join(variant).upper()} opacity.")
            for n in f.attributes
        }
    ]
    assert missed == []


def test_mirrored_sentences_give_mirrored_sides() -> None:
    swap = {"left": "right", "right": "left"}
    for text in (
        "Small left effusion and patchy right basal opacity.",
        "LUL opacity, right effusion.",
    ):
        mirrored = " ".join(swap.get(word, word) for word in text.replace("LUL", "RUL").split())
        expected = [" ".join(sorted(swap.get(w, w) for w in line.split())) for line in bound(text)]
        assert [" ".join(sorted(line.split())) for line in bound(mirrored)] == expected
