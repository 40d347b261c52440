"""`copy_grey_scale`: a presentation state shows a film with the film's own grey scale.

A state that leaves a step out switches it off (PS3.3 C.11.6, C.11.8, PS3.4 N.2), so that the film's
modality LUT, VOI LUT and polarity are repeated in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom

MODALITY = ("RescaleIntercept", "RescaleSlope", "RescaleType")
WINDOW = ("WindowCenter", "WindowWidth")
GREY_SCALE = (
    *MODALITY,
    *WINDOW,
    "ModalityLUTSequence",
    "VOILUTSequence",
    "VOILUTFunction",
    "PresentationLUTShape",
)
# PS3.3 C.11.1.1.2: the defined terms; US is "unspecified". Other text may name anything.
RESCALE_TYPES = ("OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")
LUT_DATA = 0x00283006


def copy_grey_scale(header: pydicom.Dataset, state: pydicom.Dataset) -> None:
    """Write the grey scale of a film's header into a presentation state.

    Of several windows or VOI LUTs the first is taken, a LUT before a window, as `read_film` does.
    """
    for name in GREY_SCALE:
        state.pop(name, None)
    if header.get("ModalityLUTSequence"):
        state.ModalityLUTSequence = [_lut(header.ModalityLUTSequence[0], is_scaled=False)]
    elif _has_value(header, "RescaleSlope") and _has_value(header, "RescaleIntercept"):
        state.RescaleSlope, state.RescaleIntercept = header.RescaleSlope, header.RescaleIntercept
        kind = header.get("RescaleType")
        state.RescaleType = kind if kind in RESCALE_TYPES else "US"
    voi = pydicom.Dataset()
    if header.get("VOILUTSequence"):
        voi.VOILUTSequence = [_lut(header.VOILUTSequence[0], is_scaled=True)]
    elif all(_has_value(header, name) for name in WINDOW):
        for name in WINDOW:
            setattr(voi, name, _first(header[name].value))
        if header.get("VOILUTFunction") in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            voi.VOILUTFunction = header.VOILUTFunction
    if voi:
        state.SoftcopyVOILUTSequence = [voi]
    elif "SoftcopyVOILUTSequence" in state:
        del state.SoftcopyVOILUTSequence
    state.PresentationLUTShape = "INVERSE" if is_shown_inverted(header) else "IDENTITY"


def is_shown_inverted(header: pydicom.Dataset) -> bool:
    """Whether the smallest level of a film is shown white.

    The presentation LUT shape counts where there is one (PS3.3 C.11.6), else MONOCHROME1.
    """
    shape = header.get("PresentationLUTShape")
    if shape in ("IDENTITY", "INVERSE"):
        return bool(shape == "INVERSE")
    return bool(header.get("PhotometricInterpretation") == "MONOCHROME1")


def without_grey_scale(header: pydicom.Dataset) -> pydicom.Dataset:
    """The header for highdicom, which would copy a wrong polarity and depth of LUTs."""
    plain = pydicom.Dataset()
    plain.file_meta = header.file_meta
    for element in header:
        if element.keyword not in GREY_SCALE:
            plain[element.tag] = element
    return plain


def _lut(item: pydicom.Dataset, *, is_scaled: bool) -> pydicom.Dataset:
    """A lookup table with entries of 16 bits, the depth that every reader takes.

    The values of a modality LUT are what a window is given in and stay; those of a VOI LUT are
    shares of its largest value and are scaled. Explanations are free text and stay out.
    """
    count, _, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if not isinstance(data, bytes):  # US or OW (PS3.6)
        data = np.asarray(data, dtype="<u2").tobytes()
    is_bytes = bits == 8 and len(data) < 2 * (count or 2**16)
    entries = np.frombuffer(data, dtype=np.uint8 if is_bytes else "<u2").astype(np.int64)
    if is_scaled:
        entries = np.rint(entries * (65535 / (2**bits - 1))).clip(0, 65535)
    lut = pydicom.Dataset()
    descriptor = item["LUTDescriptor"]
    lut[descriptor.tag] = pydicom.DataElement(
        descriptor.tag, descriptor.VR, [count if count < 2**16 else 0, descriptor.value[1], 16]
    )
    if not is_scaled:
        kind = item.get("ModalityLUTType")
        lut.ModalityLUTType = kind if kind in RESCALE_TYPES else "US"
    words = entries[: count or 2**16].astype("<u2").tobytes()
    lut[LUT_DATA] = pydicom.DataElement(LUT_DATA, "OW", words)
    return lut


def _has_value(header: pydicom.Dataset, name: str) -> bool:
    return header.get(name) not in (None, "")


def _first(value: Any) -> Any:  # Any: pydicom's values
    """The first of several values."""
    is_list = isinstance(value, pydicom.multival.MultiValue | list)
    return value[0] if is_list else value
