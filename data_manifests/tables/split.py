"""`split_manifest`: train, validation and test by patient, stratified and reproducible."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_manifests.support.arrays import Bools, Floats, Ints
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.membership import Lookup, first_rows, is_member, text_codes
from data_manifests.tables.manifest import Manifest
from data_manifests.tables.nih_rsna_overlap import is_unmapped_rsna, nih_pneumonia_films

# What a split does not depend on: columns to be left out when the manifest is read.
NOT_SPLIT = {"images": ("sha256",), "boxes": ("label", "annotator")}
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
    patients = _Patients(manifest.images["patient_id"])
    stratum = _strata(manifest, patients, stratify_by)
    kept = _existing_splits(manifest, patients) if keep_existing else patients.filled(-1)
    rank = patients.ranks(seed)
    assigned = kept.copy()
    carry = np.zeros(len(SPLIT_NAMES))
    shares = np.array([fractions.get(name, 0.0) for name in SPLIT_NAMES])
    order = np.lexsort((rank, stratum))
    ends = np.flatnonzero(np.diff(stratum[order])) + 1
    for members in np.split(order, ends):
        free = members[kept[members] < 0]
        taken = np.bincount(kept[members] + 1, minlength=len(SPLIT_NAMES) + 1)[1:]
        wanted = shares * len(members) - taken + carry
        counts = _whole_counts(wanted, len(free), shares)
        carry = wanted - counts
        for number, part in enumerate(np.split(free, counts.cumsum()[:-1])):
            assigned[part] = number
    names = pd.Series(SPLIT_NAMES, dtype="str")
    return _with_split(manifest, names.iloc[assigned[patients.of_film]])


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
    images["split"] = split.astype("str").set_axis(images.index)
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


class _Patients:
    """The patients of the films, in the order of their ids."""

    def __init__(self, patient_id: pd.Series) -> None:
        codes = text_codes(patient_id)
        ids = patient_id.iloc[first_rows(patient_id)]
        order = ids.argsort().to_numpy()  # of texts: by code point
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        self.ids = ids.iloc[order].reset_index(drop=True)
        self.of_film: Ints = number[codes]

    def filled(self, value: int) -> Ints:
        """A small whole number for each patient."""
        filled: Ints = np.full(len(self.ids), value, np.int8)
        return filled

    def ranks(self, seed: int) -> Ints:
        """The place of each patient in the order of SHA-256 of seed and id."""
        digests = np.empty(len(self.ids), "S32")
        for number, patient_id in enumerate(self.ids):
            digests[number] = hashlib.sha256(f"{seed}:{patient_id}".encode()).digest()
        place = np.empty(len(digests), np.int64)
        place[digests.argsort()] = np.arange(len(digests))
        return place


def _existing_splits(manifest: Manifest, patients: _Patients) -> Ints:
    """The number of each patient's split, -1 where there is none."""
    names = pd.Index(["", *SPLIT_NAMES])
    of_film = names.get_indexer(pd.Index(manifest.images["split"])).astype(np.int8) - 1
    placed = np.flatnonzero(of_film >= 0)
    kept = patients.filled(-1)
    kept[patients.of_film[placed[::-1]]] = of_film[placed[::-1]]  # the first film's
    other = placed[of_film[placed] != kept[patients.of_film[placed]]]
    if len(other):
        pair = patients.of_film[other] * len(names) + of_film[other]
        rows = np.sort(other[np.unique(pair, return_index=True)[1]])
        raise DataError.from_problems(
            [
                Problem(
                    file="images.csv",
                    row=int(row) + 2,
                    field="split",
                    expected="the split of the patient's earlier films",
                    got=repr(str(manifest.images["split"].iloc[row])),
                    fix="split anew, or correct the rows",
                )
                for row in rows
            ]
        )
    return kept


def _strata(manifest: Manifest, patients: _Patients, names: Sequence[str]) -> Ints:
    """The number of each patient's stratum; strata are in the order of their names.

    The name of a stratum joins the patient's values, such as `|1.0|PA`.
    """
    stratum = np.zeros(len(patients.ids), np.int64)
    texts = np.array([""], object)
    for name in names:
        column = _stratum_column(manifest, name)
        if column is None:
            continue
        level, levels = _summary(patients.of_film, column, len(patients.ids))
        joint, stratum = np.unique(stratum * len(levels) + level, return_inverse=True)
        texts = texts[joint // len(levels)] + "|" + levels[joint % len(levels)]
    texts, of_joint = np.unique(texts, return_inverse=True)
    strata: Ints = of_joint[stratum]
    return strata


def _stratum_column(manifest: Manifest, name: str) -> pd.Series | None:
    """The values of a stratum, one for each film."""
    images, labels = manifest.images, manifest.labels
    if name == "has_box":
        has_box = np.zeros(len(images))
        has_box[Lookup(images["image_id"]).places(manifest.boxes["image_id"])] = 1
        return pd.Series(has_box)
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


def _summary(of_film: Ints, column: pd.Series, count: int) -> tuple[Ints, NDArray[np.object_]]:
    """The level of each of `count` patients, and the texts of the levels."""
    if pd.api.types.is_numeric_dtype(column):
        highest = column.astype("float64").groupby(of_film).max()
        if highest.nunique() > MAX_LEVELS:
            edges = highest.quantile([0.25, 0.5, 0.75]).to_numpy()
            quartile = pd.Series(np.searchsorted(edges, highest), index=highest.index)
            highest = quartile.where(highest.notna(), -1)
        level, values = pd.factorize(highest, use_na_sentinel=False)
        return level, pd.Series(values).astype("str").fillna("").to_numpy(object)
    level_of_film, values = pd.factorize(column.astype("str").fillna(""), sort=True)
    pairs, films = np.unique(of_film * len(values) + level_of_film, return_counts=True)
    patient, level = np.divmod(pairs, len(values))
    order = np.lexsort((level, -films, patient))  # the most frequent, then the first by name
    is_first = np.append(True, np.diff(patient[order]) != 0)
    return level[order][is_first], values.to_numpy(object)


def _split_error(expected: str, got: str) -> DataError:
    problem = Problem(file="images.csv", field="split", expected=expected, got=got)
    return DataError.from_problems([problem])
