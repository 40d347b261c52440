"""`described_examples`: described phantom films of one seed as examples of a grounding network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from attributes.grammar.units import Grammar
from attributes.lexicon.load import load_lexicon
from attributes.report_findings import ReportFinding, structure_report
from attributes.reports import ReportReader
from attributes.vectors.word_vectors import VectorOptions, train_words
from data_manifests.phantom.case import BLOCK, PhantomOptions
from data_manifests.phantom.described.film import make_described_film
from data_manifests.phantom.described.findings import Mention
from data_manifests.support.arrays import Floats, Ints
from data_manifests.support.csv_file import write_csv
from data_manifests.support.errors import ConfigError
from localize.grounding.network.examples import GroundingExamples
from localize.grounding.network.query import finding_at, query_of_finding
from localize.grounding.network.text_encoder import TextEncoder, WordVectorEncoder
from localize.pipeline.cached import cached


@dataclass(frozen=True)
class DescribedSize:
    """Films of one seed.

    Args:
        train, test: films, whole blocks of patients: multiples of 6.
        pixels: side of a film.
        prevalence: share of films with an opacity.
        dim: of the word vectors.

    Raises:
        ConfigError: a number of films that is no multiple of 6.
    """

    train: int = 360
    test: int = 180
    pixels: int = 128
    prevalence: float = 0.8
    dim: int = 64

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            if getattr(self, name) < BLOCK or getattr(self, name) % BLOCK:
                raise ConfigError(
                    f"{name}: expected a multiple of {BLOCK} films, which share no patient with "
                    f"others, got {getattr(self, name)}"
                )


@dataclass(frozen=True)
class DescribedExamples:
    """Examples of some films, and what they are scored by.

    Args:
        examples: one query for each mention that the structurer reads.
        assertions: (Q,) the true assertion of each.
        findings: (Q,) its finding.
        patients: (Q,) number of the patient.
        structured: Q findings as the structurer reads them.
        unread: mentions that the structurer does not read.
    """

    examples: GroundingExamples
    assertions: tuple[str, ...]
    findings: tuple[str, ...]
    patients: Ints
    structured: tuple[ReportFinding, ...]
    unread: int


def described_examples(
    out: Path, seed: int, size: DescribedSize
) -> tuple[DescribedExamples, DescribedExamples]:
    """Training and test examples of a seed; films and word vectors are cached in `out`.

    The word vectors are trained on the training reports alone.
    """
    folder = cached(
        out / "films", {"seed": seed, **asdict(size)}, lambda path: _build(path, seed, size)
    )
    with np.load(folder / "films.npz") as arrays:
        films, lungs, patients = arrays["films"], arrays["lungs"], arrays["patients"]
    with np.load(folder / "words.npz") as arrays:
        words = dict(zip(arrays["words"].tolist(), arrays["vectors"], strict=True))
    rows = json.loads((folder / "reports.json").read_text("utf-8"))
    texts = [row["text"] for row in rows]
    mentions = [[_mention(one) for one in row["mentions"]] for row in rows]
    lexicon = load_lexicon("en")
    encoder = WordVectorEncoder(words, Grammar(lexicon))

    def part(first: int, end: int) -> DescribedExamples:
        return _examples(
            films[first:end],
            lungs[first:end],
            patients[first:end],
            texts[first:end],
            mentions[first:end],
            encoder,
        )

    return part(0, size.train), part(size.train, size.train + size.test)


def _examples(
    films: np.ndarray,  # uint8 (N, H, W)
    lungs: np.ndarray,
    patients: Ints,
    texts: Sequence[str],
    mentions: Sequence[Sequence[Mention]],
    encoder: TextEncoder,
) -> DescribedExamples:
    axis_of = load_lexicon("en").axis_of
    tokens = tuple(encoder.encode(text) for text in texts)
    queries, film_of, boxes = [], [], list[Floats]()
    assertions, names, structured, unread = [], [], list[ReportFinding](), 0
    for film, text in enumerate(texts):
        findings = structure_report(text)
        for mention in mentions[film]:
            found = finding_at(findings, mention.start, mention.end)
            if found is None:
                unread += 1
                continue
            queries.append(query_of_finding(tokens[film], found, axis_of))
            film_of.append(film)
            boxes.append(mention.boxes)
            assertions.append(mention.assertion)
            names.append(mention.finding)
            structured.append(found)
    owners = np.array(film_of, np.int64)
    return DescribedExamples(
        GroundingExamples(films, lungs, tokens, tuple(queries), owners, tuple(boxes)),
        tuple(assertions),
        tuple(names),
        patients[owners],
        tuple(structured),
        unread,
    )


def _build(folder: Path, seed: int, size: DescribedSize) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    options = PhantomOptions(size=size.pixels, seed=seed, prevalence=size.prevalence)
    films = [make_described_film(options, index) for index in range(size.train + size.test)]
    np.savez_compressed(
        folder / "films.npz",
        films=np.stack([film.pixels for film in films]),
        lungs=np.stack([film.lungs for film in films]),
        patients=np.array([film.patient for film in films], np.int64),
    )
    rows = [
        {
            "text": film.text,
            "mentions": [{**asdict(one), "boxes": one.boxes.tolist()} for one in film.mentions],
        }
        for film in films
    ]
    (folder / "reports.json").write_text(json.dumps(rows), "utf-8")
    reports = folder / "train.csv"
    table = {"study_id": range(size.train), "text": [film.text for film in films[: size.train]]}
    write_csv(reports, pd.DataFrame(table))
    trained = train_words(
        ReportReader(reports), load_lexicon("en"), VectorOptions(dim=size.dim, seed=seed, epochs=30)
    )
    np.savez(
        folder / "words.npz",
        words=np.array(list(trained.words)),
        vectors=np.stack(list(trained.words.values())),
    )


def _mention(row: dict[str, object]) -> Mention:
    return Mention(
        str(row["finding"]),
        str(row["assertion"]),
        int(str(row["start"])),
        int(str(row["end"])),
        np.array(row["boxes"], np.float64).reshape(-1, 4),
    )
