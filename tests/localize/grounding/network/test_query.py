"""Which tokens of a report stand for which phrase of a finding."""

from __future__ import annotations

import numpy as np
import pytest

from attributes import structure_report
from attributes.grammar.units import Grammar
from attributes.lexicon.load import load_lexicon
from data_manifests.support.errors import CheckpointError, ConfigError
from localize.grounding.network.query import (
    ASSERTIONS,
    ORGANS,
    PHRASE_CLASSES,
    finding_at,
    query_of_finding,
)
from localize.grounding.network.text_encoder import BertEncoder, WordVectorEncoder

LEXICON = load_lexicon("en")
WORDS = ("bilateral", "basal", "patchy", "opacity", "effusion", "left", "small")


@pytest.fixture(scope="module")
def encoder():
    return WordVectorEncoder(
        {word: np.eye(len(WORDS), dtype=np.float32)[k] * 3 for k, word in enumerate(WORDS)},
        Grammar(LEXICON),
    )


def phrases(encoder, text, number):
    tokens = encoder.encode(text)
    query = query_of_finding(tokens, structure_report(text)[number], LEXICON.axis_of)
    words = [tokens.words[k] for k in query.order]
    return query, list(zip([PHRASE_CLASSES[k] for k in query.classes], words, strict=True))


def test_a_compound_gives_each_class_its_own_word(encoder):
    query, found = phrases(encoder, "Patchy bibasilar opacities, small left effusion.", 0)
    assert found == [
        ("finding", "opacity"),
        ("laterality", "bilateral"),
        ("zone", "basal"),
        ("extent", "patchy"),
    ]
    assert (ORGANS[query.organ], ASSERTIONS[query.assertion]) == ("lung", "present")


def test_the_words_of_another_finding_are_left_out(encoder):
    query, found = phrases(encoder, "Patchy bibasilar opacities, no left effusion.", 1)
    assert found == [("finding", "effusion"), ("laterality", "left")]
    assert (ORGANS[query.organ], ASSERTIONS[query.assertion]) == ("pleura", "absent")


def test_the_noun_is_marked_in_the_whole_report(encoder):
    text = "Patchy opacity. Left opacity."
    tokens = encoder.encode(text)
    query = query_of_finding(tokens, structure_report(text)[1], LEXICON.axis_of)
    assert np.flatnonzero(query.is_target).tolist() == [3]
    assert text[tokens.starts[3] : tokens.ends[3]] == "opacity"


def test_a_finding_is_found_by_its_characters():
    findings = structure_report("Left opacity. No effusion.")
    assert finding_at(findings, 5, 12) is findings[0]
    assert finding_at(findings, 0, 4) is None


def test_vectors_have_unit_length_and_unknown_words_none(encoder):
    tokens = encoder.encode("left thing")
    assert np.linalg.norm(tokens.vectors, axis=1).tolist() == [1.0, 0.0]
    assert encoder.encode("").vectors.shape == (0, len(WORDS))


def test_word_vectors_of_two_lengths_are_refused():
    words = {"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)}
    with pytest.raises(ConfigError, match=r"one length, got \[2, 3\]"):
        WordVectorEncoder(words, Grammar(LEXICON))


def test_a_users_bert_gives_a_vector_for_each_word_piece(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("[UNK]\n[PAD]\n[CLS]\n[SEP]\nleft\nopac\n##ity\n")
    config = transformers.BertConfig(
        vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=4,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path)
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    encoder = BertEncoder(tmp_path)
    tokens = encoder.encode("Left opacity left opacity")
    assert tokens.vectors.shape == (6, encoder.dim)  # longer than the model's four positions
    assert tokens.words[:3] == ("Left", "opac", "ity")


def test_a_folder_that_is_no_bert_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(CheckpointError, match="a BERT of transformers in safetensors"):
        BertEncoder(tmp_path)
