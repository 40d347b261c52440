"""Patient data stays in the film: a DICOM file full of marks goes the whole road, none get out."""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import pneumoloc
from localize.formats.format_name import ExportFormat
from localize.formats.registry import WRITERS
from localize.viewing.viewer.corrections import DOWNLOADS, Corrections
from localize.viewing.viewer.server import ViewerServer
from localize.viewing.viewer.viewer_films import ViewerFilms, predicted_films
from tests.data_manifests.film_files import write_dicom
from tests.localize.viewing.viewer.served import ask

FOLDER_MARK = "DOE-JOHN-FOLDER"
# Every text element of the modules of a digital radiograph (PS3.3 A.26.2) and some beyond.
TEXT = """
PatientName PatientID IssuerOfPatientID OtherPatientIDs OtherPatientNames PatientBirthName
PatientMotherBirthName PatientAddress PatientTelephoneNumbers PatientComments
MedicalRecordLocator MilitaryRank BranchOfService CountryOfResidence RegionOfResidence EthnicGroup
Occupation AdditionalPatientHistory PatientReligiousPreference MedicalAlerts Allergies
InstitutionName InstitutionAddress InstitutionalDepartmentName StationName Manufacturer
ManufacturerModelName DeviceSerialNumber SoftwareVersions DetectorID
ReferringPhysicianName ReferringPhysicianAddress PhysiciansOfRecord PerformingPhysicianName
NameOfPhysiciansReadingStudy RequestingPhysician OperatorsName ResponsiblePerson
AccessionNumber StudyID StudyDescription SeriesDescription ProtocolName
RequestedProcedureDescription PerformedProcedureStepID PerformedProcedureStepDescription
 AdmissionID AdmittingDiagnosesDescription
ImageComments DerivationDescription AcquisitionDeviceProcessingDescription PatientState
WindowCenterWidthExplanation
""".split()
DATES = "PatientBirthDate StudyDate SeriesDate AcquisitionDate ContentDate".split()
TIMES = "PatientBirthTime StudyTime SeriesTime AcquisitionTime ContentTime".split()
UIDS = "StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID".split()


def marks() -> dict[str, str]:
    """A distinct mark for each element."""
    found = {}
    for number, name in enumerate(TEXT):
        found[name] = f"MARK{number:02d}X"
    found |= {name: f"1913020{number + 1}" for number, name in enumerate(DATES)}
    found |= {name: f"03141{number}.592653" for number, name in enumerate(TIMES)}
    found["PatientAge"] = "113Y"
    return found


def write_marked_film(path: Path, number: int, **tags: object) -> dict[str, str]:
    """A chest film with every mark, in nested and private elements too; returns the marks."""
    found = marks()
    values: dict[str, object] = {
        **found,
        **{name: f"1.9.{number}.{name_number}" for name_number, name in enumerate(UIDS)},
    }
    values["SOPInstanceUID"] = f"1.9.{number}.99"
    levels = np.random.default_rng(number).integers(0, 4096, (160, 128))
    write_dicom(
        path,
        levels,
        BitsStored=12,
        HighBit=11,
        WindowCenter="2048",
        WindowWidth="4096",
        **{**values, **tags},
    )
    dataset = pydicom.dcmread(path)
    nested = Dataset()
    nested.RequestedProcedureID, nested.PatientName = "MARKNESTED", "MARKNESTED^NAME"
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], list(range(4096))
    table.LUTExplanation = "MARKTABLE"
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    dataset.VOILUTSequence = Sequence([table])
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "MARKUNIT"
    dataset.RequestAttributesSequence = Sequence([nested])
    dataset.OtherPatientIDsSequence = Sequence([nested])
    block = dataset.private_block(0x0009, "MARKCREATOR", create=True)
    block.add_new(1, "LO", "MARKPRIVATE")
    dataset.file_meta.SourceApplicationEntityTitle = "MARKAETITLE"
    dataset.preamble = b"MARKPREAMBLE".ljust(128, b"\0")
    dataset.ImagerPixelSpacing = [0.2, 0.2]
    dataset.save_as(path)
    return found


@pytest.fixture
def run(monkeypatch, capfd, caplog):
    """Run `pneumoloc ARGUMENTS`; keeps everything that is printed, logged or warned."""
    said: list[str] = []
    caplog.set_level(logging.DEBUG)

    def call(*arguments, code=0) -> str:
        monkeypatch.setattr(sys, "argv", ["pneumoloc", *map(str, arguments)])
        caplog.clear()  # what was said when the film was written
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(SystemExit) as ended:
                pneumoloc.main()
        captured = capfd.readouterr()
        text = "\n".join(
            [captured.out, captured.err, caplog.text, *(str(w.message) for w in caught)]
        )
        assert int(ended.value.code or 0) == code, text
        said.append(text)
        return text

    call.said = said  # type: ignore[attr-defined]
    return call


def searched(content: bytes) -> list[bytes]:
    """A file's bytes, and what is packed as base64 inside (pictures of a page)."""
    packed = re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)
    return [content, *(base64.b64decode(part) for part in packed)]


def leaks(content: bytes, names: dict[str, str]) -> list[str]:
    """The names of the marks that are in some bytes, as UTF-8 or UTF-16."""
    found = []
    for part in searched(content):
        folded = part.lower()
        for name, mark in names.items():
            plain = mark.lower()
            if plain.encode() in folded or plain.encode("utf-16-le") in folded:
                found.append(name)
    return found


OTHERS = {
    name: name
    for name in (
        "MARKNESTED", "MARKTABLE", "MARKUNIT", "MARKCREATOR", "MARKPRIVATE",
        "MARKAETITLE", "MARKPREAMBLE", FOLDER_MARK,
    )
}  # fmt: skip


@pytest.fixture
def road(tmp_path, bundle, run):
    """Two marked films (one of them damaged) predicted; the folder of all output."""
    pytest.importorskip("highdicom")
    films = tmp_path / FOLDER_MARK
    names = {**write_marked_film(films / "a.dcm", 1), **OTHERS}
    write_marked_film(films / "hand.dcm", 2, BodyPartExamined="HAND")
    write_marked_film(films / "cut.dcm", 3)
    content = (films / "cut.dcm").read_bytes()
    (films / "cut.dcm").write_bytes(content[: len(content) - 5000])
    out = tmp_path / "out"
    run(
        "predict", films, "--model", bundle, "--out", out / "prediction", "--on-error", "skip",
        "--max-boxes", 2,
        "--device", "cpu",
    )  # fmt: skip
    return films, out, names


UID_PATTERN = re.compile(rb"1\.9\.[123]\.\d+")


def test_no_mark_of_a_patient_is_in_any_output(road, run, tmp_path):
    films, out, names = road
    prediction = out / "prediction"
    made = json.loads((prediction / "prediction.json").read_text())
    assert made["options"]["max_boxes"] == 2
    for name in ExportFormat:
        ending = {"cvat": ".xml", "via": ".json", "rsna-csv": ".csv"}.get(name, ".json")
        target = out / (name if WRITERS[name].is_folder else f"{name}{ending}")
        run("export", prediction, "--format", name, "--out", target, "--image-root", films)
    run("gallery", prediction, "--films", films)
    run("drafts", prediction, "--out", out / "drafts.txt", "--min-score", 0)
    run("drafts", prediction, "--out", out / "drafts.json", "--min-score", 0)
    answers = _viewer(prediction, films, out)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) > 20
    for file in files:
        content = file.read_bytes()
        assert leaks(content, names) == [], file
        if file.suffix == ".dcm":
            assert leaks(str(pydicom.dcmread(file)).encode(), names) == [], file
            assert UID_PATTERN.search(content), "a DICOM object names its film by UID"
        else:
            assert not UID_PATTERN.search(content), f"{file.name} needs no UID"
    for said in [*run.said, *answers]:
        assert leaks(said.encode(), names) == []
    # highdicom logs the film's UID at a level that nobody sees; our own answers have none.
    assert not UID_PATTERN.search("\n".join(answers).encode())


def _viewer(prediction: Path, films: Path, out: Path) -> list[str]:
    """Every answer of the viewer, after its exports."""
    import threading

    from localize.inference.film_list import film_files
    from localize.prediction.tables import read_prediction

    server = ViewerServer(
        ViewerFilms(predicted_films(read_prediction(prediction), film_files(films))),
        Corrections(out / "corrections", "tester"),
        None,
        keywords=(),
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        body = json.dumps([{"xyxy": [1, 2, 30, 40], "label": "opacity"}])
        told = [
            str(ask(server, "/api/films")),
            str(ask(server, "/api/film?number=0")),
            str(ask(server, "/api/picture?number=0")),
            str(ask(server, "/api/film?number=999")),
        ]
        ask(server, "/api/save?number=0", method="POST", body=body)
        for name in DOWNLOADS:
            status, answer, _ = ask(server, f"/api/export?format={name}", method="POST", body="")
            assert status == 200, answer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return told


REFUSED_TAGS = {
    "free text for a body part": {"BodyPartExamined": "foot of Doe^John"},
    "free text for a view": {"ViewPosition": "LL of Doe^John", "BodyPartExamined": "Doe^John"},
    "free text for a modality": {"Modality": "Doe^John 1913"},
    "free text for the grey scale": {"PhotometricInterpretation": "Doe^John"},
}


@pytest.mark.parametrize("case", REFUSED_TAGS)
def test_a_refusal_does_not_repeat_free_text(case, tmp_path, bundle, run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_marked_film(tmp_path / "a.dcm", 1, **REFUSED_TAGS[case])
    said = run("predict", tmp_path / "a.dcm", "--model", bundle, "--out", tmp_path / "p", code=2)
    assert "a.dcm" in said
    assert leaks(said.encode(), {**marks(), "name": "Doe^John"}) == []
