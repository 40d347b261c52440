"""`read_located_yaml`: a YAML file with line numbers, for files that people write by hand.

Maps, lists, text, numbers and true/false are read. Tags, anchors and aliases are refused, so a file
can neither run code nor grow by repetition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from data_manifests.support.errors import ConfigError

MAX_BYTES = 1_000_000  # a file for people is far smaller
MAX_DEPTH = 20
# libyaml's loader is ten times faster and as safe; builds of PyYAML without it have the other one.
SAFE_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KIND_OF_TYPE = {
    str: "text",
    bool: "true/false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a map",
}
PLAIN_TAGS = frozenset({"str", "int", "float", "bool", "null"})


@dataclass(frozen=True)
class Located:
    """A value of a YAML file and the line on which it begins (1 = first)."""

    value: str | int | float | bool | list[Located] | dict[str, Located] | None
    line: int

    @property
    def kind(self) -> str:
        """What the value is, in words for a message."""
        return KIND_OF_TYPE.get(type(self.value), "nothing")

    def plain(self) -> Any:  # Any: what YAML can hold, until a model has checked it
        """The value without line numbers, in maps and lists too."""
        if isinstance(self.value, dict):
            return {name: item.plain() for name, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def read_located_yaml(path: Path) -> Located:
    """The content of a YAML file; an empty file gives the value None.

    Raises:
        ConfigError: an unreadable file, naming file, line, what was expected and what to do.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable YAML file, got {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: expected at most {MAX_BYTES:,} bytes, got {len(content):,}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path} row {line}: expected UTF-8, got byte {content[error.start]:#x}; save as UTF-8"
        ) from error
    loader = SAFE_LOADER(text)
    try:
        _check_events(text, path)
        node = loader.get_single_node()
        return Located(None, 1) if node is None else _convert(node, loader, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" row {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: expected YAML, got {getattr(error, 'problem', None) or error}"
        ) from error
    finally:
        loader.dispose()


def _check_events(text: str, path: Path) -> None:
    """Refuse anchors, aliases and depth before anything is built; the event stream is flat."""
    depth = 0
    for event in yaml.parse(text, Loader=SAFE_LOADER):
        row = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(
                f"{path} row {row}: expected plain values, got an anchor or alias; "
                "write the value out"
            )
        tag = getattr(event, "tag", None)
        if tag and tag.rpartition(":")[2] not in PLAIN_TAGS:
            raise ConfigError(f"{path} row {row}: expected YAML without tags, got {tag}; remove it")
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{path} row {row}: expected at most {MAX_DEPTH} levels of nesting")


def _convert(node: yaml.Node, loader: yaml.SafeLoader, path: Path) -> Located:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        table: dict[str, Located] = {}
        for key_node, value_node in node.value:
            key, row = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ConfigError(f"{path} row {row}: expected a name as key, got a list or map")
            if key in table:
                raise ConfigError(
                    f"{path} row {row}, field {key}: expected one entry, got a second; remove one"
                )
            table[key] = _convert(value_node, loader, path)
        return Located(table, line)
    if isinstance(node, yaml.SequenceNode):
        return Located([_convert(child, loader, path) for child in node.value], line)
    if node.tag.rpartition(":")[2] not in PLAIN_TAGS:
        raise ConfigError(
            f"{path} row {line}: expected YAML text, a number or true/false, "
            f"got {node.value!r} ({node.tag})"
        )
    return Located(loader.construct_object(node), line)
