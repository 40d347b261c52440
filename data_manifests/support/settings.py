"""`load_settings`: one YAML file, then `--set a.b=c` overrides, into a frozen pydantic model."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from data_manifests.support.errors import ConfigError
from data_manifests.support.located_yaml import read_located_yaml

Settings = TypeVar("Settings", bound=BaseModel)
Tree = dict[str, Any]  # Any: what YAML can hold, until the model has checked it


def load_settings(
    model: type[Settings], path: Path | None = None, overrides: Sequence[str] = ()
) -> Settings:
    """Settings of a type: its defaults, then those of a YAML file, then those of `overrides`.

    An override is `name=value` or `part.name=value`; the value is read as YAML, so numbers, true,
    null and `[1, 2]` are what they look like.

    Raises:
        ConfigError: unreadable YAML, an unknown name, a value of another type or range; all
            problems are listed, each with its path, the known names, expected and got.
    """
    tree = {} if path is None else _read_tree(path)
    origin: dict[tuple[str, ...], str] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        keys = tuple(name.strip().split("."))
        if not equals or not all(keys):
            raise ConfigError(f"--set {override}: expected name=value or part.name=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {override}: expected a YAML value, got `{text}`") from error
        _put(tree, keys, value, override)
        origin[keys] = f"--set {override}"
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            at = tuple(str(part) for part in problem["loc"])
            given = [where for keys, where in origin.items() if at[: len(keys)] == keys]
            where = given[0] if given else str(path or model.__name__)
            lines.append(f"{where}: {_describe(model, at, problem)}")
        raise ConfigError("\n".join(lines)) from error


def _read_tree(path: Path) -> Tree:
    content = read_located_yaml(path).plain()
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected `name: value` lines, got {type(content).__name__}")
    return content


def _put(tree: Tree, keys: tuple[str, ...], value: object, override: str) -> None:
    for key in keys[:-1]:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            raise ConfigError(
                f"--set {override}: expected `{key}` to be a part, got {reprlib.repr(below)}"
            )
        tree = below
    tree[keys[-1]] = value


def _describe(model: type[BaseModel], at: tuple[str, ...], problem: Any) -> str:  # pydantic's dict
    name = ".".join(at)
    if problem["type"] == "extra_forbidden":
        known = sorted(_part(model, at[:-1]).model_fields)
        close = difflib.get_close_matches(at[-1], known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"{name}: unknown name{hint}; known here: {', '.join(known)}"
    expected = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{name}: expected {expected}, got {reprlib.repr(problem['input'])}"


def _part(model: type[BaseModel], at: tuple[str, ...]) -> type[BaseModel]:
    """The settings type that `at` leads to; only such a part has known names."""
    for key in at:
        annotation = model.model_fields[key].annotation
        choices = (annotation, *get_args(annotation))
        model = next(t for t in choices if isinstance(t, type) and issubclass(t, BaseModel))
    return model
