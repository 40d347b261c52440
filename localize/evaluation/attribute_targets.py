"""Attribute targets of films from a table of assertions or numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem

# What each word of `attributes.csv` (`pneumoloc attributes mine`) says about the film of its
# report: an uncertain mention neither counts as present nor as absent, so it is left out.
TARGET_OF_ASSERTION = {
    "present": 1.0,
    "absent": 0.0,
    "resolved": 0.0,
    "unmentioned": 0.0,
    "uncertain": float("nan"),
    "unread": float("nan"),
    "": float("nan"),
}


def target_matrix(targets: pd.DataFrame, images: pd.DataFrame, keywords: tuple[str, ...]) -> Floats:
    """1 present, 0 not, NaN unknown for each film and keyword; (I, K).

    Args:
        targets: `image_id` or else `study_id`, and a column for each keyword with assertions
            (`present`, `absent`, `uncertain`, `resolved`, `unmentioned`) or 0, 1 and blank.
            Films without a row are unknown.
        images: `image_id` and `study_id` of each film.
        keywords: K names.

    Raises:
        DataError: no id column, a missing keyword, an id twice, or another word.
    """
    key = "image_id" if "image_id" in targets else "study_id"
    missing = [name for name in (key, *keywords) if name not in targets]
    if missing:
        raise _error("targets", f"the columns {key}, {', '.join(keywords)}", f"no {missing}")
    twice = targets[key][targets[key].duplicated()]
    if len(twice):
        raise _error(f"targets, field {key}", "each id once", f"{twice.iloc[0]!r} twice")
    rows = targets.set_index(key)[list(keywords)].reindex(images[key])
    matrix = np.empty((len(rows), len(keywords)))
    for column, name in enumerate(keywords):
        matrix[:, column] = _parsed(rows[name], name)
    return matrix


def _parsed(words: pd.Series, name: str) -> Floats:
    if pd.api.types.is_numeric_dtype(words):
        numbers = words.to_numpy(np.float64)
    else:
        text = words.astype("object").where(words.notna(), "").astype("str").str.strip()
        known = text.map(TARGET_OF_ASSERTION)
        is_word = text.isin(set(TARGET_OF_ASSERTION))
        numbers = known.where(is_word, pd.to_numeric(text, errors="coerce")).to_numpy(np.float64)
        if (~is_word & np.isnan(numbers)).any():
            got = text[~is_word & np.isnan(numbers)].iloc[0]
            raise _error(f"targets, field {name}", f"one of {list(TARGET_OF_ASSERTION)}", repr(got))
    bad = np.isfinite(numbers) & ~np.isin(numbers, (0.0, 1.0))
    if bad.any():
        raise _error(f"targets, field {name}", "0, 1 or blank", str(numbers[bad][0]))
    return np.asarray(numbers, np.float64)


def _error(where: str, expected: str, got: str) -> DataError:
    return DataError.from_problems([Problem(file=where, expected=expected, got=got)])
