"""Pages of published results are what the command writes from their JSON files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from data_manifests.support.errors import DataError
from experiments.tables.pages import THREE_SEEDS_FIGURES, rewrite_pages

RESULTS = Path(__file__).parents[3] / "docs" / "results"
KINDS = ("table1", "table2", "controlled", "curves", "ablation", "corrections", "benchmark")
FILES = sorted(
    file
    for file in RESULTS.rglob("*.json")
    if file.stem.partition("-")[0] in KINDS and file.parent.name in ("results", "bfloat16")
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(RESULTS)))
def test_a_published_page_is_written_from_its_json(file, tmp_path):
    shutil.copy(file, tmp_path)
    (page,) = rewrite_pages([tmp_path / file.name])
    assert page.read_text("utf-8") == file.with_suffix(".md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table1-x.json", "{}"),
        ("table1-x.json", "no JSON"),
        ("model.json", "{}"),
        ("curves-x.json", '{"rows": [1]}'),
    ],
)
def test_other_files_are_refused(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="expected results"):
        rewrite_pages([tmp_path / name])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_figures_in_the_notes_are_those_of_the_json():
    content = json.loads((RESULTS / "controlled-many-pairs-three-seeds.json").read_text("utf-8"))
    rows = {row["control"]: row for row in content["proposed_minus_controls"]}
    found = rows["trained_longer"]["diff_iou_50"]
    mean, low, high = (f"{found[key]:.3f}".replace("0.", ".") for key in ("mean", "low", "high"))
    assert THREE_SEEDS_FIGURES == f"IoU@.5 {mean} [{low}, {high}]"
