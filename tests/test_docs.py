"""Every Python block of the documentation runs, and every value after `# ->` is true.

A block is left out after `<!-- not run: REASON -->`, or after `<!-- needs: PACKAGE -->` where that
package is not installed.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from functools import cache
from pathlib import Path

import matplotlib as mpl
import pytest

import localize.bundle.bundle

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?:<!-- (.*?) -->\n)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VALUE = re.compile(r"# -> (.*)$")
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if BLOCK.search(path.read_text("utf-8"))
]
NOTEBOOK = ROOT / "docs" / "first_look.ipynb"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """An empty folder with the example films, as if in a checkout; weights are read once."""
    mpl.use("agg")
    (tmp_path / "localize").mkdir()
    (tmp_path / "localize" / "examples").symlink_to(ROOT / "localize" / "examples")
    monkeypatch.chdir(tmp_path)
    load_once = cache(localize.bundle.bundle.load_bundle)
    monkeypatch.setattr(localize.bundle.bundle, "load_bundle", load_once)


def run_block(code: str, names: dict[str, object], where: str) -> None:
    """Run statement by statement; compare an expression's value with the text after `# ->`."""
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        source = ast.get_source_segment(code, statement)
        expected = VALUE.search(lines[statement.end_lineno - 1])
        if isinstance(statement, ast.Expr):
            value = eval(compile(source, where, "eval"), names)  # noqa: S307 - our own documentation
            assert expected is None or repr(value) == expected[1], f"{where}: {source}"
        else:
            exec(compile(source, where, "exec"), names)  # noqa: S102 - our own documentation
            assert expected is None, f"{where}: a value is promised for a statement: {source}"


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run(page):
    names: dict[str, object] = {"__name__": "documentation"}
    for note, code in BLOCK.findall((ROOT / page).read_text("utf-8")):
        kind, _, detail = note.partition(": ")
        if kind == "not run" or (kind == "needs" and importlib.util.find_spec(detail) is None):
            continue
        run_block(code, names, page)


def test_a_wrong_value_in_the_documentation_is_found():
    with pytest.raises(AssertionError, match=r"page: 1 \+ 1"):
        run_block("1 + 1  # -> 3\n", {}, "page")


def test_the_notebook_runs():
    content = json.loads(NOTEBOOK.read_text("utf-8"))
    assert content["nbformat"] == 4
    names: dict[str, object] = {"__name__": "notebook"}
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    for number, cell in enumerate(cells):
        run_block("".join(cell["source"]), names, f"cell {number}")
        assert cell["outputs"] == []  # results are not stored: they would age
