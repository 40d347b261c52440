"""The `manifest` commands: exit codes, JSON, and nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from data_manifests.cli import app
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import read_manifest
from tests.data_manifests import fake_sets
from tests.data_manifests.film_files import ramp, write_dicom


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def csv_arguments(root: Path, out: Path) -> list[object]:
    columns = ["path=Filename", "patient_id=Person"]
    return [
        *("build", "csv", root / "films.csv", "--films", root, "--out", out),
        *(part for column in columns for part in ("--column", column)),
        *("--label", "Age", "--where", "Person!=", "--ids-from-paths"),
    ]


@pytest.mark.parametrize(
    ("make", "arguments", "films"),
    [
        (fake_sets.fake_rsna, ["rsna", "."], 4),
        (fake_sets.fake_nih, ["nih", ".", "--only-boxed"], 1),
        (fake_sets.fake_covid, ["covid", "."], 4),
        (fake_sets.fake_openi, ["openi", "--reports", "./ecgen-radiology"], 2),
        (fake_sets.fake_mimic, ["mimic-cxr", ".", "--reports", "."], 3),
        (fake_sets.fake_tables, ["csv"], 3),
    ],
)
def test_every_builder_has_a_command(
    tmp_path: Path, make: object, arguments: list[str], films: int
) -> None:
    root = make(tmp_path / "set")  # type: ignore[operator] # a function of fake_sets
    out = tmp_path / "m"
    if arguments == ["csv"]:
        result = run(*csv_arguments(root, out), "--json")
    else:
        placed = [part.replace(".", str(root), 1) if part[0] == "." else part for part in arguments]
        result = run("build", *placed, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["counts"]["films"] == films
    assert len(read_manifest(out).images) == films


def test_the_phantom_command_makes_a_sound_manifest(tmp_path: Path) -> None:
    arguments = ["--films", "2", "--size", "64", "--out", tmp_path / "m", "--json"]
    assert run("build", "phantom", *arguments).exit_code == 0
    checked = run("check", tmp_path / "m", "--read-films", "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)["counts"]["films"] == 2


def test_skipped_films_are_listed_and_the_rest_is_built(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    (root / "pix/a.png").write_bytes(b"")
    arguments = csv_arguments(root, tmp_path / "m")
    failed = run(*arguments)
    assert isinstance(failed.exception, DataError)
    assert not (tmp_path / "m").exists(), "nothing half-written"
    result = run(*arguments, "--on-error", "skip")
    assert result.exit_code == 0
    assert "left out: films.csv row 2" in result.stderr
    assert (tmp_path / "m/skipped.csv").read_text().count("films.csv,2") == 1
    (root / "pix/a.png").write_bytes((root / "pix/b.png").read_bytes())
    assert run(*arguments).exit_code == 0
    assert not (tmp_path / "m/skipped.csv").exists()


def test_a_header_without_a_word_on_burned_in_text_is_noted_in_the_manifest(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    with Image.open(root / "pix/a.png") as film:
        size = film.size
    write_dicom(
        root / "pix/a.png",
        ramp(*size[::-1]),
        BurnedInAnnotation=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
    )
    assert run(*csv_arguments(root, tmp_path / "m")).exit_code == 0
    options = json.loads((tmp_path / "m/manifest.json").read_text())["options"]
    noted = {name: count for name, count in options.items() if "Burned In Annotation" in name}
    assert list(noted.values()) == [1]


def test_check_exits_with_2_on_problems_and_lists_them_all(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    run(*csv_arguments(root, tmp_path / "m"))
    assert run("check", tmp_path / "m").exit_code == 0
    (root / "pix/b.png").unlink()
    result = run("check", tmp_path / "m", "--json")
    assert result.exit_code == 2
    problem = json.loads(result.stdout)["problems"][0]
    assert (problem["file"], problem["row"], problem["field"]) == ("images.csv", 3, "path")
    plain = run("check", tmp_path / "m")
    assert "no such file" in plain.stderr
    assert "problems" in plain.stdout
    assert run("check", tmp_path / "m", "--no-films").exit_code == 0
    unknown = run("check", tmp_path / "m", "--allow-leak", "x")
    assert unknown.exit_code == 2
    assert "nih-rsna" in unknown.stderr


def test_split_writes_in_place_or_elsewhere(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    run(*csv_arguments(root, tmp_path / "m"))
    result = run("split", tmp_path / "m", "--train", 1, "--val", 0, "--test", 1, "--json")
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["splits"]) == {"train", "test"}
    assert set(read_manifest(tmp_path / "m").images["split"]) == {"train", "test"}
    run("split", tmp_path / "m", "--around", tmp_path / "m", "--out", tmp_path / "deep/m2")
    second = read_manifest(tmp_path / "deep/m2")
    assert set(second.images["split"]) == {"train", ""}
    assert all(path.is_file() for path in second.film_paths())


def test_split_keeps_another_split_unless_told_to_replace_it(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    run(*csv_arguments(root, tmp_path / "m"))
    shares = ("--train", 1, "--val", 0, "--test", 1)
    assert run("split", tmp_path / "m", *shares).exit_code == 0
    before = (tmp_path / "m/images.csv").read_bytes()
    assert run("split", tmp_path / "m", *shares).exit_code == 0  # the same split again
    other = ("--train", 0, "--val", 1, "--test", 0)
    for target in ((), ("--out", tmp_path / "m")):
        refused = run("split", tmp_path / "m", *other, *target)
        assert isinstance(refused.exception, ConfigError)
        assert "--replace-split" in str(refused.exception)
    assert (tmp_path / "m/images.csv").read_bytes() == before
    assert run("split", tmp_path / "m", *other, "--keep-existing").exit_code == 0
    assert run("split", tmp_path / "m", *other, "--replace-split").exit_code == 0
    assert set(read_manifest(tmp_path / "m").images["split"]) == {"val"}


def test_split_refuses_contradicting_options(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    run(*csv_arguments(root, tmp_path / "m"))
    both = run("split", tmp_path / "m", "--around", tmp_path / "m", "--around-nih-pneumonia")
    assert isinstance(both.exception, ConfigError)
    nothing = run("split", tmp_path / "m", "--train", 0, "--val", 0, "--test", 0)
    assert isinstance(nothing.exception, ConfigError)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; import data_manifests.cli; "
        "print([m for m in ('pandas', 'numpy', 'torch', 'pydicom', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.faults
def test_patient_ids_are_in_no_message_about_films(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path / "set")
    text = (root / "films.csv").read_text().replace(",1,", ",CANARY-NAME,")
    (root / "films.csv").write_text(text)
    run(*csv_arguments(root, tmp_path / "m"))
    table = (tmp_path / "m/images.csv").read_text().split("\n")
    rows = [row.replace(",,mine", ",,") for row in table]
    rows[1] = rows[1].replace(",64,64,,", ",64,64,train,")
    rows[2] = rows[2].replace(",64,64,,", ",64,64,test,")
    (tmp_path / "m/images.csv").write_text("\n".join(rows))
    result = run("check", tmp_path / "m")
    assert result.exit_code == 2
    assert "patient_id" in result.output
    assert "CANARY" not in result.output
