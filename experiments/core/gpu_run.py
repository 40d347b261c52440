"""`gpu_run`: several detectors trained side by side on one GPU within a few minutes.

Unpacks the films of `film_pack`, runs `pneumoloc detector train` once for each detector of a preset
at the same time, and writes for each `NAME.safetensors` (float16), and for all `results.json`
(validation scores, settings) and `logs.tar.gz` (`metrics.jsonl` and what was printed).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file

from data_manifests.support.atomic import write_json
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import write_manifest
from experiments.data.box_films import detector_films
from experiments.data.film_pack import unpack_films

PNEUMOLOC = (sys.executable, "-m", "pneumoloc")
PRESET = "box-detectors.yaml"
LATE_S = 45.0  # beyond its minutes a training is stopped
SCORING_S = 120.0
# JSON objects of `detector.json`, `metrics.jsonl` and `box_scores`, as they were written.
Results = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class GpuRun:
    """What is trained on: a pack of films, weights to start from, `minutes` for each training,
    settings (`NAME=VALUE`) that replace the preset's. Results go to `out`."""

    pack: Path
    out: Path
    minutes: float
    initial: Path
    backbone_weights: Path | None
    overrides: tuple[str, ...] = ()

    @property
    def work(self) -> Path:
        """Folder of films, manifests and trainings."""
        return self.out / "work"


def gpu_run(
    run: GpuRun, *, preset: Path | None, only: Sequence[str], tell: Callable[[str], None]
) -> Results:
    """Train and score the detectors of a preset (those in `only`, or all); by name, what
    `results.json` holds. `initial` stands beside them.

    Raises:
        ConfigError: an unknown name, or a detector that starts from a backbone's weights without
            any given.
    """
    settings = _settings(preset)
    names = list(only or settings["detectors"])
    for name in names:
        _check(name, settings["detectors"], run)
    started = time.monotonic()
    run.work.mkdir(parents=True, exist_ok=True)
    films = unpack_films(run.pack, run.work, processes=os.cpu_count() or 1)
    write_manifest(detector_films(films, film_labels=True), run.work / "for_training")
    tell(f"{len(films.images)} films unpacked in {time.monotonic() - started:.0f} s")

    trainings = {name: _start_training(name, settings, run) for name in names}
    ends = time.monotonic() + 60 * run.minutes + LATE_S
    scorings = [_start_scoring("initial", run.initial, run)]
    codes = {}
    for name, process in trainings.items():
        codes[name] = wait_for(process, ends)
        tell(f"{name}: training ended with {codes[name]} after {time.monotonic() - started:.0f} s")
        if (run.work / name / "detector.safetensors").exists():
            scorings.append(_start_scoring(name, run.work / name, run))
            _write_half(run.work / name, run.out / f"{name}.safetensors")
    for process in scorings:
        wait_for(process, ends + SCORING_S)
    results = {name: _result(name, run, codes.get(name)) for name in ["initial", *names]}
    write_json(run.out / "results.json", results)
    _write_logs(names, run)
    return results


def results_text(results: Results) -> str:
    """One line for each detector and for each of its groups; the end of the log where it failed."""
    lines = []
    for name, result in results.items():
        lines.append(f"{name}: {result['steps']} steps, exit code {result['exit_code']}")
        for group, scores in (result["scores"] or {}).items():
            lines.append(f"    {group}: {json.dumps(scores)}")
        lines += result.get("log_ends", [])
    return "\n".join(lines)


def start_command(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """`pneumoloc WORDS` in a process of its own; what it prints goes to `log`."""
    with log.open("wb") as handle:
        return subprocess.Popen([*PNEUMOLOC, *words], stdout=handle, stderr=subprocess.STDOUT)  # noqa: S603


def wait_for(process: subprocess.Popen[bytes], until: float) -> int:
    """The exit code; a process that is late is asked to save and stop, then killed."""
    for stop in (process.terminate, process.kill):
        try:
            return process.wait(timeout=max(1.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            stop()
            until = time.monotonic() + 10
    return process.wait()


def _settings(preset: Path | None) -> Mapping[str, Any]:
    """`training` and `detectors` of a preset file."""
    source = preset or resources.files("experiments.presets") / PRESET
    settings: Mapping[str, Any] = yaml.safe_load(source.read_text("utf-8"))
    return settings


def _check(name: str, detectors: Mapping[str, Any], run: GpuRun) -> None:
    if name not in detectors:
        raise ConfigError(f"--only: expected one of {', '.join(detectors)}, got {name!r}")
    if detectors[name]["start"] == "backbone" and run.backbone_weights is None:
        raise ConfigError(
            f"{name} starts from ImageNet weights: give --backbone-weights, or leave it out by "
            "--only"
        )


def _start_training(name: str, settings: Mapping[str, Any], run: GpuRun) -> subprocess.Popen[bytes]:
    chosen = settings["detectors"][name]
    training = {**settings["training"], **chosen.get("training", {}), "minutes": run.minutes}
    config = run.work / f"{name}.yaml"
    config.write_text(yaml.safe_dump({"detector": chosen["detector"], "training": training}))
    start = (
        ("--backbone-weights", str(run.backbone_weights))
        if chosen["start"] == "backbone"
        else ("--initial", str(run.initial))
    )
    words = ["detector", "train", "--manifest", str(run.work / "for_training")]
    words += ["--out", str(run.work / name), "--config", str(config), *start]
    words += [part for override in run.overrides for part in ("--set", override)]
    return start_command(words, run.work / f"{name}.log")


def _start_scoring(name: str, detector: Path, run: GpuRun) -> subprocess.Popen[bytes]:
    words = ["experiment", "boxes", "score", "--detector", str(detector)]
    words += ["--manifest", str(run.work / "manifest")]
    words += ["--out", str(run.work / f"{name}.scores.json")]
    return start_command(words, run.work / f"{name}.scoring.log")


def _write_half(training: Path, out: Path) -> None:
    """The weights as float16, their settings in the file's metadata."""
    tensors = load_file(training / "detector.safetensors")
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    config = (training / "detector.json").read_text("utf-8")
    save_file(half, out, metadata={"detector.json": config})


def _result(name: str, run: GpuRun, code: int | None) -> Mapping[str, Any]:
    """Exit code, settings, validations of all epochs and final scores, as far as there are any."""
    metrics = run.work / name / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.open()] if metrics.exists() else []
    result = {
        "exit_code": code,
        "detector": _json(run.work / name / "detector.json"),
        "scores": _json(run.work / f"{name}.scores.json"),
        "epochs": [line for line in lines if "epoch" in line],
        "steps": max((line["step"] for line in lines), default=0),
    }
    if result["scores"] is None:
        logs = (run.work / f"{name}.log", run.work / f"{name}.scoring.log")
        result["log_ends"] = [
            path.read_text(errors="replace")[-1500:] for path in logs if path.exists()
        ]
    return result


def _json(path: Path) -> Any:  # Any: what JSON holds
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _write_logs(names: Sequence[str], run: GpuRun) -> None:
    with tarfile.open(run.out / "logs.tar.gz", "w:gz") as tar:
        for path in sorted(run.work.glob("*.log")):
            tar.add(path, path.name)
        for name in names:
            for file in ("metrics.jsonl", "run.json", "detector.json"):
                path = run.work / name / file
                if path.exists():
                    tar.add(path, f"{name}/{file}")
