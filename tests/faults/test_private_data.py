"""Patient data in DICOM elements and reports does not reach any output.

The file's name does: it is the film's id. DICOM exports refer to the patient on purpose and are
left out.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import DicomDictionary

from tests.data_manifests.film_files import ramp, write_dicom
from tests.localize.models import write_tiny_bundle

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
TEXT = {"LO", "SH", "PN", "ST", "LT", "UT", "UC"}
EXPORTS = {
    "coco": "c.json",
    "label-studio": "l.json",
    "cvat": "v.xml",
    "voc": "voc",
    "yolo": "yolo",
}


def film_with_canaries(path: Path) -> int:
    """A film with a canary in every text element and two private ones; returns their number."""
    write_dicom(path, ramp(96, 96))
    dataset = pydicom.dcmread(path)
    count = 0
    # Groups 0000 to 0006 are those of messages, file headers and directories.
    for tag, (vr, multiplicity, _, retired, _) in DicomDictionary.items():
        if vr in TEXT and tag >> 16 > 6 and not retired and multiplicity == "1":
            dataset.add_new(tag, vr, f"QXPATIENTXQ{count}")
            count += 1
    block = dataset.private_block(0x0011, "QXPATIENTXQ 1", create=True)
    block.add_new(1, "LO", "QXPATIENTXQ private")
    block.add_new(2, "UN", b"QXPATIENTXQ bytes")
    dataset.save_as(path)
    return count + 3


def test_no_canary_leaves_the_film(zygote, tmp_path, measured):
    films, out = tmp_path / "in", tmp_path / "out"
    out.mkdir()
    canaries = film_with_canaries(films / "films" / "film.dcm")
    reports = films / "reports.csv"
    with reports.open("w", newline="") as handle:
        text = "Mr QXPATIENTXQ Doe, born 1.1.1901. Left basal opacity. Signed: Dr QXPATIENTXQ Roe."
        csv.writer(handle).writerows([("study_id", "text"), ("s1", text)])
    write_tiny_bundle(tmp_path / "tiny")
    model, prediction = str(tmp_path / "tiny" / "bundle"), str(out / "prediction")
    rows = films / "rows.csv"
    rows.write_text("image_id,patient_id,study_id,path\nfilm,p,s1,film.dcm\n")
    commands = [
        ["predict", str(films / "films"), "--model", model, "--device", "cpu", "--out", prediction],
        ["gallery", prediction, "--films", str(films / "films")],
        ["manifest", "build", "csv", str(rows), "--films", str(films / "films"),
         "--read-films", "--out", str(out / "manifest")],
        ["manifest", "check", str(out / "manifest")],
        ["detector", "propose", "--model", model, "--manifest", str(out / "manifest"),
         "--device", "cpu", "--out", str(out / "rois")],
        ["attributes", "vectors", str(reports), "--out", str(out / "words")],
        *(["export", prediction, "--format", name, "--image-root", str(films / "films"),
           "--out", str(out / file)] for name, file in EXPORTS.items()),
    ]  # fmt: skip
    for number, command in enumerate(commands):
        log = out / f"log{number}.txt"
        assert zygote.run(command, log) == 0, log.read_text()
    files = [path for path in tmp_path.glob("out/**/*") if path.is_file()]
    assert len(files) > 20
    hits = [path.name for path in files if b"QXPATIENTXQ" in path.read_bytes().upper()]
    assert hits == []
    measured(f"{canaries} elements, {len(commands)} commands, {len(files)} files: 0 hits")
