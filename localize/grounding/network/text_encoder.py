"""`TextEncoder`: a text as vectors of its tokens, with the characters that each stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from attributes.grammar.units import Grammar
from attributes.vectors.canonical_text import placed_canonical_words
from data_manifests.support.arrays import Floats32, Ints
from data_manifests.support.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class TextTokens:
    """T tokens of a text: `vectors` (T, D) float32, and their places as characters.

    `starts` and `ends` (T,) int64, `words` the T words as the encoder knows them.
    """

    vectors: Floats32
    starts: Ints
    ends: Ints
    words: tuple[str, ...]


class TextEncoder(Protocol):
    """What the grounding network needs of an encoder of texts."""

    @property
    def dim(self) -> int:
        """Length D of a token's vector."""

    def encode(self, text: str) -> TextTokens:
        """The tokens of a text; a text without tokens is legal."""


class WordVectorEncoder:
    """The toolkit's own word vectors: one for each canonical word, zero for an unknown one.

    Args:
        words: canonical word -> vector, as `attributes.vectors.word_vectors.train_words` gives
            them; every vector is scaled to unit length.
        grammar: finds the words of a text.

    Raises:
        ConfigError: no vector, or vectors of different lengths.
    """

    def __init__(self, words: Mapping[str, Floats32], grammar: Grammar) -> None:
        lengths = {len(vector) for vector in words.values()}
        if len(lengths) != 1:
            raise ConfigError(f"word vectors: expected one length, got {sorted(lengths)}")
        self._dim = lengths.pop()
        self._words = {
            word: np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
            for word, vector in words.items()
        }
        self._unknown = np.zeros(self._dim, np.float32)
        self._grammar = grammar

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def encode(self, text: str) -> TextTokens:
        """The canonical words of a text."""
        placed = placed_canonical_words(text, self._grammar)
        vectors = [self._words.get(found.word, self._unknown) for found in placed]
        return TextTokens(
            np.array(vectors, np.float32).reshape(-1, self._dim),
            np.array([found.start for found in placed], np.int64),
            np.array([found.end for found in placed], np.int64),
            tuple(found.word for found in placed),
        )


class BertEncoder:
    """A user's BERT from a folder (extra `bert`): the last layer's vector of each word piece.

    Nothing is downloaded, and only safetensors weights are read. Texts longer than the model's
    positions are encoded in pieces that follow one another.

    Args:
        folder: a folder of `transformers` with `config.json`, `model.safetensors` and the files of
            a fast tokenizer.

    Raises:
        ConfigError: the extra `bert` is not installed.
        CheckpointError: the folder is no such model.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import transformers
        except ImportError as error:
            raise ConfigError(
                "BertEncoder: expected the package `transformers`, got none; "
                "`pip install pneumoloc[bert]`"
            ) from error
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, use_fast=True, trust_remote_code=False
            )
            self._model: Any = transformers.AutoModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False
            ).eval()
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: expected a BERT of transformers in safetensors with its tokenizer, "
                f"got {str(error).splitlines()[0][:200]}"
            ) from error

    @cached_property
    def dim(self) -> int:
        """Width of the model's last layer."""
        return int(self._model.config.hidden_size)

    def encode(self, text: str) -> TextTokens:
        """The word pieces of a text."""
        import torch

        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, places = found["input_ids"], found["offset_mapping"]
        limit = int(self._model.config.max_position_embeddings)
        parts = []
        with torch.inference_mode():
            for first in range(0, len(ids), limit):
                piece = torch.tensor([ids[first : first + limit]])
                parts.append(self._model(input_ids=piece).last_hidden_state[0].float().numpy())
        vectors = np.concatenate(parts) if parts else np.zeros((0, self.dim))
        return TextTokens(
            np.asarray(vectors, np.float32),
            np.array([start for start, _ in places], np.int64),
            np.array([end for _, end in places], np.int64),
            tuple(text[start:end] for start, end in places),
        )
