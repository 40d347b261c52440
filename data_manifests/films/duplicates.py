"""`duplicate_contents`: one film under several ids, found by a checksum."""

from __future__ import annotations

import pandas as pd

from data_manifests.support.errors import Problem
from data_manifests.support.membership import may_repeat


def duplicate_contents(
    images: pd.DataFrame, digest: pd.Series, field: str, what: str
) -> tuple[list[Problem], list[Problem]]:
    """Films whose `digest` an earlier row has, as problems and as notes.

    A film repeated inside one patient and one split only counts twice: a note. Under two patients
    or in two splits it leaks, or one of the patient ids is wrong: a problem. Blank digests are not
    compared. `what` says what is equal, for example `file` or `pixels`.
    """
    known = (digest != "") & digest.notna()
    if not may_repeat(digest, known.to_numpy(bool)):
        return [], []  # as nearly always; a tenth of the memory
    repeated = known & digest.duplicated(keep=False)
    rows = images[repeated].assign(digest=digest[repeated], row=images.index[repeated])
    first = rows.drop_duplicates("digest").set_index("digest")
    later = rows[rows["digest"].duplicated()]
    problems: list[Problem] = []
    notes: list[Problem] = []
    for row, image_id, patient_id, split, key in zip(
        later["row"],
        later["image_id"],
        later["patient_id"],
        later["split"],
        later["digest"],
        strict=True,
    ):
        original = first.loc[key]
        same_place = (original["patient_id"], original["split"]) == (patient_id, split)
        (notes if same_place else problems).append(
            Problem(
                file="images.csv",
                row=int(row) + 2,
                field=field,
                expected=f"a {what} that no other film has",
                got=f"{image_id} equal to {original['image_id']} (row {int(original['row']) + 2})",
                fix="keep one of them"
                if same_place
                else "they are in two splits or under two patients: merge the patients, keep one",
            )
        )
    return problems, notes
