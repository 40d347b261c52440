"""Bars of IoU@T with intervals, a panel for each test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.core.drawing import COLOURS, figure_at
from experiments.tables.rows import TableRow
from localize.evaluation.report import HUMAN_AGREEMENT

THRESHOLDS = ("0.25", "0.5", "0.75")


def draw_table1(rows: Sequence[TableRow], path: Path) -> None:
    """Write a PNG: a bar for each method and threshold; the agreement of readers is dotted."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    width = max(8.0, 1.5 + 0.65 * len({row.method for row in rows}))  # room for each name
    with figure_at(path, width, 3.2 * len(datasets)) as figure:
        panels = figure.subplots(len(datasets), 1, squeeze=False)[:, 0]
        for panel, dataset in zip(panels, datasets, strict=True):
            part = [row for row in rows if row.dataset == dataset]
            place = np.arange(len(part))
            for k, threshold in enumerate(THRESHOLDS):
                numbers = [row.number(f"iou_at_{threshold}") for row in part]
                values = np.array([number.value or 0.0 for number in numbers])
                spread = np.array(
                    [
                        [
                            value - (one.low if one.low is not None else value),
                            (one.high if one.high is not None else value) - value,
                        ]
                        for one, value in zip(numbers, values, strict=True)
                    ]
                )
                panel.bar(
                    place + 0.27 * (k - 1),
                    values,
                    0.25,
                    yerr=np.clip(spread.T, 0, None),
                    color=COLOURS[k],
                    error_kw={"lw": 0.8},
                    label=f"IoU@{threshold.removeprefix('0')}",
                )
                panel.axhline(
                    HUMAN_AGREEMENT[f"iou_at_{threshold}"], color=COLOURS[k], lw=0.8, ls=":"
                )
            panel.set_xticks(place, [row.method.replace("_", "\n") for row in part])
            panel.set_ylim(0, 1)
            panel.set_ylabel("true boxes found")
            panel.set_title(f"{dataset} (dotted: two groups of readers on 38 other films)")
            panel.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
