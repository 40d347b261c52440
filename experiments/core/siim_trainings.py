"""`siim_trainings`: the detectors of `table1 --preset siim`, adapted side by side on one GPU.

`pack_siim` writes films and mined reports into one small folder. `siim_trainings` finds regions on
the SIIM films with the detector, labels the films once for each source of boxes, trains all at the
same time, predicts the test films with each, and writes predictions and what each training changed
(`changed_weights`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml

from data_manifests.support.atomic import write_json
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest, ManifestInfo, read_manifest, write_manifest
from detector.detector import WEIGHTS
from detector.proposals import ProposalOptions
from detector.roi_store import RoiStore
from experiments.core.changed_weights import read_changes, write_changes
from experiments.core.gpu_run import start_command, wait_for
from experiments.core.presets import ManifestPreset, read_preset
from experiments.data.box_films import MASKED, SIIM
from experiments.data.film_pack import pack_films, unpack_films
from experiments.data.manifest_input import ManifestInput
from experiments.methods.box_prediction import box_prediction
from experiments.methods.film_rois import read_rois
from experiments.methods.names import BASELINE
from experiments.methods.trained_elsewhere import ADAPTED, PREDICTIONS, adapted_detector
from localize.adaptation.adapt_detector import Source, label_films
from localize.pipeline.stages import mine_stage, propose_stage
from localize.prediction.tables import write_prediction

SOURCES: tuple[Source, ...] = (
    "places",
    "shuffled",
    "sides_prior",
    "sides",
    "finding",
    "own",
    "none",
    "truth",
)
MASKED_FILMS, OLD_VAL_FILMS, NEW_VAL_FILMS = 300, 40, 60
PROPOSING = 6  # processes
LATE_S = 45.0  # for imports, the last validation, test films and writing
PREDICTING_S = 40.0
GROUPS = 3  # files of weights
MINED, ROIS, TEST = "mined", "rois", "test"
Progress = Callable[[str], None]


def pack_siim(films: ManifestInput, out: Path) -> None:
    """Write the films of `siim_input` and their mined reports to `out`."""
    pack_films(join_manifests([_old_films(films.boxed), boxes_alone(films.pairs)]), out)
    mine_stage(films.pairs_folder, out / MINED)
    _pack_test(films.tests[0].films, out / TEST)


def _pack_test(films: Manifest, out: Path) -> None:
    """The test films as they are."""
    (out / "images").mkdir(parents=True)
    for path in films.film_paths():
        shutil.copy(path, out / "images" / path.name)
    names = [f"images/{path.name}" for path in films.film_paths()]
    write_manifest(
        replace(
            boxes_alone(films),
            images=films.images.assign(path=names),
            info=ManifestInfo(builder="film-pack"),
        ),
        out,
    )


@dataclass(frozen=True)
class SiimTrainings:
    """`pack` and `initial` are read; `work` takes films and trainings, `out` the results.

    `seconds` is the time for all, from the start to the last file.
    """

    pack: Path
    initial: Path
    work: Path
    out: Path
    seconds: float
    device: str = "auto"
    overrides: tuple[str, ...] = ()


def siim_trainings(
    run: SiimTrainings, sources: Sequence[Source], tell: Progress
) -> Mapping[Source, int]:
    """Train; the exit code by source.

    Raises:
        DataError: a damaged pack.
    """
    started = time.monotonic()

    def note(text: str) -> None:
        tell(f"{time.monotonic() - started:5.0f} s  {text}")

    run.work.mkdir(parents=True, exist_ok=True)
    run.out.mkdir(parents=True, exist_ok=True)
    films = unpack_films(run.pack, run.work, processes=os.cpu_count() or 1)
    is_new = films.images["source"] == SIIM
    old, new = films.subset(~is_new), films.subset(is_new)
    new = replace(new, images=new.images.assign(study_id=new.images["image_id"]))
    write_manifest(new, run.work / "new")
    note(f"{len(films.images)} films unpacked")
    _propose(run)
    note("regions found")
    with RoiStore(run.work / ROIS) as store:
        for source in sources:
            table = training_table(source, old, new, store, run.pack / MINED)
            write_manifest(table, run.work / f"{source}.films")
    note("films labelled")
    minutes = max(0.05, (run.seconds - LATE_S - (time.monotonic() - started)) / 60)
    running = {source: _start(source, minutes, run) for source in sources}
    until = started + run.seconds
    codes, predicting = {}, [_predict(BASELINE, run.initial, run)]
    for source, process in running.items():
        codes[source] = wait_for(process, until)
        if (run.work / source / WEIGHTS).exists():
            predicting.append(_predict(source, run.work / source, run))
    note(f"trainings ended: {codes}")
    for process in predicting:
        wait_for(process, time.monotonic() + PREDICTING_S)
    note("test films predicted")
    write_results(run, sources, codes)
    note("written")
    return codes


def _predict(name: str, detector: Path, run: SiimTrainings) -> subprocess.Popen[bytes]:
    words = ["experiment", "siim", "predict", "--detector", str(detector)]
    words += ["--manifest", str(run.pack / TEST), "--store", str(run.work / f"{name}.rois")]
    words += ["--out", str(run.out / PREDICTIONS / name), "--device", run.device]
    return start_command(words, run.work / f"{name}.predict.log")


def predict_by_score(
    detector: Path, films: Manifest, store: Path, out: Path, device: torch.device
) -> None:
    """Write the detector's regions on `films`, ranked by its own score, as a prediction."""
    propose_stage(detector, films, store, device=device)
    with closing(RoiStore(store)) as opened:
        ranked = [film.by_score() for film in read_rois(opened, films)]
    options = {"rois": ProposalOptions().count}
    write_prediction(box_prediction(ranked, detector.name, options), out)


def training_table(
    source: Source, old: Manifest, new: Manifest, store: RoiStore, mined: Path
) -> Manifest:
    """What a source trains on: the old hospital's boxes, and the new films as it labels them."""
    if source == "none":
        return boxes_alone(old)
    labelled = label_films(source, new, store, mined, boxed=old.split("train"))
    val = labelled.split("val").images["image_id"].iloc[:NEW_VAL_FILMS]
    kept = labelled.images["split"].eq("train") | labelled.images["image_id"].isin(set(val))
    return join_manifests([boxes_alone(old.split("train")), boxes_alone(labelled.subset(kept))])


def boxes_alone(films: Manifest) -> Manifest:
    """Without reports and labels: a label would tell a training what its source does not know."""
    return replace(films, reports=films.reports.iloc[:0], labels=films.labels.iloc[:0])


def write_results(
    run: SiimTrainings, sources: Sequence[Source], codes: Mapping[Source, int]
) -> None:
    """What each training changed, in GROUPS archives; logs; predictions, in one archive."""
    with tarfile.open(run.out / f"{PREDICTIONS}.tar.gz", "w:gz") as tar:
        tar.add(run.out / PREDICTIONS, PREDICTIONS)
    shutil.rmtree(run.out / PREDICTIONS)
    write_changes(
        {one: run.work / one for one in sources if (run.work / one / WEIGHTS).exists()},
        run.initial,
        run.out,
        groups=GROUPS,
    )
    write_json(
        run.out / "trainings.json",
        {
            source: {
                "exit_code": codes[source],
                "log_end": (run.work / f"{source}.log").read_text(errors="replace")[-1500:],
                "metrics": _last_line(run.work / source / "metrics.jsonl"),
                "boxes": len(read_manifest(run.work / f"{source}.films").boxes),
            }
            for source in sources
        },
    )


def unpack_results(results: Path, initial: Path, work: Path) -> list[Path]:
    """The detectors and predictions of `results` in the output folder `work` of a table.

    Raises:
        CheckpointError: `initial` cannot be read.
    """
    with tarfile.open(results / f"{PREDICTIONS}.tar.gz") as tar:
        tar.extractall(work / ADAPTED, filter="data")
    archives = sorted(results.glob("weights-*.tar"))
    return read_changes(archives, initial, lambda source: adapted_detector(work, source))


def _last_line(path: Path) -> str:
    return path.read_text().splitlines()[-1] if path.exists() else ""


def _old_films(boxed: Manifest) -> Manifest:
    """RSNA's training films, MASKED_FILMS of the masked ones, and a few validation films.

    Two of three masked films have boxes: those are what they are for.
    """
    images = boxed.images
    is_train = images["split"].eq("train")
    masked = images.loc[is_train & images["source"].eq(MASKED), "image_id"]
    has_box = masked.isin(set(boxed.boxes["image_id"]))
    kept = [
        *images.loc[is_train & images["source"].ne(MASKED), "image_id"],
        *masked[has_box].iloc[: MASKED_FILMS * 2 // 3],
        *masked[~has_box].iloc[: MASKED_FILMS // 3],
        *images.loc[images["split"].eq("val"), "image_id"].iloc[:OLD_VAL_FILMS],
    ]
    return boxes_alone(boxed.subset(images["image_id"].isin(set(kept))))


def _propose(run: SiimTrainings) -> None:
    shards = PROPOSING if run.device != "cpu" else 1
    words = ["detector", "propose", "--model", str(run.initial)]
    words += ["--manifest", str(run.work / "new"), "--out", str(run.work / ROIS)]
    words += ["--device", run.device, "--batch-size", "32", "--no-verify"]
    processes = [
        start_command([*words, "--shard", f"{index}/{shards}"], run.work / f"propose_{index}.log")
        for index in range(shards)
    ]
    for process in processes:
        process.wait()


def _start(source: Source, minutes: float, run: SiimTrainings) -> subprocess.Popen[bytes]:
    preset = read_preset(ManifestPreset, "siim")
    training = preset.adaptation.training.model_dump(mode="json") | {"minutes": minutes}
    config = run.work / f"{source}.yaml"
    config.write_text(
        yaml.safe_dump({"detector": preset.detector.model_dump(mode="json"), "training": training})
    )
    words = ["detector", "train", "--manifest", str(run.work / f"{source}.films")]
    words += ["--out", str(run.work / source), "--config", str(config)]
    words += ["--initial", str(run.initial), "--device", run.device]
    words += [part for override in run.overrides for part in ("--set", override)]
    return start_command(words, run.work / f"{source}.log")
