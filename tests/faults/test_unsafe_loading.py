"""No line of the packages can run what it reads."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("data_manifests", "attributes", "detector", "localize", "experiments")
FORBIDDEN = {
    r"pickle\.loads?\(": "runs code; use safetensors, JSON or CSV",
    r"Unpickler\(": "runs code",
    r"\bread_pickle\(": "runs code",
    r"\b(joblib|dill|shelve|marshal)\b": "runs code",
    r"weights_only\s*=\s*False": "unpickles",
    r"allow_pickle\s*=\s*True": "unpickles",
    r"\b(Word2Vec|KeyedVectors|FastText|Doc2Vec|Phrases|Dictionary)\.load\(": "gensim unpickles",
    r"cv2\.imread|cv2\.imdecode": "returns truncated films as grey; use read_film",
    r"yaml\.(load|unsafe_load|full_load)\(": "use yaml.safe_load",
    r"(?<![\w.])(eval|exec)\(": "runs text",
    r"shell\s*=\s*True|os\.system\(": "runs text",
    r"torch\.hub\.|download_url": "downloads",
}


def sources() -> list[Path]:
    return [ROOT / "pneumoloc.py", *(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))]


def torch_loads_without_weights_only(text: str) -> list[int]:
    """Lines of `torch.load(...)` calls that do not say weights_only=True."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = any(
                keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True"
                for keyword in node.keywords
            )
            if not safe:
                lines.append(node.lineno)
    return lines


def offences(text: str) -> list[str]:
    found = [
        f"line {number}: {line.strip()} ({why})"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, why in FORBIDDEN.items()
        if re.search(pattern, line.partition("#")[0])
    ]
    return found + [f"line {n}: torch.load" for n in torch_loads_without_weights_only(text)]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unsafe_is_called(path):
    assert offences(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = pickle.load(f)",
        "torch.load(path)",
        "torch.load(path,\n  weights_only=flag)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle = True)",
        "KeyedVectors.load(path)",
        "cv2.imread(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "joblib.load(path)",
    ],
)
def test_the_search_finds(line):
    assert offences(line)


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path,\n  map_location='cpu', weights_only=True)",
        "model.eval()",
        "yaml.safe_load(text)",
        "x = 1  # never eval(text)",
        "KeyedVectors.load_word2vec_format(path, binary=True)",
    ],
)
def test_the_search_lets_pass(line):
    assert offences(line) == []
