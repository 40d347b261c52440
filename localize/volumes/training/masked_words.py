"""`pretrain_text`: word vectors, then masked words (Devlin et al. 2019), on the reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from data_manifests.support.arrays import Ints
from localize.volumes.network.report_tokens import MASK, SPECIAL, ReportTokens, Vocabulary
from localize.volumes.network.text_encoder import TextEncoder

MASKED_SHARE = 0.15
SENTENCES = 64  # a step
LEARNING_RATE = 2e-3
IGNORED = -100
WORD_EPOCHS = 20


def pretrain_text(
    encoder: TextEncoder,
    reports: Sequence[ReportTokens],
    vocabulary: Vocabulary,
    *,
    steps: int,
    seed: int,
) -> float:
    """Train the encoder in place; returns the mean loss of the last tenth of the steps.

    The result depends on the reports, the seed and the steps alone.
    """
    sentences = [row for report in reports for row in report.sentences if len(row) > 1]
    if steps == 0 or not sentences:
        return float("nan")
    _set_word_vectors(encoder, sentences, vocabulary, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        output = nn.Linear(encoder.dim, len(vocabulary.words)).to(encoder.words.weight.device)
        parameters = [*encoder.parameters(), *output.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
        rng = np.random.default_rng((seed, 17))
        encoder.train()
        losses = []
        for _ in range(steps):
            tokens, targets = _masked(
                [sentences[k] for k in rng.integers(len(sentences), size=SENTENCES)], rng
            )
            device = output.weight.device
            vectors = encoder(tokens.to(device))
            loss = nn.functional.cross_entropy(
                output(vectors).flatten(0, 1), targets.to(device).flatten(), ignore_index=IGNORED
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            optimizer.step()
            losses.append(float(loss.detach()))
    return float(np.mean(losses[-max(1, steps // 10) :]))


def _masked(rows: list[Ints], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded sentences with masked words, and the words to be found."""
    tokens, targets = [], []
    for row in rows:
        is_masked = rng.random(len(row)) < MASKED_SHARE
        is_masked[rng.integers(len(row))] = True  # one at least
        tokens.append(torch.from_numpy(np.where(is_masked, SPECIAL.index(MASK), row)))
        targets.append(torch.from_numpy(np.where(is_masked, row, IGNORED)))
    pad = nn.utils.rnn.pad_sequence
    return pad(tokens, batch_first=True), pad(targets, batch_first=True, padding_value=IGNORED)


def _set_word_vectors(
    encoder: TextEncoder, sentences: Sequence[Ints], vocabulary: Vocabulary, seed: int
) -> None:
    """Start from Word2Vec vectors of the same reports, scaled like the embeddings they replace."""
    from gensim.models import Word2Vec

    texts = [[vocabulary.words[k] for k in row] for row in sentences]
    trained = Word2Vec(
        texts, vector_size=encoder.dim, window=5, min_count=1, workers=1, seed=seed + 1,
        epochs=WORD_EPOCHS, sg=1,
    ).wv  # fmt: skip
    with torch.no_grad():
        for number, word in enumerate(vocabulary.words):
            if word in trained.key_to_index:
                vector = torch.from_numpy(trained[word].copy())
                encoder.words.weight[number] = vector / vector.std().clamp(min=1e-6)
