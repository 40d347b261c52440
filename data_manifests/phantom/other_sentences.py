"""Sentences that are not about the opacity: distractors in their own words, and the rest."""

from __future__ import annotations

import numpy as np

from data_manifests.laterality import SIDES_ACROSS_FILM, LungSide
from data_manifests.phantom.anatomy import Anatomy
from data_manifests.phantom.phrases import choose
from data_manifests.phantom.plan import Distractors
from data_manifests.phantom.truth import Truth

DEVICE_SENTENCES = {
    "pacemaker": (
        "Left-sided pacemaker with leads in expected position.",
        "Left chest wall pacing device is in place.",
    ),
    "central line": (
        "Central venous catheter tip projects over the SVC.",
        "Central line terminates in the superior vena cava.",
    ),
    "endotracheal tube": (
        "Endotracheal tube tip is above the carina. Enteric tube courses below the left diaphragm.",
        "ET tube and nasogastric tube are in standard position.",
    ),
    "electrodes": (
        "Multiple overlying EKG leads.",
        "Monitoring leads overlie both sides of the chest.",
    ),
    "sternotomy wires": (
        "Median sternotomy wires are intact.",
        "Status post sternotomy.",
    ),
}
BONES = (
    "Mild degenerative changes of the thoracic spine.",
    "No acute osseous abnormality.",
    "The visualized bony structures are intact.",
    "Moderate degenerative disease of the spine.",
    "Osseous structures are unremarkable.",
)
MEDIASTINUM = (
    "The mediastinal contours are unremarkable.",
    "Mediastinal silhouette is within normal limits.",
    "Aortic calcifications are noted.",
    "The hilar contours are normal.",
)
LARGE_HEART = ("Mild cardiomegaly.", "The heart is enlarged.", "Moderate cardiomegaly.")
NORMAL_HEART = ("Heart size is normal.", "The cardiac silhouette is within normal limits.")
NO_AIR = ("No pneumothorax.", "There is no evidence of pneumothorax.")
NO_AIR_NO_FLUID = (
    "No pneumothorax or pleural effusion.",
    "No large pleural effusion or pneumothorax.",
    "There is no pneumothorax.",
    "No effusion is identified.",
)
INDICATIONS = (
    "Cough and fever.",
    "Shortness of breath.",
    "{age} year old {sex} with {days} days of cough.",
    "Evaluate for pneumonia.",
    "{age} year old {sex}, rule out infiltrate.",
    "Chest pain.",
    "Right-sided chest pain.",
    "Left-sided pleuritic pain.",
    "Hypoxia, question pneumonia.",
    "History of left lower lobe pneumonia.",
    "History of right upper lobe pneumonia, follow-up.",
    "Preoperative evaluation.",
)


def indication(rng: np.random.Generator, anatomy: Anatomy) -> str:
    """Why the film was taken. It may name old or suspected disease; it states nothing present."""
    text = choose(rng, INDICATIONS)
    days = int(rng.integers(2, 10))
    sex = "female" if anatomy.sex == "F" else "male"
    return text.format(age=anatomy.age_years, sex=sex, days=days)


def effusion_phrase(rng: np.random.Generator, plan: Distractors) -> str:
    """The effusion with its own size word, which says nothing of the opacity."""
    side = SIDES_ACROSS_FILM[plan.effusion_side or 0]
    small = ("small", "trace", "tiny", "minimal")
    middling = ("moderate", "moderate-sized", "small to moderate")
    sizes = (
        small if plan.effusion_size < 0.3 else middling if plan.effusion_size < 0.65 else ("large",)
    )
    return f"{choose(rng, sizes)} {side} pleural effusion"


def atelectasis_phrase(rng: np.random.Generator, plan: Distractors) -> str:
    """The band of atelectasis."""
    side = SIDES_ACROSS_FILM[plan.atelectasis_side or 0]
    look = choose(
        rng, ("linear", "bandlike", "platelike", "streaky", "minimal", "mild", "subsegmental")
    )
    return f"{look} {side} {choose(rng, ('basilar', 'lower lobe', 'base'))} atelectasis"


def distractor_sentences(rng: np.random.Generator, plan: Distractors) -> list[str]:
    """One sentence for each planted distractor."""
    sentences: list[str] = []
    if plan.effusion_side is not None:
        phrase = effusion_phrase(rng, plan)
        frames = ("There is a {}.", "{}.", "{} is noted.")
        sentences.append(_sentence(choose(rng, frames).format(phrase)))
    if plan.nodule_side is not None:
        side = SIDES_ACROSS_FILM[plan.nodule_side]
        zone = ("upper", "mid", "lower")[min(2, int(plan.nodule_place[1] * 3))]
        size_mm = round(plan.nodule_radius * 2.0 * 430)  # a film is about 43 cm wide
        frames = (
            f"{size_mm} mm nodule in the {side} {zone} lung.",
            f"Rounded {size_mm} mm {side} {zone} lung nodule.",
            f"Calcified granuloma in the {side} {zone} lung.",
        )
        sentences.append(choose(rng, frames))
    if plan.atelectasis_side is not None:
        sentences.append(_sentence(f"{atelectasis_phrase(rng, plan)}."))
    if plan.has_congestion:
        options = (
            "Mild pulmonary vascular congestion.",
            "Prominence of the central pulmonary vasculature.",
            "Moderate pulmonary vascular congestion.",
        )
        sentences.append(choose(rng, options))
    for device in plan.devices:
        sentences.append(choose(rng, DEVICE_SENTENCES[device]))
    return sentences


def routine_sentences(
    rng: np.random.Generator, plan: Distractors, *, low_volumes: bool
) -> list[str]:
    """Heart, mediastinum, bones, pleura; true of the film, silent on the opacity."""
    sentences: list[str] = []
    if plan.has_cardiomegaly:
        sentences.append(choose(rng, LARGE_HEART))
    elif rng.random() < 0.7:
        sentences.append(choose(rng, NORMAL_HEART))
    if rng.random() < 0.5:
        sentences.append(choose(rng, MEDIASTINUM))
    if rng.random() < 0.5:
        sentences.append(choose(rng, BONES))
    if rng.random() < 0.6:
        sentences.append(choose(rng, NO_AIR if plan.effusion_side is not None else NO_AIR_NO_FLUID))
    if low_volumes and rng.random() < 0.6:
        sentences.append(choose(rng, ("Low lung volumes.", "Lung volumes are low.")))
    return sentences


def clear_sentences(rng: np.random.Generator, plan: Distractors) -> list[str]:
    """What a report says of lungs without an opacity."""
    is_plain = plan.nodule_side is None and plan.atelectasis_side is None
    options = [
        "No focal consolidation.",
        "No focal airspace opacity.",
        "There is no focal infiltrate.",
        "No evidence of pneumonia.",
        "Negative for focal airspace disease.",
        "No confluent opacity to suggest pneumonia.",
    ]
    if plan.effusion_side is None:
        options.append("No focal consolidation, pleural effusion or pneumothorax.")
    if is_plain and plan.effusion_side is None:
        options += [
            "The lungs are clear.",
            "Both lungs are clear.",
            "Lungs are well expanded and clear.",
        ]
    return [choose(rng, tuple(options))]


def resolved_sentence(rng: np.random.Generator, side: str) -> str:
    """An old opacity that is no longer there."""
    zone = choose(rng, ("upper lobe", "lower lobe", "basilar", "perihilar"))
    noun = choose(rng, ("opacity", "infiltrate", "consolidation"))
    frames = (
        "Previously seen {side} {zone} {noun} has resolved.",
        "Interval resolution of the {side} {zone} {noun}.",
        "The {side} {zone} {noun} has cleared.",
    )
    return choose(rng, frames).format(side=side, zone=zone, noun=noun)


def other_lung_sentence(rng: np.random.Generator, truth: Truth, plan: Distractors) -> str | None:
    """On a one-sided opacity: the other lung is clear, where that is so."""
    sides = {region.side for region in truth.regions}
    if len(sides) != 1:
        return None
    other: LungSide = "left" if "right" in sides else "right"
    number = SIDES_ACROSS_FILM.index(other)
    if number in (plan.effusion_side, plan.nodule_side, plan.atelectasis_side):
        return None
    frames = (
        "The {} lung is clear.",
        "No focal consolidation in the {} lung.",
        "{} lung is clear.",
    )
    return _sentence(choose(rng, frames).format(other))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
