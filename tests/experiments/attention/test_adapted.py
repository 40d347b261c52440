"""Shuffled reports: films with an opacity swap words, the others keep theirs."""

from __future__ import annotations

import pandas as pd
import pytest

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import ManifestInfo, make_manifest
from experiments.attention.adapted import shuffled_reports

STATED = {
    "a": ["Portable film.", "Right lower lobe opacity."],
    "b": ["Left upper lobe consolidation."],
    "c": ["Bilateral opacities.", "Hazy."],
    "d": ["Left basal infiltrate."],
}
OTHERS = {"e": ["Lungs are clear. No opacity."], "f": ["Possible opacity."]}


def make_pairs(texts):
    studies = sorted(texts)
    images = pd.DataFrame(
        {
            "image_id": studies,
            "patient_id": studies,
            "study_id": studies,
            "path": studies,
            "width": 64,
            "height": 64,
        }
    )
    rows = [(study, "impression", text) for study in studies for text in texts[study]]
    reports = pd.DataFrame(rows, columns=["study_id", "section", "text"])
    info = ManifestInfo(builder="test", image_root=".")
    return make_manifest(images, None, reports, None, info=info)


def mined(pairs, folder):
    pairs.reports.to_csv(folder / "reports.csv", index=False)
    mine_reports(folder / "reports.csv", folder / "mined", lexicon=load_lexicon("en"), workers=1)
    return folder / "mined"


@pytest.mark.parametrize("seed", range(5))
def test_each_film_with_an_opacity_gets_the_whole_report_of_another_one(seed, tmp_path):
    pairs = make_pairs(STATED | OTHERS)
    shuffled = shuffled_reports(pairs, mined(pairs, tmp_path), seed)
    found = shuffled.groupby("study_id")["text"].agg(list).to_dict()
    assert {study: found[study] for study in OTHERS} == OTHERS
    assert sorted(found[study] for study in STATED) == sorted(STATED.values())
    assert all(found[study] != STATED[study] for study in STATED)


def test_a_single_report_has_none_to_swap_with(tmp_path):
    pairs = make_pairs({"a": STATED["a"]} | OTHERS)
    with pytest.raises(ConfigError, match="two reports"):
        shuffled_reports(pairs, mined(pairs, tmp_path), 0)
