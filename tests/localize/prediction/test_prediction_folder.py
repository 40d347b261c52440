"""Predictions that are read a few films at a time, against the same tables read whole."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from data_manifests.support.csv_file import read_text_csv, write_csv
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import write_manifest
from experiments.benchmark.random_tables import write_random_prediction
from localize.formats.export import export
from localize.formats.hub.from_tables import Selection, annotations_from_prediction
from localize.prediction import film_parts, table_blocks
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.prediction_folder import open_prediction
from localize.prediction.tables import read_prediction, write_prediction
from pneumoloc import command_line
from tests.localize.predictions import make_prediction, make_truth

ODD_IDS = ['quo"te', "comma, id", "line\nfeed", "return\rhere", "né", "007"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of three films and blocks of five rows: 40 films have many borders."""
    monkeypatch.setattr(film_parts, "PART_FILMS", 3)
    monkeypatch.setattr(film_parts, "BLOCK_ROWS", 5)


@pytest.fixture
def folder(tmp_path):
    """40 films, some without boxes, some skipped, with unsorted scores and ties."""
    random = np.random.default_rng(0)
    ids = [*ODD_IDS, *(f"film-{k}" for k in range(34))]
    boxes = [
        (image_id, 1, 2, 30, 40, round(float(random.random()), 1))
        for image_id in ids
        for _ in range(int(random.integers(0, 7)))
    ]
    prediction = make_prediction(
        ids,
        boxes,
        status=["skipped" if k % 9 == 8 else "ok" for k in range(40)],
        p_pneumonia=random.random(40).tolist(),
        attributes={"left": random.random(40).tolist()},
    )
    write_prediction(prediction, tmp_path / "prediction")
    return tmp_path / "prediction"


def dicts(prediction):
    return [film.to_dict() for part in prediction.parts() for film in films_of_prediction(part)]


def change(folder, name, edit):
    """Write a table anew: `edit` takes and gives a frame of texts."""
    write_csv(folder / name, edit(read_text_csv(folder / name)))


def shuffled(table):
    return table.sample(frac=1, random_state=3)


def test_parts_hold_the_same_films_as_the_whole(folder):
    parts = list(open_prediction(folder).parts())
    assert [len(part.images) for part in parts] == [3] * 13 + [1]
    assert dicts(open_prediction(folder)) == dicts(read_prediction(folder))


@pytest.mark.parametrize("format_name", ["coco", "label-studio", "cvat", "rsna-csv", "voc"])
def test_an_export_film_by_film_has_the_bytes_of_one_from_memory(folder, tmp_path, format_name):
    written = []
    for name, prediction in (("a", open_prediction(folder)), ("b", read_prediction(folder))):
        out = tmp_path / name / "out"
        annotations = annotations_from_prediction(prediction, Selection(min_score=0.3))
        boxes = export(annotations, format_name, out)
        assert boxes == sum(len(film) for film in annotations)
        files = [path for path in sorted((tmp_path / name).rglob("*")) if path.is_file()]
        written.append({str(p.relative_to(tmp_path / name)): p.read_bytes() for p in files})
    assert len(written[0]) >= 2
    assert written[0] == written[1]


@pytest.mark.parametrize("names", [["boxes.csv"], ["attributes.csv"], ["boxes.csv", "images.csv"]])
def test_tables_in_another_order_are_sorted_and_left_as_they_are(folder, names):
    for name in names:
        change(folder, name, shuffled)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    prediction = open_prediction(folder)
    assert prediction.sorted_copy is not None
    assert dicts(prediction) == dicts(read_prediction(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_sorted_parquet_keeps_all_digits(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(table_blocks, "PARQUET_ROWS", 60)
    prediction = read_prediction(folder)
    random = np.random.default_rng(1).random(len(prediction.boxes))
    boxes = prediction.boxes.assign(score=random, alpha=np.nan)
    write_prediction(
        type(prediction)(
            prediction.images, shuffled(boxes), prediction.attributes, prediction.info
        ),
        tmp_path / "packed",
    )
    assert (tmp_path / "packed/boxes.parquet").is_file()
    opened = open_prediction(tmp_path / "packed")
    assert opened.sorted_copy is not None
    assert dicts(opened) == dicts(read_prediction(tmp_path / "packed"))


HOSTILE = {
    "a box of an unknown film": ("boxes.csv", {"image_id": "nobody"}, "film of images"),
    "a box of a film far before": ("boxes.csv", {"x2": "0"}, "x1 < x2"),
    "attributes of an unknown film": ("attributes.csv", {"image_id": "nobody"}, "film of images"),
    "a film twice, far apart": ("images.csv", {"image_id": "007"}, "no earlier row"),
    "attributes twice, far apart": ("attributes.csv", {"image_id": "007"}, "no earlier row"),
    "text for a number": ("boxes.csv", {"score": "high"}, "field score: expected a finite"),
}


@pytest.mark.parametrize(("name", "values", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_row_is_refused_with_its_place_before_any_film_is_used(
    folder, name, values, message
):
    row = len(read_text_csv(folder / name)) - 4

    def edit(table):
        for column, value in values.items():
            table.loc[row, column] = value
        return table

    change(folder, name, edit)
    for read in (open_prediction, read_prediction):
        with pytest.raises(DataError, match=message) as raised:
            read(folder)
        assert row + 2 in [problem.row for problem in raised.value.problems]


def test_problems_of_many_parts_are_collected(folder):
    change(folder, "boxes.csv", lambda table: table.assign(x1="no"))
    rows = len(read_text_csv(folder / "boxes.csv"))
    with pytest.raises(DataError) as raised:
        open_prediction(folder)
    assert sum("finite number" in str(problem) for problem in raised.value.problems) == rows


def test_films_without_boxes_and_attributes_may_be_missing_there(folder):
    change(folder, "attributes.csv", lambda table: table.iloc[::3])
    change(folder, "boxes.csv", lambda table: table.iloc[:0])
    opened = open_prediction(folder)
    assert opened.sorted_copy is None
    assert dicts(opened) == dicts(read_prediction(folder))


def test_large_tables_are_parquet_and_read_the_same(folder, monkeypatch, tmp_path):
    prediction = read_prediction(folder)
    monkeypatch.setattr(table_blocks, "PARQUET_ROWS", 60)
    write_prediction(prediction, tmp_path / "packed")
    names = {path.name for path in (tmp_path / "packed").iterdir()}
    assert names == {"images.csv", "boxes.parquet", "attributes.csv", "prediction.json"}
    assert dicts(open_prediction(tmp_path / "packed")) == dicts(prediction)
    monkeypatch.undo()
    write_prediction(prediction, tmp_path / "packed")  # the other way round: no file is left over
    assert not (tmp_path / "packed/boxes.parquet").exists()
    assert dicts(open_prediction(tmp_path / "packed")) == dicts(prediction)


def test_csv_and_parquet_of_one_table_are_refused(folder):
    pd.DataFrame().to_parquet(folder / "boxes.parquet")
    with pytest.raises(DataError, match=r"one of boxes\.csv and boxes\.parquet"):
        open_prediction(folder)


def test_a_damaged_parquet_table_is_named(folder):
    (folder / "boxes.csv").unlink()
    (folder / "boxes.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"boxes\.parquet.*expected a parquet table"):
        open_prediction(folder)


def test_a_manifest_in_parquet_is_exported_as_one_in_csv(tmp_path):
    """Its images.csv told a manifest from a prediction; a large one has none."""
    manifest = make_truth(["a", "b"], [("a", 1, 2, 30, 40)])
    for kind in ("csv", "parquet"):
        write_manifest(manifest, tmp_path / kind)
    for name in ("images", "boxes"):
        (tmp_path / "parquet" / f"{name}.csv").unlink()
        getattr(manifest, name).to_parquet(tmp_path / "parquet" / f"{name}.parquet", index=False)
    for kind in ("csv", "parquet"):
        arguments = ["export", str(tmp_path / kind), "--format", "coco"]
        ran = CliRunner().invoke(
            command_line(), [*arguments, "--out", str(tmp_path / kind) + ".json"]
        )
        assert ran.exit_code == 0
        assert "1 boxes of 2 films" in ran.stdout
    assert (tmp_path / "csv.json").read_bytes() == (tmp_path / "parquet.json").read_bytes()


PEAK = """
import json, sys
from pathlib import Path
from experiments.benchmark.peak import peak_mib
from localize.formats.export import export
from localize.formats.hub.from_tables import annotations_from_prediction
from localize.prediction.prediction_folder import open_prediction
folder, out = map(Path, sys.argv[1:])
before = peak_mib()
prediction = open_prediction(folder)
for part in prediction.parts():
    pass
if prediction.rows.films <= 30_000:
    export(annotations_from_prediction(prediction), "rsna-csv", out)
print(json.dumps(peak_mib() - before))
"""


def peak_growth(folder, out) -> float:
    """MiB that reading (and up to 30,000 films: exporting) takes, in a new process."""
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder), str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(ran.stdout))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_films(tmp_path):
    """Ten times the films: held whole they would take 1.6 kB each. Seconds: real tables."""
    mib = {}
    for films in (10_000, 30_000, 100_000):
        write_random_prediction(tmp_path / str(films), films)
        mib[films] = peak_growth(tmp_path / str(films), tmp_path / f"{films}.csv")
    assert mib[30_000] < mib[10_000] + 24
    assert mib[100_000] < mib[10_000] + 24
