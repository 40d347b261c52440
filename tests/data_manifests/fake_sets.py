"""Tiny trees of films and tables in the layouts that the data sets publish."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np

from tests.data_manifests.film_files import ramp, write_dicom, write_jpeg, write_png

RSNA_IDS = [f"0004cfab-14fd-4e49-80ba-63a80b6bddd{index}" for index in range(4)]
NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
)
COVID_HEADER = (
    "patientid,offset,sex,age,finding,RT_PCR_positive,survival,intubated,intubation_present,"
    "went_icu,in_icu,needed_supplemental_O2,extubated,temperature,pO2_saturation,leukocyte_count,"
    "neutrophil_count,lymphocyte_count,view,modality,date,location,folder,filename,doi,url,license,"
    "clinical_notes,other_notes,\n"
)
MIMIC_HEADER = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
    "StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
    "PatientOrientationCodeSequence_CodeMeaning\n"
)


def _levels(number: int, side: int = 32) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    levels = ramp(side, side)
    levels[0, 0] = number
    return levels


def fake_rsna(root: Path, side: int = 1024) -> Path:
    """Four films: two boxes, none, one, none; the films are small but for `side`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "stage_2_train_labels.csv").write_text(
        "patientId,x,y,width,height,Target\n"
        f"{RSNA_IDS[0]},264.0,152.0,213.0,379.0,1\n"
        f"{RSNA_IDS[0]},562.0,152.0,256.0,453.0,1\n"
        f"{RSNA_IDS[1]},,,,,0\n"
        f"{RSNA_IDS[2]},323.0,577.0,160.0,104.0,1\n"
        f"{RSNA_IDS[3]},,,,,0\n"
    )
    (root / "stage_2_detailed_class_info.csv").write_text(
        "patientId,class\n"
        f"{RSNA_IDS[0]},Lung Opacity\n{RSNA_IDS[0]},Lung Opacity\n"
        f"{RSNA_IDS[1]},No Lung Opacity / Not Normal\n{RSNA_IDS[2]},Lung Opacity\n"
        f"{RSNA_IDS[3]},Normal\n"
    )
    for number, film in enumerate(RSNA_IDS):
        write_dicom(
            root / f"stage_2_train_images/{film}.dcm",
            _levels(number, side),
            Modality="CR",
            ViewPosition="AP" if number % 2 else "PA",
            PatientSex="F",
            PatientAge="51",
        )
    (root / "pneumonia-challenge-dataset-mappings_2018.json").write_text(
        json.dumps(
            [
                {
                    "subset_img_id": film,
                    "img_id": f"0000000{number // 2 + 1}_00{number}.png",
                    "orig_labels": ["No Finding"],
                    "StudyInstanceUID": f"1.2.{number}",
                }
                for number, film in enumerate(RSNA_IDS)
            ]
        )
    )
    return root


def fake_nih(root: Path, side: int = 1024) -> Path:
    """Four films of three patients; a pneumonia box and an effusion box; the odd box header."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [
        ("00000013_008.png", "Infiltration|Pneumonia", 8, 13, "060Y", "M", "AP"),
        ("00000013_009.png", "No Finding", 9, 13, "060Y", "M", "AP"),
        ("00000032_001.png", "Effusion", 1, 32, "058Y", "F", "PA"),
        ("00000040_000.png", "No Finding", 0, 40, "004Y", "F", "PA"),
    ]
    (root / "Data_Entry_2017.csv").write_text(
        NIH_HEADER + "".join(f"{','.join(map(str, row))},2500,2048,0.168,0.168,\n" for row in rows)
    )
    (root / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000013_008.png,Pneumonia,225.084745762712,547.019216763771,86.7796610169491,79.18,,,\n"
        "00000032_001.png,Effusion,686.1,131.5,185.4,313.4,,,\n"
    )
    for number, row in enumerate(rows):
        write_png(root / f"images_00{number % 2 + 1}/images/{row[0]}", _levels(number, side))
    (root / "train_val_list.txt").write_text("00000013_008.png\n00000013_009.png\n")
    (root / "test_list.txt").write_text("00000032_001.png\n00000040_000.png\n")
    return root


def fake_covid(root: Path, side: int = 64) -> Path:
    """Six rows: four frontal X-rays, one lateral, one CT; two ids of one patient."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [
        (
            "97",
            "0",
            "PA",
            "X-ray",
            "images",
            "a.jpeg",
            "Pneumonia/Viral/COVID-19",
            "Patchy, right.",
        ),
        ("178", "3", "AP Supine", "X-ray", "images", "b.png", "COVID-19", ""),
        ("5", "", "AP", "X-ray", "images", "c.1.jpg", "No Finding", "Clear lungs"),
        ("6", "", "AP", "X-ray", "images", "d.jpg", "todo", ""),
        ("6", "", "L", "X-ray", "images", "e.jpg", "todo", "lateral"),
        ("7", "", "Axial", "CT", "volumes", "f.nii.gz", "Pneumonia", "ct"),
    ]
    (root / "metadata.csv").write_text(
        COVID_HEADER
        + "".join(
            f"{patient},{offset},F,52,{finding},Y,Y,N,N,N,N,,,,,,,,{view},{modality},2020,here,"
            f'{folder},{name},,,CC BY,"{notes}",,\n'
            for patient, offset, view, modality, folder, name, finding, notes in rows
        ),
        encoding="utf-8",
    )
    for number, row in enumerate(rows[:5]):
        write = write_png if row[5].endswith("png") else write_jpeg
        write(root / "images" / row[5], _levels(number, side))
    scores = root / "annotations/covid-severity-scores.csv"
    scores.parent.mkdir()
    scores.write_text(
        "## COVID-19 Pneumonia Severity Scores (Mean of 3 expert raters)\n"
        "## License: CC BY-SA, Citation: Cohen, Joseph Paul\n"
        "filename,geographic_mean,opacity_mean\na.jpeg,6.0,4.0\nb.png,2.7,2.0\nz.png,1.0,1.0\n"
    )
    return root


def openi_xml(uid: str, films: list[str], findings: str, major: str = "normal") -> str:
    """One report as Open-i publishes it."""
    images = "".join(
        f'<parentImage id="{film}"><caption>x</caption></parentImage>' for film in films
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><eCitation><meta type="rr"/>'
        f'<uId id="{uid}"/><pmcId id="1"/><MedlineCitation><Article><Abstract>'
        '<AbstractText Label="COMPARISON">None.</AbstractText>'
        '<AbstractText Label="INDICATION"/>'
        f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
        '<AbstractText Label="IMPRESSION">Normal\n chest.</AbstractText>'
        f"</Abstract></Article></MedlineCitation><MeSH><major>{major}</major></MeSH>"
        f"{images}</eCitation>"
    )


def fake_openi(root: Path, side: int = 64) -> Path:
    """Three reports (one without films), films of two; the same as a folder and as a .tgz."""
    files = {
        "1.xml": openi_xml("CXR1", ["CXR1_1_IM-0001-9001"], "Clear lungs."),
        "2.xml": openi_xml(
            "CXR2", ["CXR2_IM-0652-9001"], "Opacity &lt; 1 cm.", "Pneumonia/lower lobe/left"
        ),
        "3.xml": openi_xml("CXR3", [], "No film."),
    }
    reports = root / "ecgen-radiology"
    reports.mkdir(parents=True)
    with tarfile.open(root / "NLMCXR_reports.tgz", "w:gz") as archive:
        for name, text in files.items():
            (reports / name).write_text(text, encoding="utf-8")
            member = tarfile.TarInfo(f"ecgen-radiology/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    for number, film in enumerate(("CXR1_1_IM-0001-9001", "CXR2_IM-0652-9001")):
        write_png(root / f"png/{film}.png", _levels(number, side))
    return root


def fake_mimic(root: Path, side: int = 64) -> Path:
    """Two patients, three studies, one lateral film; reports of two studies; a COCO file."""
    rows = [
        ("02aa804e-bde0afdd-112c0b34-7bc16630-4e384014", "10000032", "50414267", "PA"),
        ("174413ec-4ec4c1f7-34ea26b7-c5f994f8-79ef1962", "10000032", "50414267", "LATERAL"),
        ("2a2277a9-b0ded155-c0de8eb9-c124d10e-82c5caab", "10000032", "53189527", "AP"),
        ("68b5c4b1-227d0485-9cc38c3f-7b84ab51-4b472714", "10000980", "50985099", "AP"),
    ]
    root.mkdir(parents=True, exist_ok=True)
    _gzip(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        MIMIC_HEADER
        + "".join(
            f"{d},{p},{s},CHEST (PA AND LAT),{v},64,64,2180,1,x,y,z\n" for d, p, s, v in rows
        ),
    )
    splits = ("train", "train", "train", "validate")
    _gzip(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        "dicom_id,study_id,subject_id,split\n"
        + "".join(f"{r[0]},{r[2]},{r[1]},{s}\n" for r, s in zip(rows, splits, strict=True)),
    )
    _gzip(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,"
        "Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,"
        "Pleural Other,Pneumonia,Pneumothorax,Support Devices\n"
        "10000032,50414267,,,,,,,,,1.0,,,,,\n"
        "10000032,53189527,,,,,,,,1.0,,,,1.0,,\n"
        "10000980,50985099,,,,,,,,,,,,-1.0,,\n",
    )
    for number, (dicom, patient, study, _) in enumerate(rows):
        folder = root / f"files/p{patient[:2]}/p{patient}/s{study}"
        write_jpeg(folder / f"{dicom}.jpg", _levels(number, side))
        if study != "50985099":
            folder.with_suffix(".txt").write_text("FINAL REPORT\n FINDINGS: Left basal opacity.\n")
    (root / "boxes.json").write_text(
        json.dumps(
            {
                "images": [
                    {"id": 7, "file_name": f"{rows[2][0]}.jpg", "width": 64, "height": 64},
                    {"id": 9, "file_name": f"{rows[3][0]}.jpg", "width": 64, "height": 64},
                ],
                "categories": [{"id": 1, "name": "pneumonia"}],
                "annotations": [
                    {"id": 1, "image_id": 7, "category_id": 1, "bbox": [4, 8, 20, 30]},
                    {
                        "id": 2,
                        "image_id": 9,
                        "category_id": 1,
                        "bbox": [1, 1, 1, 1],
                        "deleted": True,
                    },
                ],
            }
        )
    )
    return root


def fake_tables(root: Path, side: int = 64) -> Path:
    """Somebody's own tables with their own column names."""
    (root / "pix").mkdir(parents=True)
    (root / "films.csv").write_text(
        "Filename,Person,Class,Note,Age\n"
        "pix/a.png,1,Opacity,Right lower lobe opacity.,40\n"
        "pix/b.png,1,Normal,,41\n"
        "pix/c.png,2,Odd,Clear.,\n"
        "pix/d.png,,Normal,,50\n"
    )
    (root / "rects.csv").write_text(
        "Filename,bx,by,bw,bh,kind,who\npix/a.png,2,3,20,30,opacity,me\npix/d.png,1,1,9,9,lung,me\n"
    )
    for number, name in enumerate("abcd"):
        write_png(root / f"pix/{name}.png", _levels(number, side))
    return root


def _gzip(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()))
