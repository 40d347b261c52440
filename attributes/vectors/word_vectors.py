"""`train_word_vectors`: vectors of the 22 keywords, trained with gensim, stored as safetensors.

`read_word_vectors` needs numpy and safetensors only: training and prediction machines have no
gensim. gensim's own files are pickles and are neither written nor read.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attributes.lexicon.entries import Lexicon
from attributes.vectors.canonical_text import CanonicalCorpus, write_canonical_corpus
from attributes.vectors.negatives import NEGATIVE_POLICIES, choose_negatives
from data_manifests.support.arrays import Floats32, Ints
from data_manifests.support.atomic import file_sha256, write_bytes, write_json
from data_manifests.support.errors import CheckpointError, ConfigError, DataError
from data_manifests.support.temporary import temporary_folder

if TYPE_CHECKING:
    from attributes.reports import ReportReader

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
VECTORS_FILE = "word_vectors.safetensors"
DESCRIPTION_FILE = "vectors.json"
# Word2Vec needs some million words seen to spread rare words; a small corpus is read more often.
WORDS_TO_SEE = 5_000_000
MIN_EPOCHS, MAX_EPOCHS = 10, 300


@dataclass(frozen=True)
class VectorOptions:
    """Word2Vec options; the defaults are those of PAPER_DETAILS 2.6. `epochs` 0: by corpus size."""

    dim: int = 128
    window: int = 5
    min_count: int = 3
    epochs: int = 0
    skip_gram: bool = False
    seed: int = 0
    negatives: str = "w2v-axis"

    def __post_init__(self) -> None:
        for name, value, least in (
            ("dim", self.dim, 2),
            ("window", self.window, 1),
            ("min_count", self.min_count, 1),
            ("epochs", self.epochs, 0),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise ConfigError(f"vectors {name}: expected {least} or more, got {value}")
        if self.negatives not in NEGATIVE_POLICIES:
            raise ConfigError(
                f"negatives: expected one of {', '.join(NEGATIVE_POLICIES)}, got `{self.negatives}`"
            )


@dataclass(frozen=True)
class WordVectors:
    """Vectors of the keywords.

    `vectors` (K, d) float32 finite and non-zero; `negatives` (K,) int64, the index of each
    keyword's negative, never its own; `axes` one axis a keyword; `policy` how the negatives were
    chosen.
    """

    keywords: tuple[str, ...]
    axes: tuple[str, ...]
    vectors: Floats32
    negatives: Ints
    policy: str
    corpus_sha256: str = ""
    untrained: tuple[str, ...] = ()
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.keywords)
        if (
            self.vectors.ndim != 2
            or self.vectors.shape[0] != count
            or self.vectors.dtype != np.float32
        ):
            raise ValueError(
                f"vectors must be float32 with shape ({count}, _), "
                f"but got {self.vectors.dtype} {self.vectors.shape}"
            )
        if not np.isfinite(self.vectors).all() or not (np.abs(self.vectors).sum(axis=1) > 0).all():
            raise ValueError("vectors must be finite and not zero")
        if self.negatives.shape != (count,) or self.negatives.dtype != np.int64:
            raise ValueError(
                f"negatives must be int64 with shape ({count},), "
                f"but got {self.negatives.dtype} {self.negatives.shape}"
            )
        if (
            (self.negatives < 0) | (self.negatives >= count) | (self.negatives == np.arange(count))
        ).any():
            raise ValueError("negatives must be indices of other keywords")
        if len(self.axes) != count or len(set(self.keywords)) != count:
            raise ValueError("keywords must be unique and have one axis each")


@dataclass(frozen=True)
class TrainedWords:
    """Everything a training gives: word -> vector, most frequent first, and the corpus it saw.

    `keyword_vectors` (K, d) float32 in lexicon order, with `fallback_vector` for the `untrained`.
    """

    words: Mapping[str, Floats32]
    corpus: CanonicalCorpus
    keyword_vectors: Floats32
    untrained: tuple[str, ...]


def train_word_vectors(
    reports: ReportReader, lexicon: Lexicon, options: VectorOptions
) -> WordVectors:
    """Train Word2Vec on the canonical text of all reports and choose the negatives.

    A keyword that the corpus never uses gets `fallback_vector`; a warning names it.

    Raises:
        DataError: a bad row, or not one usable sentence.
    """
    trained = train_words(reports, lexicon, options)
    if trained.untrained:
        logger.warning(
            "%d keywords never occur in the reports and get a made-up vector: %s",
            len(trained.untrained),
            ", ".join(trained.untrained),
        )
    corpus, vectors = trained.corpus, trained.keyword_vectors
    return WordVectors(
        keywords=lexicon.keyword_names,
        axes=tuple(keyword.axis for keyword in lexicon.keywords),
        vectors=vectors,
        negatives=choose_negatives(vectors, lexicon, policy=options.negatives),
        policy=options.negatives,
        corpus_sha256=corpus.sha256,
        untrained=trained.untrained,
        options={
            "dim": options.dim,
            "window": options.window,
            "min_count": options.min_count,
            "epochs": resolved_epochs(options, corpus.words),
            "skip_gram": options.skip_gram,
            "seed": options.seed,
            "sentences": corpus.sentences,
            "words": corpus.words,
            "lexicon_sha256": lexicon.sha256,
        },
    )


def train_words(reports: ReportReader, lexicon: Lexicon, options: VectorOptions) -> TrainedWords:
    """Train on the canonical text of all reports, streamed through a temporary file.

    One worker thread and a fixed seed: the same reports give the same bytes, whatever the machine's
    number of cores, its locale or PYTHONHASHSEED.

    Raises:
        DataError: a bad row, or not one usable sentence.
    """
    from attributes.structure import Structurer

    with temporary_folder("pneumoloc-vectors") as folder:
        path = Path(folder) / "canonical.txt"
        corpus = write_canonical_corpus(reports, Structurer(lexicon), path)
        reports.raise_problems()
        if corpus.sentences == 0:
            raise DataError(
                f"{reports.path.name}: expected reports with sentences, got none; "
                "are all sections skipped?"
            )
        words = _train(path, corpus, lexicon, options)
    untrained = tuple(name for name in lexicon.keyword_names if name not in words)
    rows = [
        words[name] if name in words else fallback_vector(name, words, lexicon, options)
        for name in lexicon.keyword_names
    ]
    return TrainedWords(words, corpus, np.stack(rows).astype(np.float32), untrained)


def resolved_epochs(options: VectorOptions, words: int) -> int:
    """The number of passes: as asked, else so many that some million words are seen."""
    return options.epochs or int(np.clip(WORDS_TO_SEE // max(words, 1), MIN_EPOCHS, MAX_EPOCHS))


def _train(
    path: Path, corpus: CanonicalCorpus, lexicon: Lexicon, options: VectorOptions
) -> dict[str, Floats32]:
    """Word -> vector for the whole vocabulary, most frequent first."""
    from gensim.models.word2vec import LineSentence, Word2Vec
    from gensim.utils import RULE_DEFAULT, RULE_KEEP

    keep = set(lexicon.keyword_names)
    model = Word2Vec(
        LineSentence(str(path)),
        vector_size=options.dim,
        window=options.window,
        min_count=options.min_count,
        epochs=resolved_epochs(options, corpus.words),
        sg=int(options.skip_gram),
        seed=options.seed + 1,  # gensim takes seed 0 as it takes 1
        workers=1,  # more threads give other bytes every time
        trim_rule=lambda word, count, least: RULE_KEEP if word in keep else RULE_DEFAULT,
    )
    return {word: np.asarray(model.wv[word], dtype=np.float32) for word in model.wv.index_to_key}


def fallback_vector(
    name: str, trained: Mapping[str, Floats32], lexicon: Lexicon, options: VectorOptions
) -> Floats32:
    """A vector for a keyword without text: half its axis, half a direction of its own.

    The mean direction of the trained keywords of the same axis (of all keywords where the axis has
    none) plus a unit direction drawn from the name and the seed, at the median length of the
    trained keywords. Depends on nothing else, so it is the same on every machine.
    """
    seed = int.from_bytes(hashlib.sha256(f"{options.seed}:{name}".encode()).digest()[:8])
    own = np.random.default_rng(seed).standard_normal(options.dim)
    own /= np.linalg.norm(own)
    axis = lexicon.axis_of[name]
    keywords = [keyword for keyword in lexicon.keywords if keyword.name in trained]
    peers = [keyword for keyword in keywords if keyword.axis == axis] or keywords
    length = 1.0
    direction = own
    if peers:
        stacked = np.stack([trained[keyword.name] for keyword in peers]).astype(np.float64)
        mean = (stacked / np.linalg.norm(stacked, axis=1, keepdims=True)).mean(axis=0)
        direction = own + mean / max(np.linalg.norm(mean), 1e-12)
        every = np.stack([trained[keyword.name] for keyword in keywords])
        length = float(np.median(np.linalg.norm(every, axis=1)))
    return (direction / np.linalg.norm(direction) * length).astype(np.float32)


def write_word_vectors(vectors: WordVectors, folder: Path) -> None:
    """Write `word_vectors.safetensors` and, last, `vectors.json`, which holds its checksum."""
    from safetensors.numpy import save

    content = save(
        {"vectors": np.ascontiguousarray(vectors.vectors), "negatives": vectors.negatives}
    )
    write_bytes(folder / VECTORS_FILE, content)
    write_json(
        folder / DESCRIPTION_FILE,
        {
            "format_version": FORMAT_VERSION,
            "keywords": list(vectors.keywords),
            "axes": list(vectors.axes),
            "policy": vectors.policy,
            "corpus_sha256": vectors.corpus_sha256,
            "untrained": list(vectors.untrained),
            "options": dict(vectors.options),
            "vectors_sha256": hashlib.sha256(content).hexdigest(),
        },
    )


def read_word_vectors(folder: Path) -> WordVectors:
    """Read the folder that `write_word_vectors` wrote; imports neither gensim nor torch.

    Raises CheckpointError naming the file, and the tensor or field, that is missing or wrong.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    description_path, vectors_path = folder / DESCRIPTION_FILE, folder / VECTORS_FILE
    for path in (description_path, vectors_path):
        if not path.is_file():
            raise CheckpointError(
                f"{path}: expected the output of `pneumoloc attributes vectors`, got no such file"
            )
    try:
        description = json.loads(description_path.read_text(encoding="utf-8"))
        if description["format_version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"{description_path}, field format_version: "
                f"expected {FORMAT_VERSION}, got {description['format_version']!r}"
            )
        checksum = file_sha256(vectors_path)
        if description["vectors_sha256"] != checksum:
            raise CheckpointError(
                f"{vectors_path}: expected sha256 {description['vectors_sha256']}, "
                f"got {checksum}; the file was changed or mixed up"
            )
        tensors = load_file(vectors_path)
        return WordVectors(
            keywords=tuple(description["keywords"]),
            axes=tuple(description["axes"]),
            vectors=tensors["vectors"],
            negatives=tensors["negatives"],
            policy=description["policy"],
            corpus_sha256=description["corpus_sha256"],
            untrained=tuple(description["untrained"]),
            options=dict(description["options"]),
        )
    except KeyError as error:
        raise CheckpointError(f"{folder}: expected a field or tensor {error}, got none") from error
    except (SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{folder}: {error}") from error
