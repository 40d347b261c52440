"""`find_overlap_leaks`: patients and films that training has seen and a test asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data_manifests.support.choices import LeakName
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.membership import first_rows, is_member, may_differ, may_repeat
from data_manifests.tables.manifest import Manifest
from data_manifests.tables.nih_rsna_overlap import (
    is_nih_film,
    is_rsna_film,
    is_unmapped_rsna,
    nih_pneumonia_films,
)

LONG_TEXT = 200  # letters; shorter reports are often templates


def find_overlap_leaks(
    train: Manifest, test: Manifest, *, allow: Sequence[str] = ()
) -> list[Problem]:
    """Why `test` is no test of what was trained on `train`: one problem for each patient or film.

    Both are taken whole, so pass `manifest.split("train")` and `manifest.split("test")`. Compared
    are patient ids and file checksums. RSNA's films are NIH films under new names: where RSNA films
    have no NIH patient (`rsna` was built without its mapping), the shipped list of NIH
    pneumonia-box films says which are known to be shared, and no other NIH film can be cleared.

    Args:
        allow: names of leaks that the caller accepts: `shared-patients`, `shared-films`,
            `nih-rsna`.

    Raises:
        ConfigError: an unknown name in `allow`.
    """
    return _overlap(train.images, test.images, allow)


def refuse_overlap_leaks(train: Manifest, test: Manifest, *, allow: Sequence[str] = ()) -> None:
    """Raise what `find_overlap_leaks` finds.

    Raises:
        DataError: a leak that is not in `allow`.
    """
    problems = find_overlap_leaks(train, test, allow=allow)
    if problems:
        raise DataError.from_problems(problems)


def split_leaks(images: pd.DataFrame) -> list[Problem]:
    """Patients and studies that are in two splits of one manifest, one problem each."""
    problems = []
    is_placed = (images["split"] != "").to_numpy(bool)
    for column in ("patient_id", "study_id"):
        if not may_differ(images[column], images["split"], is_placed):
            continue  # as nearly always; a tenth of the memory
        pairs = images.loc[is_placed, [column, "split"]].drop_duplicates()
        again = pairs[pairs[column].duplicated()].drop_duplicates(column)
        if again.empty:
            continue
        first = pairs.drop_duplicates(column).set_index(column)["split"]
        problems += [
            Problem(
                file="images.csv",
                row=int(row) + 2,
                field=column,
                expected=f"all films of one {column.removesuffix('_id')} in one split "
                f"({first[identity]})",
                # The id itself is not shown: it may name a person.
                got=f"film {images['image_id'][row]} in {split}",
                fix="run `pneumoloc manifest split`",
            )
            for row, identity, split in zip(again.index, again[column], again["split"], strict=True)
        ]
    return problems


def patients_written_twice(images: pd.DataFrame) -> tuple[list[Problem], list[Problem]]:
    """Patient ids that differ only in case, spaces or Unicode form, as problems and notes.

    They are probably one person: a problem where they are in two splits, else a note.
    """
    spellings = images["patient_id"].iloc[first_rows(images["patient_id"])]
    if not may_repeat(spellings, key=_plain):
        return [], []  # as nearly always; a tenth of the memory
    doubtful = spellings[_plain(spellings).duplicated(keep=False)]
    ids = images.loc[is_member(images["patient_id"], doubtful), ["patient_id", "split"]]
    ids = ids.drop_duplicates()
    problems: list[Problem] = []
    notes: list[Problem] = []
    for _, group in ids.groupby(_plain(ids["patient_id"]), sort=False):
        first, later = group.index[0], group.drop_duplicates("patient_id").index[1]
        is_leak = group.loc[group["split"] != "", "split"].nunique() > 1
        (problems if is_leak else notes).append(
            Problem(
                file="images.csv",
                row=int(later) + 2,
                field="patient_id",
                expected="one spelling of each patient",
                # The ids are not shown: they may name a person.
                got=f"films {images['image_id'][first]} and {images['image_id'][later]}, whose "
                "patients differ only in case, spaces or accents",
                fix="write one person's id the same way, then split anew"
                if is_leak
                else "write one person's id the same way",
            )
        )
    return problems, notes


def _plain(ids: pd.Series) -> pd.Series:
    return ids.str.normalize("NFKC").str.strip().str.casefold()


def shared_report_texts(images: pd.DataFrame, reports: pd.DataFrame) -> list[Problem]:
    """A note where training and held-out studies have the same report, word for word.

    Templates of normal films are; a longer text may be one study under two ids.
    """
    if reports.empty:
        return []
    split = images.drop_duplicates("study_id").set_index("study_id")["split"]
    texts = reports.groupby("study_id", sort=False)["text"].agg(" ".join)
    part = split.reindex(texts.index)
    train = texts[(part == "train").to_numpy(bool)]
    heldout = texts[part.isin(("val", "test")).to_numpy(bool)]
    shared = heldout[is_member(heldout, train) & (heldout.str.len() >= LONG_TEXT).to_numpy(bool)]
    if shared.empty:
        return []
    return [
        Problem(
            file="reports.csv",
            field="text",
            expected="held-out reports that training has not read",
            got=f"{len(shared)} held-out studies with a text of the training split, the first "
            f"{shared.index[0]!r}",
            fix="look whether these are the same studies",
        )
    ]


def overlap_inside(images: pd.DataFrame, allow: Sequence[str] = ()) -> list[Problem]:
    """The NIH/RSNA overlap between train and the held-out films of one manifest."""
    is_train = (images["split"] == "train").to_numpy(bool)
    is_heldout = images["split"].isin(("val", "test")).to_numpy(bool)
    if not (is_train.any() and is_heldout.any()):
        return []
    allow = (*allow, LeakName.SHARED_PATIENTS, LeakName.SHARED_FILMS)
    accepted = _leak_names(allow)
    ids = images["image_id"]
    if LeakName.NIH_RSNA in accepted or not (is_rsna_film(ids).any() and is_nih_film(ids).any()):
        return []  # as nearly always; copies of rows take memory
    images = images[["image_id", "patient_id", "split"]]
    return _overlap(images[is_train], images[is_heldout], allow)


def _leak_names(names: Sequence[str]) -> set[LeakName]:
    try:
        return {LeakName(name) for name in names}
    except ValueError as error:
        raise ConfigError(
            f"allow: expected {', '.join(LeakName)}, got {', '.join(map(repr, names))}"
        ) from error


def _overlap(train: pd.DataFrame, test: pd.DataFrame, allow: Sequence[str]) -> list[Problem]:
    accepted = _leak_names(allow)
    problems = []
    if LeakName.SHARED_PATIENTS not in accepted:
        problems += _shared(train, test, "patient_id", LeakName.SHARED_PATIENTS, accepted)
    if LeakName.SHARED_FILMS not in accepted:
        problems += _shared(train, test, "sha256", LeakName.SHARED_FILMS, accepted)
    if LeakName.NIH_RSNA not in accepted:
        problems += _nih_rsna(train, test)
        problems += _nih_rsna(test, train, is_reversed=True)
    return problems


def _shared(
    train: pd.DataFrame, test: pd.DataFrame, column: str, name: LeakName, accepted: set[LeakName]
) -> list[Problem]:
    """Test films whose `column` training films have too: one problem for each value."""
    leaking = test[is_member(test[column], train[column]) & (test[column] != "").to_numpy(bool)]
    leaking = leaking.drop_duplicates(column)
    if LeakName.NIH_RSNA in accepted and column == "patient_id":
        # Accepted by name: a patient known through the mapping, under the other data set's film.
        is_rsna = is_rsna_film(train["image_id"])
        only_rsna = set(train.loc[is_rsna, column]) - set(train.loc[~is_rsna, column])
        is_known = leaking[column].isin(only_rsna) & is_nih_film(leaking["image_id"])
        leaking = leaking[~is_known]
    what = {"patient_id": "a patient", "sha256": "a film file"}[column]
    return [
        Problem(
            file="images.csv",
            row=int(row) + 2,
            field=column,
            expected=f"{what} that training has not seen",
            got=f"film {image_id}",
            fix=f"split around the test (`pneumoloc manifest split --around`), or allow {name}",
        )
        for row, image_id in zip(leaking.index, leaking["image_id"], strict=True)
    ]


def _nih_rsna(
    with_rsna: pd.DataFrame, with_nih: pd.DataFrame, is_reversed: bool = False
) -> list[Problem]:
    """NIH films beside RSNA films whose true patients are not known."""
    unmapped = is_unmapped_rsna(with_rsna)
    nih = with_nih[is_nih_film(with_nih["image_id"])]
    if not unmapped.any() or nih.empty:
        return []
    shipped = nih_pneumonia_films()
    known = shipped[shipped["rsna_overlap"] != "unknown"].set_index("image_id")["rsna_overlap"]
    is_known = nih["image_id"].isin(known.index).to_numpy(bool)
    fix = (
        "build `rsna` with its mapping to NIH and split around, "
        f"or allow {LeakName.NIH_RSNA} and say so beside the numbers"
    )
    problems = [
        Problem(
            file="images.csv",
            row=int(row) + 2,
            field="image_id",
            expected="films that are not in RSNA stage 2 train",
            got=f"{image_id}: its {known[image_id]} is",
            fix=fix,
        )
        for row, image_id in zip(nih.index[is_known], nih["image_id"][is_known], strict=True)
    ]
    rest = int(np.count_nonzero(~is_known))
    if rest:
        side = "training" if is_reversed else "test"
        problems.append(
            Problem(
                file="images.csv",
                field="patient_id",
                expected=f"NIH patients of the {side} that are known not to be in RSNA",
                got=f"{rest} NIH films beside {int(unmapped.sum())} RSNA films of unknown patients",
                fix=fix,
            )
        )
    return problems
