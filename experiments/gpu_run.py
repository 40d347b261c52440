"""`gpu_run`: several detectors trained side by side on one GPU within a few minutes.

`python -m experiments.gpu_run --pack PACK --initial BUNDLE --backbone LITE2 --work WORK --out OUT
--minutes 6.5` unpacks the films of `film_pack`, runs `pneumoloc detector train` once for each
detector of `presets/box-detectors.yaml` at the same time, and writes into OUT, for each:
`NAME.safetensors` (float16) and, for all, `results.json` (validation scores, settings) and
`logs.tar.gz` (`metrics.jsonl` and what was printed).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any

import yaml
from safetensors.torch import load_file, save_file

from data_manifests.atomic import write_json
from data_manifests.manifest import Manifest, ManifestInfo, make_manifest, write_manifest
from experiments.box_films import detector_films
from experiments.film_pack import unpack_films

# The commands are the package's own, called by module: no `pneumoloc` is installed there.
TRAIN = (sys.executable, "-c", "from detector.cli import app; app()", "train")
SCORE = (sys.executable, "-m", "experiments.box_scores")
RUNNING_LATE_S = 45.0  # beyond its minutes a training is stopped


@dataclass(frozen=True)
class Paths:
    """Where a run reads and writes."""

    pack: Path
    initial: Path
    backbone: Path
    work: Path
    out: Path


def gpu_run(
    paths: Paths, *, minutes: float, preset: Path, overrides: Sequence[str], only: Sequence[str]
) -> dict[str, Any]:
    """Train and score all detectors of the preset; gives what `results.json` holds."""
    settings = yaml.safe_load(preset.read_text("utf-8"))
    started = time.monotonic()
    paths.out.mkdir(parents=True, exist_ok=True)
    manifest = unpack_films(paths.pack, paths.work, processes=os.cpu_count() or 1)
    _write(detector_films(manifest, film_labels=True), paths.work / "for_training")
    _tell(started, f"{len(manifest.images)} films unpacked")

    names = [name for name in settings["detectors"] if not only or name in only]
    running = {
        name: _start_training(name, settings, paths, minutes=minutes, overrides=overrides)
        for name in names
    }
    ends = time.monotonic() + 60 * minutes + RUNNING_LATE_S
    scoring = {"shipped": _start_scoring("shipped", paths.initial, paths)}
    codes = {}
    for name, process in running.items():
        codes[name] = _wait(process, ends)
        _tell(started, f"{name}: training ended with {codes[name]}")
        if (paths.work / name / "detector.safetensors").exists():
            scoring[name] = _start_scoring(name, paths.work / name, paths)
            _write_half(paths.work / name, paths.out / f"{name}.safetensors")
    for process in scoring.values():
        _wait(process, ends + 60)
    _tell(started, "scored")
    results = {name: _result(name, paths, codes.get(name)) for name in ["shipped", *names]}
    write_json(paths.out / "results.json", results)
    _write_logs(names, paths)
    return results


def _start_training(
    name: str, settings: dict[str, Any], paths: Paths, *, minutes: float, overrides: Sequence[str]
) -> subprocess.Popen[bytes]:
    chosen = settings["detectors"][name]
    training = {**settings["training"], **chosen.get("training", {}), "minutes": minutes}
    start = {
        "initial": ["--initial", str(paths.initial)],
        "backbone": ["--backbone-weights", str(paths.backbone)],
    }[chosen["start"]]
    config = paths.work / f"{name}.yaml"
    config.write_text(yaml.safe_dump({"detector": chosen["detector"], "training": training}))
    command = [*TRAIN, "--manifest", str(paths.work / "for_training")]
    command += ["--out", str(paths.work / name), "--config", str(config), *start]
    command += [part for override in overrides for part in ("--set", override)]
    return _start(command, paths.work / f"{name}.log")


def _start_scoring(name: str, folder: Path, paths: Paths) -> subprocess.Popen[bytes]:
    scores = paths.work / f"{name}.scores.json"
    command = [*SCORE, str(folder), str(paths.work / "manifest"), str(scores)]
    return _start(command, paths.work / f"{name}.scoring.log")


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    handle: IO[bytes]
    with log.open("wb") as handle:
        return subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)  # noqa: S603


def _wait(process: subprocess.Popen[bytes], until: float) -> int:
    """The exit code; a process that is late is asked to save and stop, then stopped."""
    for stop in (process.terminate, process.kill):
        try:
            return process.wait(timeout=max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            stop()
            until = time.monotonic() + 10
    return process.wait()


def _write(manifest: Manifest, folder: Path) -> None:
    info = ManifestInfo(builder="gpu-run", image_root=str(manifest.root.resolve()))
    write_manifest(
        make_manifest(manifest.images, manifest.boxes, None, manifest.labels, info=info), folder
    )


def _write_half(run: Path, out: Path) -> None:
    tensors = load_file(run / "detector.safetensors")
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    config = (run / "detector.json").read_text("utf-8")
    save_file(half, out, metadata={"detector.json": config})


def _result(name: str, paths: Paths, code: int | None) -> dict[str, Any]:
    """Exit code, settings, validations of all epochs and final scores, as far as there are any."""
    found: dict[str, Any] = {"exit_code": code}
    for key, path in (
        ("detector", paths.work / name / "detector.json"),
        ("scores", paths.work / f"{name}.scores.json"),
    ):
        found[key] = json.loads(path.read_text("utf-8")) if path.exists() else None
    metrics = paths.work / name / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.open()] if metrics.exists() else []
    found["epochs"] = [line for line in lines if "epoch" in line]
    found["steps"] = max((line["step"] for line in lines), default=0)
    if found["scores"] is None:
        ends = (paths.work / f"{name}.log", paths.work / f"{name}.scoring.log")
        found["log_ends"] = [
            path.read_text(errors="replace")[-1500:] for path in ends if path.exists()
        ]
    return found


def _write_logs(names: Sequence[str], paths: Paths) -> None:
    with tarfile.open(paths.out / "logs.tar.gz", "w:gz") as tar:
        for path in sorted(paths.work.glob("*.log")):
            tar.add(path, path.name)
        for name in names:
            for file in ("metrics.jsonl", "run.json", "detector.json"):
                path = paths.work / name / file
                if path.exists():
                    tar.add(path, f"{name}/{file}")


def _tell(started: float, text: str) -> None:
    print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)


def _table(results: dict[str, Any]) -> str:
    """One line for each detector and group."""
    lines = []
    for name, result in results.items():
        lines.append(f"{name}: {result['steps']} steps, exit {result['exit_code']}")
        for epoch in result["epochs"]:
            lines.append(f"    {json.dumps(epoch)}")
        for group, scores in (result["scores"] or {}).items():
            lines.append(f"    {group}: {json.dumps(scores)}")
        lines += result.get("log_ends", [])
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, run, print a table."""
    parser = argparse.ArgumentParser(description="Train detectors side by side on one GPU.")
    for name in ("pack", "initial", "backbone", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--preset", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    preset = given.preset or Path(
        str(resources.files("experiments.presets") / "box-detectors.yaml")
    )
    paths = Paths(given.pack, given.initial, given.backbone, given.work, given.out)
    results = gpu_run(
        paths, minutes=given.minutes, preset=preset, overrides=given.overrides, only=given.only
    )
    print(_table(results))


if __name__ == "__main__":
    main()
