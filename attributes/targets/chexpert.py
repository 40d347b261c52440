"""`chexpert_row`: the fourteen labels of CheXpert from the findings of a study.

1 present, 0 absent or resolved, -1 uncertain, blank unmentioned, as in Irvin et al., "CheXpert: A
Large Chest Radiograph Dataset with Uncertainty Labels" (AAAI 2019); there, too, uncertain labels
are set to ones, zeros or blank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attributes.targets.keyword_states import STRENGTH, Stated

FINDINGS_OF_CHEXPERT: Mapping[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": ("enlarged_cardiomediastinum",),
    "Cardiomegaly": ("cardiomegaly",),
    "Lung Opacity": ("opacity", "infiltrate", "airspace_disease"),
    "Lung Lesion": ("nodule", "mass"),
    "Edema": ("edema",),
    "Consolidation": ("consolidation",),
    "Pneumonia": ("pneumonia",),
    "Atelectasis": ("atelectasis",),
    "Pneumothorax": ("pneumothorax",),
    "Pleural Effusion": ("effusion",),
    "Pleural Other": ("pleural_other",),
    "Fracture": ("fracture",),
    "Support Devices": ("device",),
}
NO_FINDING = "No Finding"
CHEXPERT_LABELS = (NO_FINDING, *FINDINGS_OF_CHEXPERT)
LABEL_OF_FINDING = {
    finding: label for label, findings in FINDINGS_OF_CHEXPERT.items() for finding in findings
}
# What becomes of an uncertain label: stays -1, is counted as present or absent, or is left blank.
UNCERTAIN_VALUES = {"keep": "-1", "ones": "1", "zeros": "0", "ignore": ""}
VALUES = {"present": "1", "resolved": "0", "absent": "0"}


def chexpert_row(findings: Iterable[Stated], uncertain: str, *, is_read: bool = True) -> list[str]:
    """The values of `CHEXPERT_LABELS` for a study, from all its findings.

    The strongest statement about a label counts: present before uncertain before resolved before
    absent. "No Finding" is 1 where no label but devices is present or uncertain. A study of which
    nothing was read is blank.
    """
    if not is_read:
        return [""] * len(CHEXPERT_LABELS)
    strongest: dict[str, str] = {}
    for finding in findings:
        label = LABEL_OF_FINDING.get(finding.finding)
        if label is None:
            continue
        known = strongest.get(label, "unmentioned")
        if STRENGTH[finding.assertion] < STRENGTH[known]:
            strongest[label] = finding.assertion
    values = VALUES | {"uncertain": UNCERTAIN_VALUES[uncertain]}
    has_finding = any(
        assertion in ("present", "uncertain")
        for label, assertion in strongest.items()
        if label != "Support Devices"
    )
    row = ["" if has_finding else "1"]
    row += [
        values[strongest[label]] if label in strongest else "" for label in FINDINGS_OF_CHEXPERT
    ]
    return row
