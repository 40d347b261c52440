"""Row filters (`sex=F`, `patient_id!=`) and label rules (`pneumonia=1 where class=Opacity`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.builders.sources import require_columns
from data_manifests.support.arrays import Bools
from data_manifests.support.errors import ConfigError


@dataclass(frozen=True)
class RowFilter:
    """Keeps rows whose `column` is (or is not) exactly `value`; a blank value means blank."""

    column: str
    value: str
    is_equal: bool = True

    def __str__(self) -> str:
        return f"{self.column}{'=' if self.is_equal else '!='}{self.value}"

    def matches(self, table: pd.DataFrame) -> Bools:
        """Which rows fulfil the filter; (rows,) bool."""
        equal = (table[self.column].str.strip() == self.value).to_numpy(bool)
        return equal if self.is_equal else ~equal


@dataclass(frozen=True)
class LabelRule:
    """Gives the label `name` the `value` in rows that fulfil all filters."""

    name: str
    value: str
    where: tuple[RowFilter, ...]

    def __str__(self) -> str:
        return f"{self.name}={self.value} where {' and '.join(map(str, self.where))}"


def parse_filter(text: str) -> RowFilter:
    """`COLUMN=VALUE` or `COLUMN!=VALUE`.

    Raises:
        ConfigError: neither of the two.
    """
    column, equals, value = text.partition("=")
    if not equals or not column.strip(" !"):
        raise ConfigError(f"a filter must be COLUMN=VALUE or COLUMN!=VALUE, got {text!r}")
    is_equal = not column.endswith("!")
    return RowFilter(column.removesuffix("!").strip(), value.strip(), is_equal)


def parse_rule(text: str) -> LabelRule:
    """`NAME=VALUE where COLUMN=VALUE [and COLUMN!=VALUE ...]`.

    Raises:
        ConfigError: another form.
    """
    head, where, tail = text.partition(" where ")
    name, equals, value = head.partition("=")
    if not where or not equals or not name.strip():
        raise ConfigError(f"a label rule must be NAME=VALUE where COLUMN=VALUE, got {text!r}")
    filters = tuple(parse_filter(part) for part in tail.split(" and "))
    return LabelRule(name.strip(), value.strip(), filters)


def row_mask(path: Path, table: pd.DataFrame, filters: Sequence[RowFilter]) -> Bools:
    """Which rows fulfil all filters; `path` names the table in errors.

    Raises:
        DataError: a filter names a column that the table does not have.
    """
    require_columns(path, table.columns, [item.column for item in filters])
    mask = np.ones(len(table), dtype=bool)
    for item in filters:
        mask &= item.matches(table)
    return mask


def apply_rules(path: Path, table: pd.DataFrame, rules: Sequence[LabelRule]) -> pd.DataFrame:
    """One text column for each label of `rules`, blank where no rule fits; the first rule wins."""
    labels = pd.DataFrame(index=table.index)
    for rule in rules:
        if rule.name not in labels:
            labels[rule.name] = pd.Series("", index=table.index, dtype="str")
        fits = row_mask(path, table, rule.where) & (labels[rule.name] == "").to_numpy(bool)
        labels.loc[fits, rule.name] = rule.value
    return labels
