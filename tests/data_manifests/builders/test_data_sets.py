"""What each builder takes from its data set, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from data_manifests.builders.build import BuildOptions
from data_manifests.builders.covid import build_covid
from data_manifests.builders.mimic_cxr import build_mimic_cxr
from data_manifests.builders.nih import build_nih
from data_manifests.builders.openi import build_openi
from data_manifests.builders.row_rules import parse_filter, parse_rule
from data_manifests.builders.rsna import build_rsna
from data_manifests.builders.sources import torchxrayvision_file
from data_manifests.builders.tables import ColumnMapping, TableSelection, build_tables
from data_manifests.support.errors import ConfigError, DataError
from tests.data_manifests import fake_sets
from tests.data_manifests.film_files import ramp, write_png


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_rsna_has_boxes_classes_and_header_facts(tmp_path: Path) -> None:
    manifest = build_rsna(fake_sets.fake_rsna(tmp_path)).manifest
    first = fake_sets.RSNA_IDS[0]
    assert manifest.boxes_of(first).xyxy.tolist() == [[264, 152, 477, 531], [562, 152, 818, 605]]
    labels = manifest.labels.set_index("image_id")
    assert labels["pneumonia"].to_list() == [1, 0, 1, 0]
    assert labels["rsna_class"][fake_sets.RSNA_IDS[3]] == "Normal"
    assert labels["sex"].to_list() == ["F"] * 4
    assert labels["age"].to_list() == [51] * 4
    assert manifest.images["view"].to_list() == ["PA", "AP", "PA", "AP"]
    assert manifest.images["patient_id"].to_list() == fake_sets.RSNA_IDS, "unknown without mapping"


def test_rsna_patients_come_from_the_mapping(tmp_path: Path) -> None:
    root = fake_sets.fake_rsna(tmp_path, side=32)
    mapping = root / "pneumonia-challenge-dataset-mappings_2018.json"
    options = BuildOptions(scale_boxes=True)
    manifest = build_rsna(root, mapping=mapping, options=options).manifest
    assert manifest.images["patient_id"].to_list() == ["00000001"] * 2 + ["00000002"] * 2
    assert manifest.labels["nih_image"][3] == "00000002_003"
    expected = np.array([[264, 152, 477, 531], [562, 152, 818, 605]]) / 32
    np.testing.assert_allclose(manifest.boxes_of(fake_sets.RSNA_IDS[0]).xyxy, expected)


def test_rsna_boxes_on_resized_films_are_refused_unless_scaled(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        build_rsna(fake_sets.fake_rsna(tmp_path, side=512))
    assert [problem.row for problem in caught.value.problems] == [2, 3, 5]
    assert "--scale-boxes" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("379.0,1", "379.0,0", 2),
        (",,,,,0\n", ",,,,,1\n", 4),
        ("104.0,1", "104.0,x", 5),
    ],
)
def test_rsna_contradictions_are_named_by_line(
    tmp_path: Path, old: str, new: str, row: int
) -> None:
    root = fake_sets.fake_rsna(tmp_path, side=32)
    replace(root / "stage_2_train_labels.csv", old, new) if "," not in new[:2] else replace(
        root / "stage_2_train_labels.csv",
        f"{fake_sets.RSNA_IDS[1]}{old}",
        f"{fake_sets.RSNA_IDS[1]}{new}",
    )
    with pytest.raises(DataError) as caught:
        build_rsna(root)
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [(row, "Target")]


def test_a_box_outside_names_the_line_of_the_published_file(tmp_path: Path) -> None:
    root = fake_sets.fake_rsna(tmp_path)
    replace(root / "stage_2_train_labels.csv", "323.0,577.0,160.0", "923.0,577.0,160.0")
    with pytest.raises(DataError, match=r"stage_2_train_labels\.csv row 5, field x1,y1,x2,y2"):
        build_rsna(root)


def test_nih_has_patients_mined_labels_and_only_the_boxes_asked_for(tmp_path: Path) -> None:
    root = fake_sets.fake_nih(tmp_path)
    manifest = build_nih(root, official_split=True).manifest
    assert manifest.images["patient_id"].to_list() == ["00000013"] * 2 + ["00000032", "00000040"]
    assert manifest.images["split"].to_list() == ["train", "train", "test", "test"]
    assert manifest.images["path"][1] == "images_002/images/00000013_009.png"
    assert manifest.boxes["label"].to_list() == ["Pneumonia"]
    x1, _, x2, _ = manifest.boxes_of("00000013_008").xyxy[0]
    assert (x1, x2) == pytest.approx((225.084745762712, 225.084745762712 + 86.7796610169491))
    labels = manifest.labels.set_index("image_id")
    assert labels["pneumonia"].fillna(-1).to_list() == [1, 0, -1, 0]
    assert labels["age"].to_list() == [60, 60, 58, 4]
    both = build_nih(root, box_labels=("Pneumonia", "Effusion"), only_boxed=True).manifest
    assert both.images["image_id"].to_list() == ["00000013_008", "00000032_001"]


def test_nih_also_reads_the_2020_edition_and_short_box_rows(tmp_path: Path) -> None:
    root = fake_sets.fake_nih(tmp_path)
    text = (root / "Data_Entry_2017.csv").read_text().replace(",\n", "\n").replace("060Y", "60")
    (root / "Data_Entry_2017.csv").rename(root / "old.csv")
    (root / "Data_Entry_2017_v2020.csv").write_text(text)
    boxes = (root / "BBox_List_2017.csv").read_text().replace("79.18,,,", "79.18")
    (root / "BBox_List_2017.csv").write_text(boxes)
    assert len(build_nih(root).manifest.boxes) == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        ("Data_Entry_2017.csv", ",13,", ",14,", "Data_Entry_2017.csv row 2, field Image Index"),
        ("BBox_List_2017.csv", "547.019216763771", "x", "BBox_List_2017.csv row 2"),
        ("BBox_List_2017.csv", ",79.18,,,", "", "BBox_List_2017.csv row 2"),
        ("BBox_List_2017.csv", "Bbox [x", "Box [x", "BBox_List_2017.csv row 1, field Bbox [x"),
        ("BBox_List_2017.csv", "00000013_008", "00099999_008", "BBox_List_2017.csv row 2"),
        ("BBox_List_2017.csv", "225.0", "1225.0", "BBox_List_2017.csv row 2, field x1"),
    ],
)
def test_nih_problems_are_named_by_line(
    tmp_path: Path, file: str, old: str, new: str, where: str
) -> None:
    root = fake_sets.fake_nih(tmp_path)
    replace(root / file, old, new)
    with pytest.raises(DataError) as caught:
        build_nih(root)
    assert where in str(caught.value)


def test_one_film_name_in_two_folders_is_ambiguous(tmp_path: Path) -> None:
    root = fake_sets.fake_nih(tmp_path, side=32)
    write_png(root / "copy/00000040_000.png", ramp())
    with pytest.raises(DataError, match="expected one film, got 00000040_000"):
        build_nih(root)


def test_covid_keeps_frontal_films_merges_patients_and_joins_scores(tmp_path: Path) -> None:
    manifest = build_covid(fake_sets.fake_covid(tmp_path)).manifest
    assert manifest.images["image_id"].to_list() == ["a", "b", "c.1", "d"]
    assert manifest.images["patient_id"].to_list() == ["covid-97", "covid-97", "covid-5", "covid-6"]
    labels = manifest.labels.set_index("image_id")
    assert labels["pneumonia"].fillna(-1).to_list() == [1, 1, 0, -1]
    assert labels["severity"].fillna(-1).to_list() == [6.0, 2.7, -1, -1]
    assert labels["severity_opacity"]["b"] == 2.0
    assert manifest.reports["study_id"].to_list() == ["a", "c.1"]
    assert manifest.reports["text"][0] == "Patchy, right."
    assert manifest.info.options["films_not_frontal_or_not_xray"] == 2
    assert "covid-severity-scores.csv" in manifest.info.sources


def test_covid_scores_without_their_columns_are_refused(tmp_path: Path) -> None:
    root = fake_sets.fake_covid(tmp_path)
    replace(root / "annotations/covid-severity-scores.csv", "geographic_mean,", "extent,")
    with pytest.raises(DataError, match="geographic_mean"):
        build_covid(root)
    with pytest.raises(DataError, match=r"none\.csv"):
        build_covid(root, severity_scores=root / "none.csv")


@pytest.mark.parametrize("form", ["ecgen-radiology", "NLMCXR_reports.tgz"])
def test_openi_reads_sections_from_a_folder_or_an_archive(tmp_path: Path, form: str) -> None:
    root = fake_sets.fake_openi(tmp_path)
    manifest = build_openi(root / form, films=root / "png").manifest
    assert manifest.images["study_id"].to_list() == ["CXR1", "CXR2"]
    reports = manifest.reports[manifest.reports["study_id"] == "CXR2"]
    assert reports["section"].to_list() == ["comparison", "findings", "impression"]
    assert reports["text"].to_list() == ["None.", "Opacity < 1 cm.", "Normal chest."]
    assert set(manifest.reports["study_id"]) == {"CXR1", "CXR2", "CXR3"}
    assert manifest.labels["pneumonia"].to_list() == [0, 1]


def test_openi_reports_need_no_films(tmp_path: Path) -> None:
    root = fake_sets.fake_openi(tmp_path)
    manifest = build_openi(root / "ecgen-radiology").manifest
    assert manifest.info.options["films"] == "absent"
    assert manifest.images["path"][0] == "CXR1_1_IM-0001-9001.png"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<eCitation>", "ParseError"),
        ("<eCitation><a/></eCitation>", "no uId"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><eCitation><uId id="1"/></eCitation>', "DTDForbidden"),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "b">]>'
            '<eCitation><uId id="1"/></eCitation>',
            "DTDForbidden",
        ),
        ('<?xml version="1.0" encoding="no such"?><eCitation/>', "2.xml"),
        ("<a>" + " " * 1_000_001 + "</a>", "bytes"),
    ],
)
def test_openi_refuses_hostile_xml(tmp_path: Path, content: str, reason: str) -> None:
    root = fake_sets.fake_openi(tmp_path)
    encoding = "utf-16" if "utf-16" in content else "utf-8"
    (root / "ecgen-radiology/2.xml").write_text(content, encoding)
    with pytest.raises(DataError, match=reason) as caught:
        build_openi(root / "ecgen-radiology")
    assert "2.xml" in str(caught.value)


def test_openi_ships_inside_torchxrayvision_which_is_not_imported() -> None:
    if torchxrayvision_file("NLMCXR_reports.tgz") is None:
        pytest.skip("torchxrayvision is not installed")
    before = "torchxrayvision" in sys.modules
    manifest = build_openi().manifest
    assert ("torchxrayvision" in sys.modules) == before
    assert manifest.reports["study_id"].nunique() == 3927
    sections = manifest.reports["section"].value_counts()
    assert sections[["findings", "impression"]].to_list() == [3425, 3921]
    assert len(manifest.images) == 6148


def test_mimic_has_frontal_films_splits_labels_and_reports(tmp_path: Path) -> None:
    root = fake_sets.fake_mimic(tmp_path)
    manifest = build_mimic_cxr(root, reports=root, boxes=root / "boxes.json").manifest
    assert manifest.images["view"].to_list() == ["PA", "AP", "AP"]
    assert manifest.images["split"].to_list() == ["train", "train", "val"]
    assert manifest.images["patient_id"].to_list() == ["p10000032", "p10000032", "p10000980"]
    assert manifest.images["path"][0].startswith("files/p10/p10000032/s50414267/02aa804e")
    assert manifest.labels["pneumonia"].fillna(-1).to_list() == [0, 1, -1]
    assert manifest.labels["chexpert_pneumonia"].fillna(0).to_list() == [0, 1, -1]
    assert manifest.reports["study_id"].to_list() == ["s50414267", "s53189527"]
    assert "Left basal" in manifest.reports["text"][0]
    assert manifest.boxes[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[4, 8, 24, 38]]
    assert manifest.boxes["label"].to_list() == ["pneumonia"]
    boxed = build_mimic_cxr(root, boxes=root / "boxes.json", only_boxed=True).manifest
    assert len(boxed.images) == 2, "the films that the boxes file lists, also without a box"


def test_mimic_reports_come_in_sections_also_where_the_body_has_no_heading(tmp_path: Path) -> None:
    root = fake_sets.fake_mimic(tmp_path)
    report = root / "files/p10/p10000032/s50414267.txt"
    report.write_text(
        "                 FINAL REPORT\n INDICATION:  ___F with cough, pneumonia?\n\n"
        " PA and lateral chest.  Comparison made to ___.\n\n Small right effusion.\n\n"
        " IMPRESSION:  Right effusion.\n"
    )
    reports = build_mimic_cxr(root, reports=root).manifest.reports
    rows = reports[reports["study_id"] == "s50414267"]
    assert rows["section"].to_list() == ["indication", "report", "impression"]
    assert "Small right effusion." in rows["text"].to_list()[1]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"width": 64', '"width": 128', "--scale-boxes"),
        ("2a2277a9", "174413ec", "an image_id of images.csv"),
        ('"images"', '"pictures"', "KeyError"),
        ("[4, 8, 20, 30]", "[4, 8, 80, 30]", "inside the film"),
        ("[4, 8, 20, 30]", "[4, 8]", "COCO"),
    ],
)
def test_mimic_boxes_are_checked(tmp_path: Path, old: str, new: str, reason: str) -> None:
    root = fake_sets.fake_mimic(tmp_path)
    replace(root / "boxes.json", old, new)
    with pytest.raises(DataError) as caught:
        build_mimic_cxr(root, boxes=root / "boxes.json")
    assert reason in str(caught.value)
    assert "boxes.json" in str(caught.value)


def mapped(root: Path, **changes: object) -> object:
    settings: dict[str, object] = {
        "columns": ColumnMapping(
            images={"path": "Filename", "patient_id": "Person"},
            boxes={
                "image_id": "Filename",
                "x": "bx",
                "y": "by",
                "width": "bw",
                "height": "bh",
                "label": "kind",
                "annotator": "who",
            },
            labels={"age": "Age"},
            report_columns=("Note",),
        ),
        "selection": TableSelection(
            where=[parse_filter("Person!="), parse_filter("pneumonia!=")],
            rules=[
                parse_rule("pneumonia=1 where Class=Opacity"),
                parse_rule("pneumonia=0 where Class=Normal and Person!=9"),
            ],
            ids_from_paths=True,
            source="mine",
        ),
    }
    settings.update(changes)
    return build_tables(root / "films.csv", root, boxes=root / "rects.csv", **settings)  # type: ignore[arg-type] # changed by name


def test_tables_are_mapped_filtered_and_labelled(tmp_path: Path) -> None:
    manifest = mapped(fake_sets.fake_tables(tmp_path)).manifest  # type: ignore[attr-defined] # a Build
    assert manifest.images["image_id"].to_list() == ["a", "b"], "c has no label, d no patient"
    assert manifest.images["study_id"].to_list() == ["a", "b"]
    assert manifest.boxes_of("a").xyxy.tolist() == [[2, 3, 22, 33]]
    assert manifest.boxes[["label", "annotator"]].to_numpy().tolist() == [["opacity", "me"]]
    assert manifest.labels["pneumonia"].to_list() == [1, 0]
    assert manifest.labels["age"].to_list() == [40, 41]
    assert manifest.reports.to_numpy().tolist() == [["a", "Note", "Right lower lobe opacity."]]
    assert "pneumonia=1 where Class=Opacity" in manifest.info.options["rules"]


def test_a_box_on_a_film_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    root = fake_sets.fake_tables(tmp_path)
    replace(root / "rects.csv", "pix/a.png", "pix/z.png")
    with pytest.raises(DataError, match=r"rects\.csv row 2, field image_id"):
        mapped(root)


@pytest.mark.parametrize(
    ("columns", "error", "reason"),
    [
        (ColumnMapping(images={"path": "Nope"}), DataError, "Nope"),
        (
            ColumnMapping(images={"path": "Filename"}),
            DataError,
            r"no patient_id in .*Filename.*; map yours: --column",
        ),
        (ColumnMapping(images={"colour": "Filename"}), ConfigError, "colour"),
        (ColumnMapping(boxes={"x3": "bx"}), ConfigError, "x3"),
    ],
)
def test_a_bad_mapping_names_the_column(
    tmp_path: Path, columns: ColumnMapping, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        mapped(fake_sets.fake_tables(tmp_path), columns=columns)


@pytest.mark.parametrize("text", ["", "x", "=1", "!=1", "pneumonia=1 where x"])
def test_filters_and_rules_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_rule(text)
    if " where " not in text:
        with pytest.raises(ConfigError):
            parse_filter(text)
