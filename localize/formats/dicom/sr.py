"""DICOM structured reports by TID 1500: a region with its score and words for each box, and back.

A box is a closed POLYLINE of five points in pixels of the film (2D coordinates know no polygon),
marked "Bounded by" so that viewers take it for a bounding box (CP 1852). Needs highdicom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from data_manifests.films.dicom_header import (
    dicom_errors,
    refuse_deflated_bomb,
    shown,
    tag_name,
    text,
)
from data_manifests.films.read_film import film_error
from data_manifests.laterality import WHOLE_FILM, sides_of
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from localize.formats.dicom import codes
from localize.formats.dicom.source import (
    DEVICE_UID,
    MANUFACTURER,
    DicomTarget,
    dicom_targets,
    require_highdicom,
    save,
)
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import Corners, ImportedBox, ImportedFilm
from localize.formats.hub.reading import BadField, file_error
from localize.formats.hub.writing import atomic_folder

if TYPE_CHECKING:
    import highdicom as hd

SERIES_NUMBER = 9001
MAX_SENTENCE = 10_000  # characters
MAX_BYTES = 4 << 20  # of one film: 1,000 boxes
# A rectangle of a viewer may be this far from upright, in pixels.
UPRIGHT_PX = 0.5


def write_dicom_sr(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write one Comprehensive SR for each film; a film without boxes has a report without regions.

    Raises:
        ConfigError: highdicom is not installed.
        DataError: as `dicom_targets`; `target` holds something already.
    """
    require_highdicom()
    names = SafeNames(annotations.film_names())
    with atomic_folder(target) as folder:
        for item in dicom_targets(annotations, "sr", options):
            save(_report(item), item, folder / f"{names.of(item.film.name)}.dcm")


def read_dicom_sr(path: Path) -> list[ImportedFilm]:
    """Read all structured reports of a folder, or one; `name` is the film's SOP instance UID.

    Raises:
        ConfigError: highdicom is not installed.
        DataError: all errors of all files together, among them regions that are not upright.
    """
    require_highdicom()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    films: list[ImportedFilm] = []
    problems: list[Problem] = []
    for file in files:
        try:
            with dicom_errors(file, "a DICOM structured report"):
                films.append(_checked_film(file))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError.from_problems(problems)
    if not films:
        raise file_error(path, "DICOM structured reports", "none")
    return films


def name_by_sop_uid(films: Sequence[ImportedFilm], manifest: Manifest) -> list[ImportedFilm]:
    """Give films that are known by their SOP instance UID the path they have in the manifest.

    Reads the headers of the manifest's DICOM files; films that are not found keep their UID.
    """
    wanted = {film.name for film in films}
    paths: dict[str, str] = {}
    for relative, path in zip(manifest.images["path"], manifest.film_paths(), strict=True):
        try:
            header = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]
            )
        except (InvalidDicomError, OSError):
            continue  # a film that is no DICOM file has no UID
        if str(header.get("SOPInstanceUID")) in wanted:
            paths[str(header.SOPInstanceUID)] = relative
    return [replace(film, name=paths.get(film.name, film.name)) for film in films]


def _report(item: DicomTarget) -> hd.sr.ComprehensiveSR:
    import highdicom as hd

    observer = hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=DEVICE_UID, name=MANUFACTURER, model_name=codes.plain_text(item.model, 64)
        ),
    )
    # A report needs a group, so that the film's own numbers also carry films without boxes.
    groups: list[Any] = [_film_group(item)]  # Any: both kinds share but a private base
    groups += [_group(item, place) for place in range(len(item.film))]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.CHEST_FILM,
        imaging_measurements=groups,
        title=hd.sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
    )
    return hd.sr.ComprehensiveSR(
        evidence=[item.header],
        content=content[0],
        series_instance_uid=item.series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=item.instance_uid,
        instance_number=item.number,
        manufacturer=MANUFACTURER,
        is_complete=True,
    )


def _film_group(item: DicomTarget) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    import highdicom as hd

    header = item.header
    numbers = ((codes.SCORE, item.film.p_pneumonia), (codes.EXTENT, item.film.severity))
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=item.part_uid("film"), identifier="film"),
        finding_type=codes.PNEUMONIA,
        source_images=[
            hd.sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)
        ],
        measurements=[
            hd.sr.Measurement(code, value, codes.NO_UNITS)
            for code, value in numbers
            if value is not None
        ]
        or None,
    )


def _group(item: DicomTarget, place: int) -> hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    import highdicom as hd

    film, header = item.film, item.header
    region = hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=closed_corners(film.xyxy[place].tolist()),
        source_image=hd.sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID),
    )
    side = _side(film, place)
    words = [w for w in film.keywords[place] if w not in codes.LATERALITY or w == side]
    measurements = []
    if (score := film.score(place)) is not None:
        measurements.append(hd.sr.Measurement(codes.SCORE, score, codes.NO_UNITS))
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=item.part_uid(str(place)),
            identifier=f"box {place + 1}",
        ),
        referenced_region=region,
        finding_type=codes.label_code(film.labels[place]),
        finding_sites=[hd.sr.FindingSite(codes.LUNG, codes.LATERALITY.get(side))],
        measurements=measurements or None,
        qualitative_evaluations=[
            hd.sr.QualitativeEvaluation(
                codes.SEVERITY if word in codes.SEVERITY_WORDS else codes.DESCRIPTOR,
                codes.word_code(word),
            )
            for word in words
        ]
        or None,
        geometric_purpose=codes.BOUNDED_BY,
    )
    if film.sentences[place]:
        comment = hd.sr.TextContentItem(
            name=codes.COMMENT,
            value=codes.plain_text(film.sentences[place], MAX_SENTENCE),
            relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
        )
        group[0].ContentSequence.append(comment)
    return group


def _side(film: FilmAnnotation, place: int) -> str:
    """The patient's side that a box lies on; "bilateral" for one across the midline."""
    borders = WHOLE_FILM if film.prediction is None else film.prediction.borders
    (side,) = sides_of(film.xyxy[place : place + 1], film.width, borders)
    return "bilateral" if side == "central" else side


def closed_corners(xyxy: list[float]) -> Floats:
    """The five points (5, 2) of a closed rectangle, from the top-left corner clockwise."""
    x1, y1, x2, y2 = xyxy
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]], dtype=np.float64)


def _checked_film(file: Path) -> ImportedFilm:
    if file.stat().st_size > MAX_BYTES:
        raise film_error(file, f"at most {MAX_BYTES >> 20} MiB", "more")
    refuse_deflated_bomb(file)
    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Modality"])
    if (modality := text(file, header, "Modality")) != "SR":
        raise film_error(file, "SR", shown(modality), field=tag_name("Modality"))
    try:
        return _film(file)
    except BadField as error:
        raise DataError.from_problems([error.problem(file.name, "")]) from error


def _film(file: Path) -> ImportedFilm:
    import highdicom as hd

    report = hd.sr.srread(file)
    uid = _referenced_film(report)
    boxes = []
    content: Any = report.content  # a MeasurementReport, though declared as its base class
    for group in content.get_planar_roi_measurement_groups():
        region = group.roi
        if not isinstance(region, hd.sr.ImageRegion):
            raise BadField("region", "2D coordinates", type(region).__name__)
        boxes.append(
            ImportedBox(
                _upright(np.asarray(region.value, dtype=np.float64)),
                "" if group.finding_type is None else codes.code_label(group.finding_type),
                _numbers(group).get(codes.SCORE[:2], np.nan),
                tuple(
                    codes.code_word(found.value)
                    for found in group.get_qualitative_evaluations()
                    # highdicom counts the geometric purpose among them, viewers add more.
                    if str(found.name.value) in (codes.SEVERITY.value, codes.DESCRIPTOR.value)
                ),
                sentence=_sentence(group),
            )
        )
    film: dict[tuple[str, str], float] = {}
    for group in content.get_image_measurement_groups():
        film |= _numbers(group)
    verifier = report.get("VerifyingObserverSequence", [{}])[0]
    return ImportedFilm(
        name=uid,
        boxes=tuple(boxes),
        annotator=str(verifier.get("VerifyingOrganization", "")),
        p_pneumonia=film.get(codes.SCORE[:2]),
        severity=film.get(codes.EXTENT[:2]),
    )


def _sentence(group: Any) -> str:  # Any: one of hd.sr's kinds of groups
    """The sentence of the report that a region belongs to, "" without one."""
    for item in group[0].ContentSequence:
        code = item.ConceptNameCodeSequence[0]
        if (code.CodeValue, code.CodingSchemeDesignator) == codes.COMMENT[:2]:
            return str(item.TextValue)
    return ""


def _numbers(group: Any) -> dict[tuple[str, str], float]:  # Any: one of hd.sr's kinds of groups
    """The measurements of a group by their code."""
    return {
        (str(m.name.value), str(m.name.scheme_designator)): float(m.value)
        for m in group.get_measurements()
    }


def _referenced_film(report: Any) -> str:  # Any: hd.sr has no stubs
    """The one film that the report is about, also where it holds no region."""
    uids = {
        str(image.ReferencedSOPInstanceUID)
        for study in [
            *report.get("CurrentRequestedProcedureEvidenceSequence", []),
            *report.get("PertinentOtherEvidenceSequence", []),
        ]
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    }
    if len(uids) != 1:
        raise BadField("(0040,A375) evidence", "one film", f"{len(uids)}")
    return uids.pop()


def _upright(points: Floats) -> Corners:
    """The corners of a rectangle of 4 or 5 points."""
    low, high = points.min(axis=0), points.max(axis=0)
    at_edge = np.minimum(np.abs(points - low), np.abs(points - high)) <= UPRIGHT_PX
    if len(points) not in (4, 5) or not at_edge.all() or not (high > low).all():
        raise BadField("region", "an upright rectangle of 4 or 5 points", points.tolist())
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
