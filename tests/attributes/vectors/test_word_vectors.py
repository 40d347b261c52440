from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attributes.lexicon.load import load_lexicon
from attributes.reports import ReportReader
from attributes.structure import Structurer
from attributes.vectors.canonical_text import canonical_words, write_canonical_corpus
from attributes.vectors.negatives import choose_negatives, cosine_matrix
from attributes.vectors.vector_report import report_text, report_vectors
from attributes.vectors.word_vectors import (
    DESCRIPTION_FILE,
    VECTORS_FILE,
    VectorOptions,
    WordVectors,
    fallback_vector,
    read_word_vectors,
    resolved_epochs,
    train_word_vectors,
    write_word_vectors,
)
from data_manifests.support.errors import CheckpointError, ConfigError, DataError

ENGLISH = load_lexicon("en")
NAMES = ENGLISH.keyword_names
STRUCTURER = Structurer(ENGLISH)
QUICK = VectorOptions(dim=8, epochs=2)


def corpus(folder: Path, count: int = 40) -> ReportReader:
    sides, zones = ("left", "right"), ("upper", "lower", "basal")
    texts = [
        f"s{n},findings,Patchy {sides[n % 2]} {zones[n % 3]} opacity. Mild RUL consolidation."
        for n in range(count)
    ]
    path = folder / "reports.csv"
    path.write_text("\n".join(["study_id,section,text", *texts]) + "\n", encoding="utf-8")
    return ReportReader(path)


def test_spellings_become_the_keyword_and_compounds_become_pairs() -> None:
    words = canonical_words(
        "2. Bibasilar ground-glass opacities, RUL; trace fluid", STRUCTURER.grammar
    )
    assert words == "bilateral basal hazy opacity right upper mild fluid".split()


def test_the_corpus_counts_keywords_and_knows_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "canonical.txt"
    found = write_canonical_corpus(corpus(tmp_path, 6), STRUCTURER, path)
    assert found.sentences == len(path.read_text().splitlines()) == 12
    assert found.keyword_counts["patchy"] == 6
    assert found.keyword_counts["upper"] == 6 + 2
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_history_is_no_part_of_the_corpus(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("study_id,section,text\na,history,left opacity here\n")
    with pytest.raises(DataError, match="got none"):
        train_word_vectors(ReportReader(path), ENGLISH, QUICK)


def test_training_twice_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    corpus(tmp_path)
    code = (
        "import sys; from pathlib import Path; from attributes.vectors.word_vectors import *; "
        "from attributes.lexicon.load import load_lexicon; "
        "from attributes.reports import ReportReader; "
        "reader = ReportReader(Path(sys.argv[1])); "
        "write_word_vectors(train_word_vectors(reader, load_lexicon('en'), "
        "VectorOptions(dim=8, epochs=2)), Path(sys.argv[2]))"
    )
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": f"UTC+{seed}"}
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, tmp_path / "reports.csv", tmp_path / seed],
            check=True, env=environment, cwd=Path(__file__).parents[3], capture_output=True,
        )  # fmt: skip
    for name in (VECTORS_FILE, DESCRIPTION_FILE):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


def test_a_tiny_corpus_works_and_unseen_keywords_get_a_warned_fallback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = train_word_vectors(corpus(tmp_path, 3), ENGLISH, QUICK)
    assert found.vectors.shape == (22, 8)
    assert "lingular" in found.untrained
    assert "left" not in found.untrained
    assert "lingular" in caplog.text
    again = train_word_vectors(corpus(tmp_path, 3), ENGLISH, QUICK)
    assert np.array_equal(found.vectors, again.vectors)


def test_a_fallback_leans_to_its_axis_and_has_the_length_of_the_others() -> None:
    generator = np.random.default_rng(0)
    words = {
        n: (3 * generator.standard_normal(64)).astype(np.float32) for n in ("left", "right", "mild")
    }
    made = fallback_vector("bilateral", words, ENGLISH, VectorOptions(dim=64))
    lengths = [float(np.linalg.norm(vector)) for vector in words.values()]
    assert np.linalg.norm(made) == pytest.approx(np.median(lengths), rel=1e-5)
    axis = words["left"] / np.linalg.norm(words["left"]) + words["right"] / np.linalg.norm(
        words["right"]
    )
    cosine = made @ axis / np.linalg.norm(made) / np.linalg.norm(axis)
    assert 0.5 < cosine < 0.9  # half the axis, half a direction of its own
    assert not np.allclose(made, fallback_vector("severe", words, ENGLISH, VectorOptions(dim=64)))


def test_small_corpora_are_read_more_often() -> None:
    assert resolved_epochs(VectorOptions(), 1000) == 300
    assert resolved_epochs(VectorOptions(), 500_000) == 10
    assert resolved_epochs(VectorOptions(epochs=4), 1000) == 4


@pytest.mark.parametrize(
    "change", [{"dim": 0}, {"epochs": -1}, {"negatives": "random"}, {"window": 0}]
)
def test_bad_options_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        VectorOptions(**change)  # type: ignore[arg-type]  # a table of bad values


def vectors_with(pairs: dict[str, str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Orthogonal rows, except that each key is moved next to its value."""
    rows = np.eye(22, dtype=np.float32)
    for name, near in pairs.items():
        rows[NAMES.index(name)] += 5 * np.eye(22, dtype=np.float32)[NAMES.index(near)]
    return rows


def negative(name: str, near: str, policy: str) -> str:
    chosen = choose_negatives(vectors_with({name: near}), ENGLISH, policy=policy)
    return NAMES[chosen[NAMES.index(name)]]


@pytest.mark.parametrize(
    ("name", "near", "policy", "expected"),
    [
        ("left", "right", "w2v-axis", "right"),
        ("left", "severe", "w2v-any", "severe"),
        ("severe", "moderate", "w2v-axis", "moderate"),
        ("severe", "left", "fixed", "mild"),
        ("basal", "upper", "w2v-axis", "upper"),
    ],
)
def test_policies_choose_the_nearest_allowed_word(
    name: str, near: str, policy: str, expected: str
) -> None:
    assert negative(name, near, policy) == expected


@pytest.mark.parametrize(
    ("name", "near"), [("left", "bilateral"), ("basal", "lower"), ("mild", "left")]
)
def test_the_axis_policy_passes_over_overlapping_and_foreign_words(name: str, near: str) -> None:
    chosen = negative(name, near, "w2v-axis")
    assert chosen not in (near, name)
    assert ENGLISH.axis_of[chosen] == ENGLISH.axis_of[name]


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="w2v-axis"):
        choose_negatives(np.eye(22, dtype=np.float32), ENGLISH, policy="nearest")


def test_cosines_equal_a_slow_loop() -> None:
    rows = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    rows[2] = 0
    found = cosine_matrix(rows)
    for i, a in enumerate(rows.astype(float)):
        for j, b in enumerate(rows.astype(float)):
            scale = (sum(x * x for x in a) * sum(x * x for x in b)) ** 0.5
            expected = sum(x * y for x, y in zip(a, b, strict=True)) / scale if scale else 0.0
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


def saved(folder: Path) -> WordVectors:
    generator = np.random.default_rng(0)
    vectors = WordVectors(
        keywords=NAMES,
        axes=tuple(keyword.axis for keyword in ENGLISH.keywords),
        vectors=generator.standard_normal((22, 4)).astype(np.float32),
        negatives=choose_negatives(np.eye(22, dtype=np.float32), ENGLISH, policy="fixed"),
        policy="fixed",
        corpus_sha256="ab",
        options={"dim": 4},
    )
    write_word_vectors(vectors, folder)
    return vectors


def test_vectors_survive_the_round_trip(tmp_path: Path) -> None:
    vectors = saved(tmp_path)
    found = read_word_vectors(tmp_path)
    assert np.array_equal(found.vectors, vectors.vectors)
    assert np.array_equal(found.negatives, vectors.negatives)
    assert (found.keywords, found.axes, found.policy) == (NAMES, vectors.axes, "fixed")


def rewrite(folder: Path, **tensors: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    """Replace the tensors and mend the checksum, as a careless tool would."""
    from safetensors.numpy import save

    content = save(tensors)
    (folder / VECTORS_FILE).write_bytes(content)
    description = json.loads((folder / DESCRIPTION_FILE).read_text())
    description["vectors_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description))


OK = np.ones((22, 4), np.float32)
NEXT = np.roll(np.arange(22), 1)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weights": OK, "negatives": NEXT}, "'vectors'"),
        ({"vectors": OK}, "'negatives'"),
        ({"vectors": OK[:5], "negatives": NEXT}, r"vectors must be float32 with shape \(22, _\)"),
        ({"vectors": OK.astype(np.float64), "negatives": NEXT}, "float64"),
        ({"vectors": OK * np.nan, "negatives": NEXT}, "finite"),
        ({"vectors": OK, "negatives": np.arange(22)}, "other keywords"),
        ({"vectors": OK, "negatives": NEXT + 10}, "other keywords"),
        ({"vectors": OK, "negatives": NEXT.astype(np.int32)}, "int32"),
    ],
)
def test_a_wrong_tensor_is_refused_by_name(
    tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
    message: str,
    tmp_path: Path,
) -> None:
    saved(tmp_path)
    rewrite(tmp_path, **tensors)
    with pytest.raises(CheckpointError, match=message):
        read_word_vectors(tmp_path)


def test_a_changed_a_truncated_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / VECTORS_FILE
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="sha256"):
        read_word_vectors(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        read_word_vectors(tmp_path)
    (tmp_path / DESCRIPTION_FILE).write_text("{")
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_word_vectors(tmp_path)


def test_a_pickle_in_the_place_of_the_vectors_is_not_run(tmp_path: Path) -> None:
    import pickle

    class Canary:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "canary"),))

    saved(tmp_path)
    content = pickle.dumps(Canary())
    (tmp_path / VECTORS_FILE).write_bytes(content)
    description = json.loads((tmp_path / DESCRIPTION_FILE).read_text())
    description["vectors_sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / DESCRIPTION_FILE).write_text(json.dumps(description))
    with pytest.raises(CheckpointError):
        read_word_vectors(tmp_path)
    assert not (tmp_path / "canary").exists()


def test_the_report_shows_neighbours_policies_and_votes(tmp_path: Path) -> None:
    rows = report_vectors(corpus(tmp_path), ENGLISH, QUICK, seeds=2)
    assert [row.keyword for row in rows] == list(NAMES)
    left = rows[0]
    assert left.count == 20
    assert len(left.neighbours) == 5
    assert left.neighbours[0][1] >= left.neighbours[-1][1]
    assert left.negatives["fixed"] == "right"
    assert left.votes["fixed"] == 2
    text = report_text(rows, seeds=2)
    assert "right 2/2" in text
    assert "never in the text" in text  # lingular
