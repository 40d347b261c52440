"""Names of methods in tables: those of today, those of published tables, and what they mean."""

from __future__ import annotations

BASELINE = "retinanet"  # every other method is compared with it
# Compared with the controls, where they learn on films of the new hospital.
REPORT_TAUGHT = (
    "report_adapted",
    "report_adapted_proposed",
    "report_adapted_gated",
    "proposed",
    "proposed_bundle",
)
UNTRAINED_CONTROLS = ("size_prior",)
NOT_COMPARED = ("proposed_rois_shuffled", "report_adapted_gated_rois")

# Name in a published table (a JSON file without `format_version`) -> name of the same method today.
# Published controls ranked by the adapted detector's own score, but `adapted_by_sides` by
# attention.
PUBLISHED_NAMES = {
    "proposed": "report_adapted_proposed",
    "proposed_frozen": "proposed",
    "trained_longer": "more_steps",
    "adapted_by_itself": "own",
    "adapted_by_sides": "sides",
    "adapted_by_best_regions": "oracle_rois",
    "adapted_by_truth": "truth",
}

_ADAPTED = "the detector, trained further"
DESCRIPTIONS = {
    "cam": "class activation maps of a film classifier, trained on the labels of the films with "
    "boxes; threshold chosen on their validation split",
    "gradcam": "Grad-CAM of the same classifier; with global average pooling this is CAM without "
    "its negative part",
    "retinanet": "the detector alone, ROIs ranked by its own score",
    "proposed_no_classification": "the paper's method without the attribute loss",
    "proposed_printed": "the paper's method as printed (`--preset paper`)",
    "proposed": "our attention on the frozen detector (in `siim`, gates that the reports teach)",
    "proposed_bundle": "the same gates in a bundle, with attention on their ROIs, as `predict` "
    "ranks them",
    "proposed_truth": "oracle: the same gates, taught by the new films' true boxes",
    "proposed_shuffled": "control: the same gates, taught by the words of other films",
    "proposed_sides": "control: the same gates, taught by the named sides alone",
    "report_adapted_gated": "gates that the reports teach, on the detector of `report_adapted`",
    "proposed_rois": "`proposed`, but what words of place mean is learned from the detector's own "
    "ROIs instead of the old hospital's boxes",
    "proposed_rois_shuffled": "control: the gates of `proposed_rois`, taught by the words of other "
    "films",
    "report_adapted_gated_rois": "`report_adapted_gated`, taught as `proposed_rois`",
    "report_adapted": f"{_ADAPTED} on pseudo-label boxes from the reports, ranked by its own score",
    "report_adapted_proposed": f"{_ADAPTED} on pseudo-label boxes from the reports (one ROI on "
    "each side that a report names, chosen by score and by the report's words; no box where it "
    "denies an opacity), then our attention on its ROIs",
    "more_steps": f"control: {_ADAPTED} on the old boxes for as many steps",
    "own": f"control without text: {_ADAPTED} on its own best ROI of the new films that score "
    "highest, as many as have a report of an opacity",
    "finding": f"control: {_ADAPTED} on the best ROI of each film whose report states a finding",
    "sides": f"control: {_ADAPTED} on the best ROI on each side that a report names; no other word "
    "is used",
    "sides_prior": f"control: {_ADAPTED} on boxes chosen as those of `report_adapted`, but by the "
    "named sides alone; no other word of the film is used",
    "shuffled": f"control: {_ADAPTED} on pseudo-label boxes from the reports of other films",
    "oracle_rois": f"oracle: {_ADAPTED} on the ROIs that overlap the new films' true boxes most",
    "truth": f"oracle: {_ADAPTED} on the new films' true boxes",
    "size_prior": "control without text or training: the detector's ROIs ranked by score logit "
    "+ c log area, c chosen on validation films",
    "lung_prior": "the two median boxes of the training films on every film; no pixel is read",
    "roi_chance": "the detector's ROIs in random order",
    "best_available": "oracle: the detector's ROIs that overlap the true boxes most, the ceiling "
    "of any ranking (no false positives, so its AP is its recall)",
}
# Where a method of published tables differed from today's of the same name.
_PUBLISHED_DESCRIPTIONS = {
    "proposed_frozen": "our attention on the frozen detector",
    "adapted_by_itself": f"control without text: {_ADAPTED} on its own best ROI of the half of the "
    "new films that score highest",
}


def description(name: str, *, is_published: bool = False) -> str | None:
    """What a method of a table is; None for a name that only its user knows.

    `is_published` takes the name as published tables use it, and adds today's name.
    """
    today = PUBLISHED_NAMES.get(name, name) if is_published else name
    if today not in DESCRIPTIONS:
        return None
    text = _PUBLISHED_DESCRIPTIONS.get(name, DESCRIPTIONS[today])
    return text + (f" (now named `{today}`)" if today != name else "")
