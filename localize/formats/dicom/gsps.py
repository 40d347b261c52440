"""DICOM grayscale softcopy presentation states: boxes drawn over a film, with their scores as text.

PS3.3 C.10.5.1.2: in units PIXEL the top-left corner of the first pixel is 0, 0 and the last corner
is Columns, Rows, which is our frame. Weasis and OsiriX show it; OHIF does not yet. Needs highdicom.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from localize.formats.dicom import codes
from localize.formats.dicom.grey_scale import copy_grey_scale, without_grey_scale
from localize.formats.dicom.source import (
    MANUFACTURER,
    DicomTarget,
    dicom_targets,
    require_highdicom,
    save,
)
from localize.formats.dicom.sr import closed_corners
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.writing import atomic_folder

if TYPE_CHECKING:
    import highdicom as hd

SERIES_NUMBER = 9002
# At most 16 capitals, digits, spaces and underscores (PS3.5, VR CS).
CONTENT_LABEL = "PNEUMONIA BOXES"


def write_dicom_gsps(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write one presentation state for each film, an empty one for a film without boxes.

    It shows the film as its own rescale, window and LUT say, with the boxes on a layer.

    Raises:
        ConfigError: highdicom is not installed.
        DataError: as `dicom_targets`; `target` holds something already.
    """
    require_highdicom()
    names = SafeNames(annotations.film_names())
    with atomic_folder(target) as folder:
        for item in dicom_targets(annotations, "gsps", options):
            save(_state(item), item, folder / f"{names.of(item.film.name)}.dcm")


def _state(item: DicomTarget) -> hd.pr.GrayscaleSoftcopyPresentationState:
    import highdicom as hd

    layer = hd.pr.GraphicLayer("BOXES", order=1, description="Predicted boxes")
    pixel = hd.pr.AnnotationUnitsValues.PIXEL
    lines = [
        hd.pr.GraphicObject(
            graphic_type=hd.pr.GraphicTypeValues.POLYLINE,
            graphic_data=closed_corners(corners),
            units=pixel,
        )
        for corners in item.film.xyxy.tolist()
    ]
    texts = [
        hd.pr.TextObject(
            text_value=caption(item.film, place),
            units=pixel,
            anchor_point=(corners[0], corners[1]),
            anchor_point_visible=False,
        )
        for place, corners in enumerate(item.film.xyxy.tolist())
    ]
    drawn = []
    if lines:  # an annotation without objects is not allowed
        drawn.append(
            hd.pr.GraphicAnnotation(
                referenced_images=[item.header],
                graphic_layer=layer,
                graphic_objects=lines,
                text_objects=texts,
            )
        )
    header = without_grey_scale(item.header)
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[header],
        series_instance_uid=item.series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=item.instance_uid,
        instance_number=item.number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=codes.plain_text(item.model, 64),
        software_versions=codes.plain_text(item.model, 64),
        device_serial_number="0",
        content_label=CONTENT_LABEL,
        content_description=codes.plain_text(f"Boxes by {item.model}", 64),
        graphic_annotations=drawn or None,
        graphic_layers=[layer] if drawn else None,
    )
    copy_grey_scale(item.header, state)
    # Required for a paired body part, and empty for a chest, which has both sides.
    side = item.header.get("Laterality")
    state.Laterality = side if side in ("L", "R") else ""
    return state


def caption(film: FilmAnnotation, place: int) -> str:
    """The text at a box: label, score, words."""
    score = film.score(place)
    parts = [film.labels[place], "" if score is None else f"{score:.2f}"]
    return codes.plain_text(" ".join([*parts, *film.keywords[place]]), 1024)
