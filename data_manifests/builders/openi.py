"""`build_openi`: Open-i / Indiana University chest X-rays: XML reports and PNG films."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import ParseError  # the type; parsing is defusedxml's

import pandas as pd
from defusedxml.ElementTree import fromstring

from data_manifests.builders.build import (
    Build,
    BuildOptions,
    SourceTables,
    film_paths_by_stem,
    finish_build,
    is_frontal,
    listed_build,
)
from data_manifests.builders.sources import (
    index_films,
    read_source_table,
    source_error,
    torchxrayvision_file,
)
from data_manifests.support.errors import DataError, Problem

ARCHIVE = "NLMCXR_reports.tgz"
DICOM_TABLE = "nlmcxr_dicom_metadata.csv.gz"
VIEW_TABLE = "nlmcxr_tsne_pa.csv.gz"
MAX_XML_BYTES = 1_000_000  # the largest published report has 13 kB


@dataclass(frozen=True)
class OpeniReport:
    """One XML file: the study, its sections in order, its films and the MeSH headings."""

    study_id: str
    file: str
    sections: tuple[tuple[str, str], ...]
    image_ids: tuple[str, ...]
    mesh: tuple[str, ...]


def build_openi(
    reports: Path | None = None,
    *,
    films: Path | None = None,
    options: BuildOptions | None = None,
) -> Build:
    """Reports (sections as published) and frontal films of Open-i.

    Every study is its own patient: Open-i does not say more. Views come from the tables that
    `torchxrayvision` ships (the view found by clustering where there is one, else DICOM's); without
    them all films are kept with a blank view.

    Args:
        reports: folder `ecgen-radiology`, or the `.tgz` of it; the one inside the installed
            `torchxrayvision` if None.
        films: folder of the PNG films. None builds a manifest of reports whose films are only
            named; `manifest check --no-films` accepts it.

    Raises:
        DataError: see `finish_build`; a report that is no XML of this form.
    """
    path = Path(reports) if reports is not None else torchxrayvision_file(ARCHIVE)
    if path is None:
        where = Path("torchxrayvision", "data", ARCHIVE)
        raise source_error(where, "the reports", "not installed", "pip install torchxrayvision")
    studies = sorted(_read_reports(path), key=lambda study: study.study_id)
    views = _views()
    rows = [
        (image_id, study.study_id, views.get(image_id, ""), study.file)
        for study in studies
        for image_id in study.image_ids
        if image_id not in views or is_frontal(pd.Series([views[image_id]])).all()
    ]
    table = pd.DataFrame(rows, columns=["image_id", "study_id", "view", "file"])
    images = pd.DataFrame(
        {
            "image_id": table["image_id"],
            "patient_id": table["study_id"],
            "study_id": table["study_id"],
            "path": table["image_id"] + ".png",
            "view": table["view"],
            "source": "openi",
            "row": 0,  # reports are XML files: no line to name
        }
    )
    report_rows = [
        (study.study_id, section, text) for study in studies for section, text in study.sections
    ]
    by_study = {study.study_id: study for study in studies}
    mesh = [by_study[study_id].mesh for study_id in table["study_id"]]
    labels = pd.DataFrame(
        {
            "image_id": table["image_id"],
            "pneumonia": [_pneumonia(headings) for headings in mesh],
            "mesh": [";".join(headings) for headings in mesh],
        }
    )
    root = Path(films) if films is not None else Path(".")
    tables = SourceTables(
        images,
        path.name,
        root,
        reports=pd.DataFrame(report_rows, columns=["study_id", "section", "text"]),
        labels=labels,
    )
    sources = [path] if path.is_file() else []
    if films is None:
        return listed_build("openi", tables, sources)
    # Films are CXR1_1_IM-0001-3001.png in the archive of PNG films.
    images["path"] = film_paths_by_stem(images["image_id"], index_films(root))
    return finish_build("openi", tables, sources, options or BuildOptions())


def _read_reports(path: Path) -> list[OpeniReport]:
    studies, problems = [], []
    for name, content in _xml_files(path):
        try:
            studies.append(_parse(name, content))
        except (ParseError, ValueError, LookupError) as error:
            got = f"{type(error).__name__}: {str(error)[:160]}"
            problems.append(Problem(name, "an Open-i report (eCitation XML)", got))
    if problems:
        raise DataError.from_problems(problems)
    if not studies:
        raise source_error(path, "XML reports", "none")
    return studies


def _xml_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every .xml below a folder or in a tar archive, without unpacking it."""
    if path.is_dir():
        for file in sorted(path.rglob("*.xml")):
            with file.open("rb") as handle:
                yield file.name, handle.read(MAX_XML_BYTES + 1)
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None and member.name.endswith(".xml"):
                    yield Path(member.name).name, stream.read(MAX_XML_BYTES + 1)
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise source_error(path, "a folder or .tgz of XML reports", str(error)) from error


def _parse(name: str, content: bytes) -> OpeniReport:
    if len(content) > MAX_XML_BYTES:
        raise ValueError(f"more than {MAX_XML_BYTES:,} bytes")
    root = fromstring(content, forbid_dtd=True)  # entities can expand without end
    uid = root.find("uId")
    if uid is None or not uid.get("id"):
        raise ValueError("no uId")
    return OpeniReport(
        study_id=str(uid.get("id")),
        file=name,
        sections=tuple(
            (str(node.get("Label", "")).lower(), text)
            for node in root.iter("AbstractText")
            if (text := " ".join("".join(node.itertext()).split()))
        ),
        image_ids=tuple(str(node.get("id")) for node in root.iter("parentImage") if node.get("id")),
        mesh=tuple(
            (node.text or "").strip() for node in root.iterfind(".//MeSH/major") if node.text
        ),
    )


def _views() -> dict[str, str]:
    """image_id -> view, of the tables inside torchxrayvision; empty without it."""
    views: dict[str, str] = {}
    dicom = torchxrayvision_file(DICOM_TABLE)
    if dicom is not None:
        table = read_source_table(dicom, ("imageid", "View Position"))
        given = table[table["View Position"] != ""]
        views.update(zip(given["imageid"], given["View Position"], strict=True))
    clustered = torchxrayvision_file(VIEW_TABLE)
    if clustered is not None:
        table = read_source_table(clustered, ("imageid", "tsne-view"))
        for image_id, view in zip(table["imageid"], table["tsne-view"], strict=True):
            # "PA" there means frontal: DICOM's AP is kept.
            if not (view == "PA" and views.get(image_id) == "AP"):
                views[image_id] = view
    return views


def _pneumonia(headings: tuple[str, ...]) -> str:
    names = {heading.split("/")[0].lower() for heading in headings}
    if any(name.startswith("pneumonia") for name in names):
        return "1"
    return "0" if names == {"normal"} else ""
