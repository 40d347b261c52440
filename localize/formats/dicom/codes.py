"""The codes that DICOM exports use for findings, words and numbers, and back."""

from __future__ import annotations

import hashlib

from pydicom.sr.coding import Code

from localize.formats.hub.annotations import DEFAULT_LABEL

PNEUMONIA = Code("233604007", "SCT", "Pneumonia")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = Code("39607008", "SCT", "Lung")
BOUNDED_BY = Code("75958009", "SCT", "Bounded by")  # CID 219
CHEST_FILM = Code("399208008", "SCT", "Plain X-ray of chest")
SCORE = Code("122157", "DCM", "Probability")
SEVERITY = Code("246112005", "SCT", "Severity")
NO_UNITS = Code("1", "UCUM", "no units")
PRIVATE = "99PNEUMOLOC"
EXTENT = Code("extent-0-8", PRIVATE, "Geographic extent score from 0 to 8")
DESCRIPTOR = Code("descriptor", PRIVATE, "Descriptor of the opacity")
COMMENT = Code("121106", "DCM", "Comment")

LATERALITY = {
    "left": Code("7771000", "SCT", "Left"),
    "right": Code("24028007", "SCT", "Right"),
    "bilateral": Code("51440002", "SCT", "Bilateral"),
}
SEVERITY_WORDS = {
    "mild": Code("255604002", "SCT", "Mild"),
    "moderate": Code("6736007", "SCT", "Moderate"),
    "severe": Code("24484000", "SCT", "Severe"),
}


def label_code(label: str) -> Code:
    """SNOMED CT's pneumonia for our own label, a private code with the label as meaning else."""
    return PNEUMONIA if label == DEFAULT_LABEL else private_code(label)


def code_label(code: Code) -> str:
    """The label of a finding's code; the inverse of `label_code`."""
    is_pneumonia = (code.value, code.scheme_designator) == PNEUMONIA[:2]
    return DEFAULT_LABEL if is_pneumonia else str(code.meaning)


def word_code(word: str) -> Code:
    """The code of an attribute word."""
    return LATERALITY.get(word) or SEVERITY_WORDS.get(word) or private_code(word)


def code_word(code: Code) -> str:
    """The attribute word of a code; the inverse of `word_code`."""
    for word, known in (LATERALITY | SEVERITY_WORDS).items():
        if (code.value, code.scheme_designator) == known[:2]:
            return word
    return str(code.meaning)


def private_code(text: str) -> Code:
    """A private code for any text; its meaning is the text, cut to DICOM's 64 characters."""
    value = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return Code(value, PRIVATE, plain_text(text, 64))


def plain_text(text: str, length: int) -> str:
    """Text without control characters and backslashes, which separate values in DICOM."""
    cleaned = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    return " ".join(cleaned.split())[:length] or "-"
