from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from data_manifests.laterality import LungBorders
from data_manifests.support.errors import DataError
from localize.formats.dicom.sr import name_by_sop_uid, read_dicom_sr
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.import_boxes import import_boxes
from localize.prediction.film_prediction import FilmPrediction
from tests.localize.formats.dicom_films import CANARIES, write_dicom_film
from tests.localize.formats.films import (
    HOSTILE_NAMES,
    make_annotations,
    make_film,
    paired_iou,
    random_films,
)
from tests.localize.predictions import make_truth

hd = pytest.importorskip("highdicom")
TWO = ((10.5, 20.25, 110.0, 220.0), (0.0, 0.0, 512.0, 640.0))
KINDS = ("dicom-sr", "dicom-gsps", "dicom-seg")


def exported(tmp_path, kind, *films, **options):
    for number, film in enumerate(films):
        path = tmp_path / "films" / film.name
        if not path.exists():
            write_dicom_film(path, uid=f"1.2.3.4.5.{number}", width=film.width, height=film.height)
    options = FormatOptions(image_root=tmp_path / "films", **options)
    export(make_annotations(*films), kind, tmp_path / kind, options=options, has_sidecar=False)
    return tmp_path / kind


def dicom_film(name="a.dcm", boxes=TWO, **known):
    return make_film(name, boxes, **known)


def test_a_report_has_a_closed_upright_polyline_for_each_box(tmp_path):
    folder = exported(tmp_path, "dicom-sr", dicom_film())
    report = hd.sr.srread(folder / "a.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 2
    region = groups[0].roi
    assert region.graphic_type == hd.sr.GraphicTypeValues.POLYLINE
    assert region.value.tolist() == [
        [10.5, 20.25], [110, 20.25], [110, 220], [10.5, 220], [10.5, 20.25],
    ]  # fmt: skip
    assert groups[0].finding_type.value == "233604007"
    text = str(report)
    assert "Bounded by" in text
    assert "1.2.3.4.5.0" in text


def site_and_words(report, box):
    """The laterality of a box's finding site, and the laterality among its words."""
    group = report.content.get_planar_roi_measurement_groups()[box]
    words = {found.value.meaning for found in group.get_qualitative_evaluations()}
    laterality = group.finding_sites[0].laterality
    return laterality.meaning, words & {"Left", "Right", "Bilateral"}


def test_laterality_is_that_of_the_box_whatever_its_words(tmp_path):
    boxes = ((10, 20, 110, 220), (300, 20, 500, 220), (50, 20, 460, 220), (300, 20, 500, 220))
    words = (("bilateral",), ("bilateral", "left"), ("bilateral",), ("right",))
    folder = exported(tmp_path, "dicom-sr", dicom_film(boxes=boxes, keywords=words))
    report = hd.sr.srread(folder / "a.dcm")
    # The patient's right is on the left of the film.
    assert [site_and_words(report, box) for box in range(4)] == [
        ("Right", set()),
        ("Left", {"Left"}),
        ("Bilateral", {"Bilateral"}),
        ("Left", set()),
    ]


def test_laterality_follows_the_lungs_of_the_film(tmp_path):
    film = dicom_film(boxes=((200, 20, 250, 220),))
    prediction = FilmPrediction(
        image_id="a",
        path="a.dcm",
        boxes=film.boxes,
        scores=np.array([0.5]),
        alphas=np.array([0.5]),
        detector_scores=np.array([0.5]),
        labels=film.labels[:1],
        box_attributes=((),),
        borders=LungBorders(midline=0.3),
    )
    folder = exported(tmp_path, "dicom-sr", replace(film, prediction=prediction))
    assert site_and_words(hd.sr.srread(folder / "a.dcm"), 0)[0] == "Left"


def test_a_report_comes_back_with_scores_words_and_severity(tmp_path):
    films = [
        dicom_film(labels=("pneumonia", "nodule"), keywords=(("right", "mild"), ("patchy",))),
        dicom_film("sub/none.dcm", boxes=()),
    ]
    folder = exported(tmp_path, "dicom-sr", *films)
    back = {film.name: film for film in read_dicom_sr(folder)}
    film = back["1.2.3.4.5.0"]
    np.testing.assert_allclose(film.xyxy, TWO)
    np.testing.assert_allclose(film.scores, films[0].scores)
    assert film.labels == ("pneumonia", "nodule")
    assert film.keywords == (("right", "mild"), ("patchy",))
    assert film.severity == 3.5
    assert len(back["1.2.3.4.5.1"]) == 0


def test_reports_find_their_films_in_the_manifest_by_uid(tmp_path):
    folder = exported(tmp_path, "dicom-sr", dicom_film("some name.dcm", boxes=TWO[:1]))
    manifest = make_truth(["x", "y"])
    images = manifest.images.assign(
        path=["some name.dcm", "other.dcm"], width=[512, 512], height=[640, 640]
    )
    (tmp_path / "films" / "other.dcm").write_bytes(b"no DICOM")
    manifest = type(manifest)(
        images, manifest.boxes, manifest.reports, manifest.labels, manifest.info, tmp_path / "films"
    )
    films = name_by_sop_uid(read_dicom_sr(folder), manifest)
    assert import_boxes(films, manifest).boxes_of("x").xyxy.tolist() == [list(TWO[0])]


@pytest.mark.slow
def test_random_boxes_come_back_from_reports(tmp_path):
    films = [  # not ten thousand: highdicom takes tens of milliseconds a box
        make_film(f"{n}.dcm", film.xyxy, width=film.width, height=film.height, scores=film.scores)
        for n, film in enumerate(random_films(40, per_film=2))
    ]
    back = {film.name: film for film in read_dicom_sr(exported(tmp_path, "dicom-sr", *films))}
    for number, film in enumerate(films):
        # Coordinates of a report are 32-bit floats.
        other = back[f"1.2.3.4.5.{number}"]
        np.testing.assert_allclose(other.xyxy, film.xyxy, atol=0.01)
        assert paired_iou(other.xyxy, film.xyxy).min() >= 0.999


def test_a_presentation_state_draws_in_pixels_and_keeps_the_window(tmp_path):
    folder = exported(tmp_path, "dicom-gsps", dicom_film(), dicom_film("none.dcm", boxes=()))
    state = pydicom.dcmread(folder / "a.dcm")
    assert state.SOPClassUID.name == "Grayscale Softcopy Presentation State Storage"
    assert state.ContentLabel == "PNEUMONIA BOXES"
    assert len(state.ContentLabel) <= 16
    drawn = state.GraphicAnnotationSequence[0]
    line = drawn.GraphicObjectSequence[0]
    assert (line.GraphicType, line.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
    assert line.NumberOfGraphicPoints == 5
    points = np.array(line.GraphicData).reshape(-1, 2)
    assert points[0].tolist() == points[-1].tolist() == [10.5, 20.25]
    assert "0.90 left lower" in drawn.TextObjectSequence[0].UnformattedTextValue
    assert state.SoftcopyVOILUTSequence[0].WindowCenter == 2000
    assert "GraphicAnnotationSequence" not in pydicom.dcmread(folder / "none.dcm")


def test_a_segmentation_fills_each_box_in_a_segment_of_its_own(tmp_path):
    film = dicom_film(boxes=((10.0, 20.0, 110.0, 220.0), (50.0, 20.0, 50.4, 20.3)))
    folder = exported(tmp_path, "dicom-seg", film, dicom_film("none.dcm", boxes=()))
    segmentation = hd.seg.segread(folder / "a.dcm")
    assert (segmentation.Rows, segmentation.Columns) == (640, 512)
    frames = segmentation.pixel_array.reshape(-1, 640, 512)
    assert frames[0].sum() == 100 * 200
    assert frames[0][20, 10] == 1
    assert frames[0][19, 10] == 0
    assert frames[1].sum() == 1
    assert "0.90" in segmentation.SegmentSequence[0].SegmentLabel
    assert not (folder / "none.dcm").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_patient_leaves_unless_asked(tmp_path, kind):
    folder = exported(tmp_path, kind, dicom_film())
    content = (folder / "a.dcm").read_bytes()
    assert not [canary for canary in CANARIES if canary.encode() in content]
    assert b"20260101" not in content
    assert pydicom.dcmread(folder / "a.dcm").StudyInstanceUID == "1.2.3.4"
    (tmp_path / "again").mkdir()
    export(
        make_annotations(dicom_film()),
        kind,
        tmp_path / "again",
        options=FormatOptions(image_root=tmp_path / "films", keep_patient=True),
    )
    assert pydicom.dcmread(tmp_path / "again" / "a.dcm").PatientName == CANARIES[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_export_twice_is_the_same_object(tmp_path, kind):
    first = exported(tmp_path, kind, dicom_film()) / "a.dcm"
    uid = pydicom.dcmread(first).SOPInstanceUID
    first.unlink()
    assert pydicom.dcmread(exported(tmp_path, kind, dicom_film()) / "a.dcm").SOPInstanceUID == uid
    first.unlink()
    other = dicom_film(boxes=TWO[:1])
    assert pydicom.dcmread(exported(tmp_path, kind, other) / "a.dcm").SOPInstanceUID != uid


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_labels_and_names_stay_inside(tmp_path, kind):
    names = [
        name
        for name in HOSTILE_NAMES
        if not set("\x00\ud800") & set(name) and len(name) < 200 and ".." not in name
    ]
    label = '<script>\\"&\x00\n' + "x" * 100
    films = [
        dicom_film(name.lstrip("/"), TWO[:1], labels=(label,), keywords=(("<b>\\",),))
        for name in names
    ]
    folder = exported(tmp_path, kind, *films)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(films)
    assert {path.name for path in tmp_path.iterdir()} == {"films", kind}
    for file in files:
        pydicom.dcmread(file)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["missing", "no DICOM", "another size"])
def test_films_that_are_not_their_dicom_files_are_refused(tmp_path, kind, fault):
    path = tmp_path / "films" / "a.dcm"
    path.parent.mkdir()
    if fault == "no DICOM":
        path.write_bytes(b"JPEG")
    if fault == "another size":
        write_dicom_film(path, width=100, height=100)
    options = FormatOptions(image_root=tmp_path / "films")
    with pytest.raises(DataError, match=r"'a(\.dcm)?'"):
        export(make_annotations(dicom_film()), kind, tmp_path / "out", options=options)
    assert {p.name for p in tmp_path.iterdir()} == {"films"}


def test_a_tilted_region_of_a_viewer_is_refused_with_its_file(tmp_path):
    folder = exported(tmp_path, "dicom-sr", dicom_film(boxes=TWO[:1]))
    report = pydicom.dcmread(folder / "a.dcm")

    def tilt(item):
        for child in item.get("ContentSequence", []):
            if child.ValueType == "SCOORD":
                child.GraphicData = [10, 20, 110, 60, 90, 220, 0, 180, 10, 20]
            tilt(child)

    tilt(report)
    report.save_as(folder / "a.dcm")
    (folder / "b.dcm").write_bytes(b"no DICOM")
    with pytest.raises(DataError, match="upright rectangle") as error:
        read_dicom_sr(folder)
    assert len(error.value.problems) == 2
