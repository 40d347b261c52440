"""What every builder does alike: one contract over all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_manifests.builders.build import Build, BuildOptions
from data_manifests.builders.covid import build_covid
from data_manifests.builders.mimic_cxr import build_mimic_cxr
from data_manifests.builders.nih import build_nih
from data_manifests.builders.openi import build_openi
from data_manifests.builders.row_rules import parse_filter
from data_manifests.builders.rsna import build_rsna
from data_manifests.builders.tables import ColumnMapping, TableSelection, build_tables
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.check import check_manifest
from data_manifests.tables.manifest import read_manifest, write_manifest
from tests.data_manifests import fake_sets


def _tables(root: Path, options: BuildOptions) -> Build:
    return build_tables(
        root / "films.csv",
        root,
        columns=ColumnMapping(images={"path": "Filename", "patient_id": "Person"}),
        selection=TableSelection(where=[parse_filter("Person!=")], ids_from_paths=True),
        options=options,
    )


@dataclass(frozen=True)
class Case:
    """A builder, its fake tree, its table of films and one column of it."""

    make: Callable[[Path], Path]
    build: Callable[[Path, BuildOptions], Build]
    films: int
    table: str
    column: str


CASES = {
    "rsna": Case(
        fake_sets.fake_rsna,
        lambda root, options: build_rsna(root, options=options),
        4,
        "stage_2_train_labels.csv",
        "Target",
    ),
    "nih": Case(
        fake_sets.fake_nih,
        lambda root, options: build_nih(root, options=options),
        4,
        "Data_Entry_2017.csv",
        "Patient ID",
    ),
    "covid": Case(
        fake_sets.fake_covid,
        lambda root, options: build_covid(root, options=options),
        4,
        "metadata.csv",
        "modality",
    ),
    "openi": Case(
        fake_sets.fake_openi,
        lambda root, options: build_openi(
            root / "ecgen-radiology", films=root / "png", options=options
        ),
        2,
        "",
        "",
    ),
    "mimic-cxr": Case(
        fake_sets.fake_mimic,
        lambda root, options: build_mimic_cxr(root, reports=root, options=options),
        3,
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "ViewPosition",
    ),
    "csv": Case(fake_sets.fake_tables, _tables, 3, "films.csv", "Person"),
}
FAIL, SKIP = BuildOptions(), BuildOptions(on_error="skip")

every_builder = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def tree(tmp_path: Path, name: str) -> Path:
    return CASES[name].make(tmp_path / "set")


@every_builder
def test_a_faithful_tree_becomes_a_sound_manifest(tree: Path, name: str) -> None:
    build = CASES[name].build(tree, BuildOptions(read_films=True, checksums=True))
    assert len(build.manifest.images) == CASES[name].films
    assert build.skipped == ()
    out = tree.parent / "m"
    write_manifest(build.manifest, out)
    report = check_manifest(out, read_films=True)
    assert report.is_sound, report.problems
    images = read_manifest(out).images
    assert (images["sha256"].str.len() == 64).all()
    assert images["width"].notna().all()
    assert read_manifest(out).info.builder == name
    assert images["source"].nunique() == 1


@every_builder
def test_two_builds_are_equal_byte_for_byte(tree: Path, name: str) -> None:
    for out in ("m1", "m2"):
        write_manifest(CASES[name].build(tree, FAIL).manifest, tree.parent / out)
    for path in (tree.parent / "m1").iterdir():
        assert path.read_bytes() == (tree.parent / "m2" / path.name).read_bytes()


@every_builder
@pytest.mark.parametrize("fault", ["missing", "truncated", "empty"])
def test_a_bad_film_stops_the_build_or_is_left_out(tree: Path, name: str, fault: str) -> None:
    first = CASES[name].build(tree, FAIL).manifest.film_paths()[0]
    if fault == "missing":
        first.unlink()
    else:
        first.write_bytes(first.read_bytes()[:140] if fault == "truncated" else b"")
    with pytest.raises(DataError) as caught:
        CASES[name].build(tree, BuildOptions(read_films=True))
    assert first.stem in str(caught.value)
    build = CASES[name].build(tree, BuildOptions("skip", read_films=True))
    assert len(build.manifest.images) == CASES[name].films - 1
    assert len(build.skipped) == 1
    assert build.manifest.info.options["skipped_films"] == 1


@every_builder
def test_no_films_at_all_is_an_error_even_when_skipping(tree: Path, name: str) -> None:
    for path in CASES[name].build(tree, FAIL).manifest.film_paths():
        path.unlink()
    with pytest.raises(DataError, match="at least one usable film"):
        CASES[name].build(tree, SKIP)


@every_builder
def test_a_missing_column_names_file_and_column(tree: Path, name: str) -> None:
    case = CASES[name]
    if not case.table:
        pytest.skip("reports are XML files")
    path = tree / case.table
    import gzip

    packed = path.suffix == ".gz"
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    content = content.replace(case.column.encode(), b"Other", 1)
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError) as caught:
        case.build(tree, SKIP)
    assert case.table in str(caught.value)
    assert case.column in str(caught.value)


@every_builder
def test_a_folder_without_the_data_set_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        CASES[name].build(tmp_path, SKIP)


@every_builder
def test_an_undecodable_table_is_an_error(tree: Path, name: str) -> None:
    path = tree / (CASES[name].table or "ecgen-radiology/1.xml")
    path.write_bytes(b"\xff\xfe\x00,\x9d\n\xff")
    with pytest.raises(DataError, match=path.name):
        CASES[name].build(tree, SKIP)


@every_builder
def test_a_moved_tree_gives_the_same_tables(tree: Path, name: str) -> None:
    write_manifest(CASES[name].build(tree, FAIL).manifest, tree.parent / "m1")
    moved = tree.parent / "elsewhere/set"
    shutil.move(tree, moved)
    write_manifest(CASES[name].build(moved, FAIL).manifest, tree.parent / "m2")
    for table in ("images", "boxes", "reports", "labels"):
        first, second = (tree.parent / m / f"{table}.csv" for m in ("m1", "m2"))
        assert first.read_bytes() == second.read_bytes()


def test_on_error_is_fail_or_skip() -> None:
    with pytest.raises(ConfigError, match="fail or skip"):
        BuildOptions(on_error="ignore")
