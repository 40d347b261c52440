"""`adapted_boxes`: the detector fine-tuned on pseudo-labels from reports, alone and with gates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import Manifest
from data_manifests.tables.split import split_manifest
from detector.detector import load_detector
from experiments.attention.gates import taught_gate
from experiments.attention.pair_films import PairFilms, stored_maps
from experiments.attention.preset import AttentionPreset
from experiments.attention.ranked import RankedBoxes, rank_candidates
from localize.adaptation.adapt_detector import AdaptationData, Source
from localize.adaptation.report_words import read_report_words
from localize.network.gate import Gate
from localize.pipeline.cached import cached
from localize.pipeline.stages import LEXICON, adapt_detector_stage, propose_stage
from localize.training.train_gate import gate_logits

SHARES = {"train": 0.85, "val": 0.15}  # pairs that teach, and pairs that choose the epoch
SOURCES: dict[str, Source] = {
    "report_adapted": "words",
    "report_adapted_proposed": "words",
    "report_adapted_shuffled": "words",
    "report_adapted_more_steps": "none",
}


@dataclass(frozen=True)
class AdaptationFilms:
    """What the adapted detectors of a seed and a number of pairs learn from.

    `detector` is the one that all start from, `boxed` are hospital A's films, `pairs` and `test`
    hospital B's, `folder` holds the results.
    """

    seed: int
    detector: Path
    boxed: Manifest
    pairs: Manifest
    test: Manifest
    folder: Path


def adapted_boxes(
    method: str,
    films: AdaptationFilms,
    pairs: PairFilms,
    *,
    preset: AttentionPreset,
    words: WordVectors,
    device: torch.device,
) -> RankedBoxes:
    """The ranked boxes of an adapted detector on the test films.

    `pairs` are the same films as `films.pairs`, with the maps of the detector before.
    """
    detector = _adapt(method, films, preset, device)
    test = stored_maps(films.test, detector, detector.parent / "maps_test", device)
    if method != "report_adapted_proposed":
        return rank_candidates(test, test.logits)
    maps = stored_maps(films.pairs, detector, detector.parent / "maps_pairs", device)
    start = Gate.of_detector(load_detector(detector).model).to(device)
    training = preset.gate.model_copy(update={"seed": films.seed})
    held = replace(pairs, maps=maps.held(device))
    gate = taught_gate("proposed", start, held, training, preset, words, device)
    test = test.held(device)
    return rank_candidates(test, gate_logits(gate, test, np.arange(len(test.image_ids)), device))


def _adapt(
    method: str, films: AdaptationFilms, preset: AttentionPreset, device: torch.device
) -> Path:
    """Folder of the fine-tuned detector; methods with the same boxes share it."""
    source, is_shuffled = SOURCES[method], method == "report_adapted_shuffled"
    name = "shuffled" if is_shuffled else source
    reports = films.pairs.reports
    mined = _mine(reports, films.folder / "attributes")
    if is_shuffled:
        shuffled = shuffled_reports(films.pairs, mined, films.seed)
        mined = _mine(shuffled, films.folder / "attributes_shuffled")
    # Without films of hospital B, hospital A's validation films choose the epoch.
    boxed = films.boxed if source == "none" else films.boxed.split("train")
    data = AdaptationData(
        detector=films.detector,
        boxed=boxed,
        pairs=split_manifest(films.pairs, SHARES, (), seed=films.seed),
        rois=propose_stage(films.detector, films.pairs, films.folder / "rois", device=device),
        attributes=mined,
    )
    training = preset.adaptation.training.model_copy(update={"seed": films.seed})
    adaptation = preset.adaptation.model_copy(update={"source": source, "training": training})
    run = films.folder / name / "detector"
    return adapt_detector_stage(data, run, adaptation=adaptation, device=device)


def _mine(reports: pd.DataFrame, folder: Path) -> Path:
    return cached(folder, {"reports": len(reports)}, partial(_mine_table, reports))


def _mine_table(reports: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "reports.csv"
    reports.to_csv(table, index=False)
    mine_reports(table, folder, lexicon=load_lexicon(LEXICON), workers=1)


def shuffled_reports(pairs: Manifest, mined: Path, seed: int) -> pd.DataFrame:
    """The reports, those that state an opacity moved to another study of which that is true.

    Raises:
        ConfigError: fewer than two reports state an opacity.
    """
    has_opacity = [one.has_opacity is True for one in read_report_words(pairs, mined).reports]
    stated = sorted(set(pairs.images.loc[has_opacity, "study_id"]))
    if len(stated) < 2:
        raise ConfigError(
            f"{mined}: expected two reports or more that state an opacity, got {len(stated)}; "
            "use more pairs"
        )
    order = np.random.default_rng(seed).permutation(len(stated))
    givers = np.roll(order, 1)  # a cycle: no study keeps its report
    to = {stated[giver]: stated[taker] for taker, giver in zip(order, givers, strict=True)}
    studies = pairs.reports["study_id"].map(lambda study: to.get(study, study))
    return pairs.reports.assign(study_id=studies)
