"""Options of `experiment benchmark`."""

from __future__ import annotations

from typing import get_args, get_type_hints

from experiments.benchmark.run import GROUPS
from experiments.cli.benchmark import benchmark


def test_the_help_of_only_names_every_group():
    hint = get_type_hints(benchmark, include_extras=True)["only"]
    (option,) = (one for one in get_args(hint) if hasattr(one, "help"))
    names = option.help.removeprefix("A group: ").removesuffix("; default all.").split(", ")
    assert names == list(GROUPS)
