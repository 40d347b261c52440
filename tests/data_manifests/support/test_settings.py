"""Settings from YAML and `--set`: what overrides what, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_manifests.support.errors import ConfigError
from data_manifests.support.settings import load_settings


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rate: float = Field(0.1, gt=0)
    sides: tuple[float, ...] = (1.0, 2.0)
    weights: dict[str, float] = Field(default_factory=dict)


class Tree(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    part: Part = Part()
    other: Part | None = None
    epochs: int = Field(3, ge=1)
    name: str = "a"


def load(tmp_path: Path, text: str, *overrides: str) -> Tree:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(Tree, path, overrides)


def test_nothing_given_is_the_defaults() -> None:
    assert load_settings(Tree) == Tree()


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# all as it is\n") == Tree()


def test_yaml_overrides_defaults_and_set_overrides_yaml(tmp_path: Path) -> None:
    tree = load(
        tmp_path,
        "epochs: 5\npart: {rate: 1e-3, sides: [3, 4]}\n",
        "epochs=7",
        "part.weights={a: 2}",
        "other.rate=2",
    )
    assert (tree.epochs, tree.part.rate, tree.part.sides) == (7, 0.001, (3.0, 4.0))
    assert tree.part.weights == {"a": 2.0}
    assert tree.other == Part(rate=2)


def test_the_last_of_two_overrides_counts() -> None:
    assert load_settings(Tree, None, ["epochs=5", "epochs=9"]).epochs == 9


def test_an_override_reaches_a_key_of_a_table() -> None:
    assert load_settings(Tree, None, ["part.weights.rsna=6"]).part.weights == {"rsna": 6.0}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_settings(Tree, None, ["name=a=b"]).name == "a=b"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(Tree).epochs = 4


@pytest.mark.parametrize(
    ("text", "overrides", "told"),
    [
        ("epoch: 3", (), ["config.yaml: epoch: unknown name", "did you mean epochs?", "part"]),
        ("part: {rates: 3}", (), ["part.rates", "did you mean rate?", "rate, sides, weights"]),
        ("other: {zzz: 3}", (), ["other.zzz: unknown name; known here: rate, sides, weights"]),
        ("", ("part.rat=1",), ["--set part.rat=1: part.rat", "did you mean rate?"]),
        ("epochs: ten", (), ["config.yaml: epochs", "integer", "'ten'"]),
        ("epochs: 0", (), ["epochs: expected greater than or equal to 1, got 0"]),
        ("", ("epochs=[1]",), ["--set epochs=[1]: epochs", "integer", "[1]"]),
        ("part: 3", (), ["part: expected", "got 3"]),
        ("part: {sides: [1, x]}", (), ["part.sides.1", "number", "'x'"]),
        ("epochs: 2\nepochs: 3", (), ["row 2, field epochs", "got a second"]),
        ("part: {rate: 1, rate: 2}", (), ["row 1, field rate", "got a second"]),
        ("part: &a {rate: 1}\nother: *a", (), ["row 1", "alias"]),
        ("a: [b", (), ["config.yaml row", "expected YAML"]),
        ("- 1", (), ["`name: value` lines, got list"]),
        ("just text", (), ["got str"]),
        ("name: !!python/object/apply:os.getcwd []", (), ["expected YAML", "python/object"]),
        ("", ("epochs",), ["--set epochs: expected name=value"]),
        ("", ("=3",), ["--set =3: expected name=value"]),
        ("", ("epochs=[",), ["--set epochs=[: expected a YAML value"]),
        ("part: 3", ("part.rate=1",), ["expected `part` to be a part, got 3"]),
    ],
)
def test_a_mistake_names_its_place_and_the_way_out(
    tmp_path: Path, text: str, overrides: tuple[str, ...], told: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    for words in told:
        assert words in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "epoch: 1\npart: {rate: -1}", "name=[1]")
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(Tree, tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_settings(Tree, tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="at most 1,000,000 bytes"):
        load_settings(Tree, tmp_path / "large.yaml")


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 2]"] + [f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 60)]
    with pytest.raises(ConfigError, match="alias"):
        load(tmp_path, "\n".join(lines))
