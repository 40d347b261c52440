"""`split_manifest`: train, validation and test by patient, stratified and reproducible."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from data_manifests.support.arrays import Bools, Floats, Ints
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.membership import is_member
from data_manifests.tables.manifest import Manifest
from data_manifests.tables.nih_rsna_overlap import is_unmapped_rsna, nih_pneumonia_films

SPLIT_NAMES = ("train", "val", "test")
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.7, "val": 0.15, "test": 0.15}
DEFAULT_STRATA = ("has_box", "pneumonia", "view", "source")
MAX_LEVELS = 10  # a numeric column with more values than this is cut into quartiles


def split_manifest(
    manifest: Manifest,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    stratify_by: Sequence[str] = DEFAULT_STRATA,
    seed: int = 0,
    *,
    keep_existing: bool = False,
) -> Manifest:
    """The manifest with a new `split` column: whole patients, and so whole studies, in one split.

    Fractions are of patients. Inside every stratum the share of each split is right to one patient,
    and what rounding took there is given back in the next stratum, so the totals are right too.
    The order of patients is that of SHA-256 of seed and id: rows may come in any order.

    Args:
        fractions: shares of train, val and test; they sum to 1, a missing one is 0.
        stratify_by: `has_box`, `has_report`, or a column of `images` or `labels`; a name that the
            manifest does not have is left out if it is one of the defaults. A patient counts as
            boxed if one film is; a numeric label is the patient's highest (quartiles where it has
            more than ten values), a text the most frequent.
        keep_existing: patients that have a split keep it, for all their films; the others are
            shared out so that the whole comes nearest to the fractions.

    Raises:
        ConfigError: fractions that do not sum to 1, or an unknown stratum.
        DataError: with `keep_existing`, a patient is in two splits already.
    """
    _check_fractions(fractions)
    strata = _patient_strata(manifest, stratify_by)
    kept = _existing_splits(manifest) if keep_existing else {}
    assigned: dict[str, str] = {}
    carry = np.zeros(len(SPLIT_NAMES))
    shares = np.array([fractions.get(name, 0.0) for name in SPLIT_NAMES])
    for _, members in strata.groupby(strata, sort=True):
        patients = [str(patient) for patient in members.index]
        free = sorted((p for p in patients if p not in kept), key=lambda p: _rank(seed, p))
        taken = np.array([sum(kept.get(p) == name for p in patients) for name in SPLIT_NAMES])
        wanted = shares * len(patients) - taken + carry
        counts = _whole_counts(wanted, len(free), shares)
        carry = wanted - counts
        parts = np.split(np.array(free), counts.cumsum()[:-1])
        for name, part in zip(SPLIT_NAMES, parts, strict=True):
            assigned.update((str(patient), name) for patient in part)
    assigned.update(kept)
    return _with_split(manifest, manifest.images["patient_id"].map(assigned))


def split_around(manifest: Manifest, reference: Manifest) -> Manifest:
    """Put all films in `train`, except those of patients that `reference` holds out.

    Films of patients in val or test of `reference` get a blank split, so that a model trained on
    `manifest` can be tested on `reference`. Both must name patients in the same way.

    Raises:
        DataError: `reference` has no held-out patient, or only held-out ones.
    """
    in_heldout = reference.images["split"].isin(("val", "test"))
    heldout = reference.images.loc[in_heldout, "patient_id"].unique()
    if len(heldout) == 0:
        raise _split_error("a reference with val or test films", "none")
    return _hold_out(manifest, is_member(manifest.images["patient_id"], heldout))


def split_around_nih_pneumonia(manifest: Manifest) -> Manifest:
    """The leak-free split for a test on NIH's pneumonia boxes.

    Films of the 116 patients of these boxes get a blank split, all others `train`. RSNA films whose
    NIH patient is not known get a blank split too.

    Raises:
        DataError: nothing is left for training.
    """
    images = manifest.images
    heldout = is_member(images["patient_id"], nih_pneumonia_films()["patient_id"])
    return _hold_out(manifest, heldout | is_unmapped_rsna(images).to_numpy(bool))


def _hold_out(manifest: Manifest, is_heldout: Bools) -> Manifest:
    if is_heldout.all():
        raise _split_error("some patients that are not held out", "none")
    return _with_split(manifest, pd.Series(np.where(is_heldout, "", "train"), dtype="str"))


def _with_split(manifest: Manifest, split: pd.Series) -> Manifest:
    images = manifest.images.copy()
    images["split"] = split.astype("str").to_numpy()
    return replace(manifest, images=images)


def _check_fractions(fractions: Mapping[str, float]) -> None:
    unknown = set(fractions) - set(SPLIT_NAMES)
    values = list(fractions.values())
    good = all(np.isfinite(value) and 0 <= value <= 1 for value in values)
    if unknown or not good or abs(sum(values) - 1) > 1e-6:
        raise ConfigError(
            "fractions must be shares of train, val and test between 0 and 1 that sum to 1, "
            f"got {dict(fractions)}"
        )


def _rank(seed: int, patient_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{patient_id}".encode()).digest()


def _whole_counts(wanted: Floats, total: int, shares: Floats) -> Ints:
    """Whole numbers >= 0 that sum to `total`, nearest to `wanted` (largest remainder).

    A split with share 0 gets no patient.
    """
    wanted = np.where(shares > 0, np.clip(wanted, 0, None), 0)
    if wanted.sum() <= 0:
        wanted = shares.copy()
    wanted = wanted * (total / wanted.sum())
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    # Ties go to the larger split, then to the first, so that the result does not hang on rounding.
    remainders = np.where(shares > 0, np.round(wanted - counts, 9), -1)
    order = np.lexsort((np.arange(len(shares)), -shares, -remainders))
    counts[order[: total - int(counts.sum())]] += 1
    return counts


def _existing_splits(manifest: Manifest) -> dict[str, str]:
    placed = manifest.images.loc[manifest.images["split"] != "", ["patient_id", "split"]]
    pairs = placed.drop_duplicates()
    twice = pairs["patient_id"].duplicated()
    if twice.any():
        raise DataError.from_problems(
            [
                Problem(
                    file="images.csv",
                    row=int(row) + 2,
                    field="split",
                    expected="the split of the patient's earlier films",
                    got=repr(str(pairs.loc[row, "split"])),
                    fix="split anew, or correct the rows",
                )
                for row in pairs.index[twice]
            ]
        )
    return dict(zip(pairs["patient_id"], pairs["split"], strict=True))


def _patient_strata(manifest: Manifest, names: Sequence[str]) -> pd.Series:
    """One text for each patient that names its stratum; the index is the patient id."""
    patient = manifest.images["patient_id"]
    parts = [
        _summary(patient, column)
        for name in names
        if (column := _stratum_column(manifest, name)) is not None
    ]
    patients = pd.Index(sorted(set(patient)))
    stratum = pd.Series("", index=patients, dtype="str")
    for part in parts:
        stratum = stratum + "|" + part.reindex(patients).astype("str").fillna("")
    return stratum


def _stratum_column(manifest: Manifest, name: str) -> pd.Series | None:
    """The values of a stratum, one for each film."""
    images, labels = manifest.images, manifest.labels
    if name == "has_box":
        return pd.Series(is_member(images["image_id"], manifest.boxes["image_id"]), dtype="float64")
    if name == "has_report":
        return pd.Series(
            is_member(images["study_id"], manifest.reports["study_id"]), dtype="float64"
        )
    if name in labels and name != "image_id":
        return labels.set_index("image_id")[name].reindex(images["image_id"]).reset_index(drop=True)
    if name in images:
        return images[name]
    if name in DEFAULT_STRATA:
        return None
    raise ConfigError(
        f"no column {name!r} to stratify by; there are has_box, has_report, "
        f"{', '.join([*images.columns[1:], *labels.columns[1:]])}"
    )


def _summary(patient: pd.Series, column: pd.Series) -> pd.Series:
    """One value for each patient."""
    if pd.api.types.is_numeric_dtype(column):
        highest = column.astype("float64").groupby(patient.to_numpy()).max()
        if highest.nunique() > MAX_LEVELS:
            edges = highest.quantile([0.25, 0.5, 0.75]).to_numpy()
            quartile = pd.Series(np.searchsorted(edges, highest), index=highest.index)
            return quartile.where(highest.notna(), -1)
        return highest
    text = column.astype("str").fillna("")
    counts = text.groupby([patient.to_numpy(), text.to_numpy()]).size().reset_index()
    counts.columns = pd.Index(["patient", "value", "films"])
    counts = counts.sort_values(["patient", "films", "value"], ascending=[True, False, True])
    return counts.drop_duplicates("patient").set_index("patient")["value"]


def _split_error(expected: str, got: str) -> DataError:
    problem = Problem(file="images.csv", field="split", expected=expected, got=got)
    return DataError.from_problems([problem])
