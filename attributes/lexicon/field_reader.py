"""`FieldReader`: typed reading of one map of a lexicon file; collects all defects."""

from __future__ import annotations

from attributes.lexicon.phrases import PhraseError, expand_phrase
from data_manifests.support.errors import Problem
from data_manifests.support.located_yaml import Located


class FieldReader:
    """Reads the fields of a map; problems go to one list shared with all children."""

    def __init__(
        self, located: Located, file: str, path: str = "", parent: FieldReader | None = None
    ) -> None:
        self.file, self.path, self.line = file, path, located.line
        self.problems: list[Problem] = parent.problems if parent else []
        # Where named entries stand ("keywords.left"), for problems found after reading.
        self.lines: dict[str, int] = parent.lines if parent else {}
        self.table: dict[str, Located] = {}
        if isinstance(located.value, dict):
            self.table = located.value
        else:
            self.complain("", "a map", located.kind)

    def complain(self, name: str, expected: str, got: str, fix: str = "") -> None:
        """Record a problem at field `name` of this map."""
        at = ".".join(part for part in (self.path, name) if part)
        line = self.table[name].line if name in self.table else self._line_of(name)
        self.problems.append(Problem(self.file, expected, got, row=line, field=at, fix=fix))

    def only(self, *names: str) -> None:
        """Complain about every field that is none of `names`."""
        for name in self.table:
            if name not in names:
                self.complain(
                    name, f"one of {', '.join(names)}", "an unknown field", "correct the spelling"
                )

    def text(self, name: str) -> str:
        """A required, non-empty text; empty when wrong."""
        value = self._required(name, "text")
        if value is None:
            return ""
        if not isinstance(value.value, str) or not value.value.strip():
            self.complain(name, "text", value.kind, "quote it: on, no, yes are true/false in YAML")
            return ""
        return value.value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """A required text out of `choices`; the first of them when wrong."""
        text = self.text(name)
        if text and text not in choices:
            self.complain(name, f"one of {', '.join(choices)}", f"`{text}`")
        return text if text in choices else choices[0]

    def integer(self, name: str) -> int:
        """A required whole number; 0 when wrong."""
        value = self._required(name, "a whole number")
        if value is None:
            return 0
        if isinstance(value.value, bool) or not isinstance(value.value, int):
            self.complain(name, "a whole number", value.kind)
            return 0
        return value.value

    def flag(self, name: str) -> bool:
        """An optional true/false, false when absent."""
        value = self.table.get(name)
        if value is None:
            return False
        if not isinstance(value.value, bool):
            self.complain(name, "true or false", value.kind)
            return False
        return value.value

    def texts(self, name: str, *, optional: bool = False) -> list[str]:
        """A list of texts."""
        found: list[str] = []
        for position, item in enumerate(self._items(name, optional)):
            if isinstance(item.value, str) and item.value.strip():
                found.append(item.value)
            else:
                fix = "quote it: on, no, yes are true/false in YAML"
                problem = Problem(
                    self.file,
                    "text",
                    item.kind,
                    row=item.line,
                    field=self._at(name, position),
                    fix=fix,
                )
                self.problems.append(problem)
        return found

    def phrases(self, name: str, *, optional: bool = False) -> tuple[tuple[str, ...], ...]:
        """A list of phrases, expanded to their spellings."""
        spellings: dict[tuple[str, ...], None] = {}
        for phrase in self.texts(name, optional=optional):
            try:
                spellings.update(dict.fromkeys(expand_phrase(phrase)))
            except PhraseError as error:
                self.complain(
                    name, "a phrase such as `no [acute] (sign|signs) of`", f"`{phrase}`", str(error)
                )
        return tuple(spellings)

    def entries(self, name: str, *, optional: bool = False) -> list[FieldReader]:
        """A list of maps, each with its own reader."""
        readers: list[FieldReader] = []
        for position, item in enumerate(self._items(name, optional)):
            reader = FieldReader(item, self.file, self._at(name, position), self)
            for key in ("name", "id"):
                if key in reader.table:
                    self.lines[f"{name}.{reader.table[key].value}"] = item.line
            readers.append(reader)
        return readers

    def child(self, name: str) -> FieldReader:
        """A required map."""
        value = self._required(name, "a map")
        at = ".".join(part for part in (self.path, name) if part)
        return FieldReader(value or Located({}, self.line), self.file, at, self)

    def _required(self, name: str, expected: str) -> Located | None:
        if name not in self.table:
            self.complain(name, expected, "nothing", "add it")
            return None
        return self.table[name]

    def _items(self, name: str, optional: bool) -> list[Located]:
        value = self.table.get(name) if optional else self._required(name, "a list")
        if value is None:
            return []
        if not isinstance(value.value, list):
            self.complain(name, "a list", value.kind, "write - item, one a line, or [item, item]")
            return []
        return value.value

    def _line_of(self, name: str) -> int:
        """The line of a dotted name such as `keywords.left.negative`: of its longest known part."""
        while name:
            if name in self.lines:
                return self.lines[name]
            if name in self.table:
                return self.table[name].line
            name = name.rpartition(".")[0]
        return self.line

    def _at(self, name: str, position: int) -> str:
        return ".".join(part for part in (self.path, f"{name}[{position}]") if part)
