"""Manifest check and export at growing numbers of rows: time and memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from data_manifests.tables.check import check_manifest
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.table_file import table_parts, table_path
from experiments.benchmark.peak import Cost, in_process, of_command
from experiments.benchmark.random_tables import write_random_manifest, write_random_prediction
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.sizes import Bench
from localize.formats.export import export
from localize.formats.hub.from_tables import annotations_from_prediction
from localize.prediction.prediction_folder import open_prediction

CHECK_GOAL_S = 15.0  # for a million rows
GOAL_ROWS = 1_000_000
BOXES_A_FILM = 10
STREAM_ROWS = 20_000
CURVE_RUNS = 3  # for points that no goal rests on
LONG_ROWS = 1_000_000  # an export of so many takes minutes: once
MILLION = "manifest_check_1e6"


def check_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """`manifest check` of tables with as many films as boxes, as CSV, at each size."""
    what = "manifest check, {rows} films and as many boxes in CSV; film files not opened"
    runs = bench.runs
    for rows, cost in _grown(bench, "manifest", write_random_manifest, check_once, lambda _: runs):
        yield _growth_row("manifest_check", "check", what.format(rows=rows), rows, cost, runs)
        if rows == GOAL_ROWS:
            yield BenchmarkRow(
                name=MILLION,
                group="check",
                what=what.format(rows=rows),
                ours=cost.seconds,
                baseline=CHECK_GOAL_S,
                baseline_is="the goal",
                goal="<= 1.00",
                unit="s",
                runs=bench.runs,
                detail={
                    "peak_mib": cost.peak_mib,
                    "peak_of_imports_mib": cost.imports_mib,
                    "peak_goal_mib": 2048,
                },
            )


def export_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Reading a prediction and writing it as COCO, one box a film, at each size."""
    what = "export to COCO, {rows} films with a box each, from prediction folder to file"
    for rows, cost in _grown(bench, "prediction", write_random_prediction, export_once, _few):
        yield _growth_row("export", "export", what.format(rows=rows), rows, cost, _few(rows))


def export_million_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Export to COCO of the largest size, ten boxes a film, beside a bare stream of the rows."""
    boxes = bench.size.growth[-1]
    folder = bench.work / "prediction-million"
    write_random_prediction(folder, boxes // BOXES_A_FILM, BOXES_A_FILM)
    command = ["export", str(folder), "--format", "coco", "--out", str(bench.work / "boxes.json")]
    cost = of_command(command, CURVE_RUNS)
    bare = in_process(partial(stream_once, folder), CURVE_RUNS)
    yield BenchmarkRow(
        name="export_1e6" if boxes == GOAL_ROWS else f"export_rows_{boxes}",
        group="export_1e6",
        what=f"`export --format coco`, {boxes} boxes on {boxes // BOXES_A_FILM} films; "
        "processor seconds",
        ours=cost.processor_seconds,
        baseline=bare.processor_seconds,
        baseline_is="the rows of two tables as COCO, one by one, unchecked, without a sidecar",
        unit="s",
        runs=CURVE_RUNS,
        detail={
            "peak_mib": cost.peak_mib,
            "peak_goal_mib": 400,
            "wall_s": cost.seconds,
        },
    )


def _few(rows: int) -> int:
    return 1 if rows >= LONG_ROWS else CURVE_RUNS


def _grown(
    bench: Bench,
    name: str,
    write: Callable[[Path, int], None],
    work: Callable[[Path], object],
    runs: Callable[[int], int],
) -> Iterator[tuple[int, Cost]]:
    for rows in bench.size.growth:
        folder = bench.work / f"{name}-{rows}"
        write(folder, rows)
        yield rows, in_process(partial(work, folder), runs(rows))


def _growth_row(name: str, group: str, what: str, rows: int, cost: Cost, runs: int) -> BenchmarkRow:
    return BenchmarkRow(
        name=f"{name}_growth_{rows}",
        group=group,
        what=what,
        ours=cost.seconds,
        unit="s",
        runs=runs,
        detail={"rows": rows, "peak_mib": cost.peak_mib, "us_per_row": cost.seconds / rows * 1e6},
    )


def check_once(folder: Path) -> None:
    """One check of valid tables."""
    check_manifest(folder, find_films=False).raise_problems()


def export_once(folder: Path) -> None:
    """One export beside the prediction."""
    export(annotations_from_prediction(open_prediction(folder)), "coco", folder / "boxes.json")


def stream_once(folder: Path) -> None:
    """The least that an export to COCO can do: read each row once and write it once."""
    number: dict[str, int] = {}
    with (folder / "bare.json").open("w", encoding="utf-8") as out:
        out.write('{"images": [')
        for table in table_parts(_path(folder, "images"), STREAM_ROWS):
            for image_id, path in zip(table["image_id"], table["path"], strict=True):
                number[image_id] = len(number) + 1
                out.write(f"{json.dumps({'id': number[image_id], 'file_name': path})},\n")
        out.write('{}], "annotations": [')
        for table in table_parts(_path(folder, "boxes"), STREAM_ROWS):
            corners = table[list(CORNERS)].astype("float64").to_numpy().tolist()
            for image_id, (x1, y1, x2, y2) in zip(table["image_id"], corners, strict=True):
                row = {"image_id": number[image_id], "bbox": [x1, y1, x2 - x1, y2 - y1]}
                out.write(f"{json.dumps(row)},\n")
        out.write("{}]}\n")


def _path(folder: Path, name: str) -> Path:
    path = table_path(folder, name)
    if path is None:
        raise FileNotFoundError(folder / name)
    return path
