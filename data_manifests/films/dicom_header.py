"""The header of a DICOM radiograph: the values that reading needs, and which files are refused.

Headers come from strangers: every element may be empty, repeated, of another type or nonsense.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from data_manifests.films.read_film import CHILD_NOTE, MAX_PIXELS, check_size, film_error
from data_manifests.support.errors import DataError, raise_if_out_of_memory

# Projection radiographs, and what exporters of them write: secondary capture and "other".
PROJECTIONS = {"CR", "DX", "RG", "RF", "OT", "SC", "XC", ""}
SECONDARY_CAPTURE = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.7(\.\d)?")  # PS3.4 B.5
CHEST_WORDS = ("CHEST", "THORAX", "LUNG", "RIB", "TORSO", "PORT CHEST")
# PS3.3 C.8.7.1.1.1 / C.8.11.5.1.1 View Position of lateral and oblique projections
LATERAL_VIEWS = {"LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT"}
# PS3.16 CID 4010: lateral and oblique projections in SNOMED CT and in the older SRT codes.
LATERAL_CODES = {
    "399067008", "399198007", "399173006", "399182000", "399106005",
    "R-10228", "R-10230", "R-10232", "R-10236", "R-102CD",
}  # fmt: skip
LATERAL_TEXT = re.compile(r"\b(lat|lateral|seitlich)\b", re.IGNORECASE)
CHILD_YEARS = 16  # the films that the weights learned from are those of adults

# Values that a refusal may repeat: defined terms. A sentence typed there may name a patient.
CODE = re.compile(r"[A-Z0-9_]{1,16}|PALETTE COLOR")
# Messages of pydicom that say what is missing.
SHORT_PIXELS = re.compile(r"less than expected \((\d+) vs (\d+) bytes\)")
# Not "plugin" alone: "exceptions were raised by all available plugins" is a damaged film.
NO_DECODER = re.compile(
    r"missing (required )?dependencies|No pixel data decoders|transfer syntax.*not supported",
    re.IGNORECASE | re.DOTALL,
)
MISSING_ELEMENT = re.compile(r"Missing required element: (\([0-9A-F]{4},[0-9A-F]{4}\))")

# PS3.10 7.1: preamble, "DICM", and the group length element itself come before what it counts.
META_START = 128 + 4 + 12
BLOCK_BYTES = 1 << 20
MAX_INFLATED_BYTES = 2 * MAX_PIXELS + 16 * BLOCK_BYTES  # 16-bit pixels and a generous header


@contextmanager
def dicom_errors(path: Path, expected: str, fix: str = "", field: str = "") -> Iterator[None]:
    """Turn whatever pydicom and its decoders raise for a bad file into a `DataError`.

    They have no list of it: a damaged length, type or character gives ValueError, AttributeError,
    RecursionError, struct.error and others, and the Rust decoders panic outside of `Exception`.
    pydicom's warnings repeat malformed values, names and dates of birth included: they are hidden.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pydicom\b")
        try:
            yield
        except (DataError, MemoryError):
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise_if_out_of_memory(error)
            raise film_error(path, expected, reason(error), fix, field) from error


def read_header(path: Path) -> pydicom.Dataset:
    """All elements before the pixels.

    Raises:
        DataError: not a DICOM image, or not a single monochrome frontal chest radiograph.
    """
    with dicom_errors(path, "a DICOM file"):
        refuse_deflated_bomb(path)
        header = pydicom.dcmread(path, stop_before_pixels=True)
    if "Rows" not in header or "Columns" not in header:
        raise film_error(path, "a DICOM image", "no (0028,0010) Rows or (0028,0011) Columns")
    _refuse_other_kinds(path, header)
    width, height = image_size(path, header)
    check_size(path, width, height)
    return header


def image_size(path: Path, header: pydicom.Dataset) -> tuple[int, int]:
    """Width and height in pixels."""
    return whole_number(path, header, "Columns", None), whole_number(path, header, "Rows", None)


def whole_number(
    path: Path, header: pydicom.Dataset, keyword: str, default: int | None = None
) -> int:
    """The one whole number of an element, `default` where it is missing or empty.

    Raises:
        DataError: several values, text, or nothing where there is no default.
    """
    with dicom_errors(path, "a whole number", field=tag_name(keyword)):
        value = header.get(keyword)
        if value is None or value == "":
            if default is not None:
                return default
            raise film_error(path, "a whole number", "no value", field=tag_name(keyword))
        if isinstance(value, MultiValue | list):
            got = f"{len(value)} values"
            raise film_error(path, "one whole number", got, field=tag_name(keyword))
        if isinstance(value, bytes):
            raise film_error(path, "a whole number", "bytes", field=tag_name(keyword))
        return int(value)


def texts(path: Path, header: pydicom.Dataset, keyword: str) -> list[str]:
    """The values of an element in capitals without spaces around; [] where it is empty."""
    with dicom_errors(path, "text", field=tag_name(keyword)):
        value = header.get(keyword)
        if value is None:
            return []
        values = value if isinstance(value, MultiValue | list) else [value]
        found = [str(one).strip().upper() for one in values]
        return [one for one in found if one]


def text(path: Path, header: pydicom.Dataset, keyword: str) -> str:
    r"""The values of an element as one text, joined as DICOM does by `\`."""
    return "\\".join(texts(path, header, keyword))


def header_notes(path: Path, header: pydicom.Dataset) -> list[str]:
    """What a careful user should know about a film that is not refused."""
    notes = []
    is_captured = bool(SECONDARY_CAPTURE.fullmatch(text(path, header, "SOPClassUID")))
    is_captured |= text(path, header, "Modality") not in ("CR", "DX")
    if is_captured and not texts(path, header, "BurnedInAnnotation"):
        notes.append("no (0028,0301) Burned In Annotation: look for text in the pixels")
    if text(path, header, "PresentationIntentType") == "FOR PROCESSING":
        notes.append("(0008,0068) FOR PROCESSING: raw levels, not those for display")
    age = age_years(path, header)
    if age and int(age) < CHILD_YEARS:
        notes.append(CHILD_NOTE)
    for keyword in ("SeriesDescription", "StudyDescription", "ProtocolName"):
        if LATERAL_TEXT.search(text(path, header, keyword)):
            notes.append(f"{tag_name(keyword)} speaks of a lateral film")
            break
    return notes


def age_years(path: Path, header: pydicom.Dataset) -> str:
    """Whole years, blank where not known. PS3.5 6.2 AS is nnnY; RSNA's challenge has bare years."""
    age = text(path, header, "PatientAge")
    if re.fullmatch(r"\d{3}[DWM]", age):
        days = int(age[:3]) * {"D": 1, "W": 7, "M": 30}[age[3]]
        return str(days // 365)
    age = age.removesuffix("Y")
    return (age.lstrip("0") or "0") if age.isdecimal() and len(age) <= 3 else ""


def tag_name(keyword: str) -> str:
    """An element as messages name it, such as `(0028,0010) Rows`."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no DICOM keyword")
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {dictionary_description(tag)}"


def reason(error: BaseException) -> str:
    """What is wrong with the file, in our words; those of pydicom and its decoders name their code.

    They also quote values, which may name a patient.
    """
    words = str(error)
    if isinstance(error, InvalidDicomError):
        return "a file without the mark DICM at byte 128"
    if sizes := SHORT_PIXELS.search(words):
        return f"{sizes[1]} of {sizes[2]} bytes"
    if missing := MISSING_ELEMENT.search(words):
        return f"no {missing[1]}"
    if "no pixel data" in words:
        return "no pixel data"
    if NO_DECODER.search(words):
        return "a transfer syntax without a decoder on this computer"
    return "truncated or damaged data"


def shown(value: str) -> str:
    """A coded value; of free text its length alone."""
    if CODE.fullmatch(value):
        return value
    return f"free text of {len(value)} letters" if value else "no value"


def _refuse_other_kinds(path: Path, header: pydicom.Dataset) -> None:
    """Refuse what is not one monochrome frontal chest radiograph, each with its tag."""

    def refuse(keyword: str, expected: str, got: str, fix: str = "") -> DataError:
        return film_error(path, expected, got, fix, tag_name(keyword))

    modality = text(path, header, "Modality")
    if modality not in PROJECTIONS:
        raise refuse("Modality", "a projection radiograph (CR, DX)", shown(modality))
    photometric = text(path, header, "PhotometricInterpretation")
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise refuse("PhotometricInterpretation", "MONOCHROME1 or MONOCHROME2", shown(photometric))
    frames = whole_number(path, header, "NumberOfFrames", 1)
    if frames != 1:
        raise refuse("NumberOfFrames", "one frame", str(frames))
    if "YES" in texts(path, header, "BurnedInAnnotation"):
        raise refuse(
            "BurnedInAnnotation",
            "NO",
            "YES",
            "text in the pixels can name a patient; mask it and set the flag to NO",
        )
    part = text(path, header, "BodyPartExamined")
    if part and not any(word in part for word in CHEST_WORDS):
        raise refuse("BodyPartExamined", "CHEST", shown(part))
    view = text(path, header, "ViewPosition")
    if view in LATERAL_VIEWS:
        raise refuse("ViewPosition", "a frontal view (AP, PA)", view)
    code = _view_code(path, header)
    if code in LATERAL_CODES:
        raise refuse("ViewCodeSequence", "a frontal view", f"{code}, a lateral one")
    _refuse_orientation(path, header)


def _view_code(path: Path, header: pydicom.Dataset) -> str:
    with dicom_errors(path, "a coded view", field=tag_name("ViewCodeSequence")):
        items = header.get("ViewCodeSequence") or []
        return text(path, items[0], "CodeValue") if len(items) else ""


def _refuse_orientation(path: Path, header: pydicom.Dataset) -> None:
    r"""Refuse films that are not upright and facing the patient, `L\F` (PS3.3 C.7.6.1.1.1)."""
    directions = texts(path, header, "PatientOrientation")
    if len(directions) != 2:
        return
    across, down = (direction[0] for direction in directions)
    got = {
        across in "AP": "a lateral film",
        across == "R": "a mirrored film",
        down == "H": "a film upside down",
        across in "HF": "a film on its side",
    }.get(True)
    if got is not None:
        raise film_error(
            path,
            r"L\F: the patient's left on the right of the film, feet down",
            got,
            "turn the pixels and correct the element",
            tag_name("PatientOrientation"),
        )


def refuse_deflated_bomb(path: Path) -> None:
    """Refuse a deflated file that unpacks to more than any film, without keeping what it unpacks.

    `dcmread` inflates the whole file before it looks at the first element.

    Raises:
        DataError: a bomb. A damaged file raises what pydicom raises, see `dicom_errors`.
    """
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    meta_length = int(meta.FileMetaInformationGroupLength)
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    total = 0
    with path.open("rb") as handle:
        handle.seek(META_START + meta_length)
        packed = handle.read(BLOCK_BYTES)
        while packed and not inflater.eof:
            total += len(inflater.decompress(packed, BLOCK_BYTES))
            if total > MAX_INFLATED_BYTES:
                raise film_error(
                    path,
                    f"at most {MAX_INFLATED_BYTES:,} bytes after inflating",
                    "a decompression bomb",
                    field="(0002,0010) Transfer Syntax UID",
                )
            packed = inflater.unconsumed_tail or handle.read(BLOCK_BYTES)
