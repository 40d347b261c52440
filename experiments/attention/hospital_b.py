"""`train_part` and `test_part`: hospital B's films in parts, each a folder with mined reports.

Parts are drawn one by one, so that a run can start with the first 2,300 pairs while the others are
still drawn. Test films come from a distant stretch of the series: other patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from localize.pipeline.cached import cached
from localize.pipeline.stages import LEXICON

PART = 1200  # films of a part; a multiple of the blocks in which patients come
TEST_START = 600_000
FILMS, MINED = "films", "attributes"


@dataclass(frozen=True)
class Part:
    """Films `start` to `start + films` of hospital B's series of a seed, in `folder`."""

    folder: Path
    seed: int
    film_px: int
    start: int
    films: int
    is_test: bool = False


def train_parts(folder: Path, seed: int, film_px: int, pairs: int) -> list[Part]:
    """The parts of `pairs` films of a seed; the last one may hold fewer than the others."""
    return [
        Part(folder / f"part_{start:06d}", seed, film_px, start, min(PART, pairs - start))
        for start in range(0, pairs, PART)
    ]


def test_part(folder: Path, seed: int, film_px: int, films: int) -> Part:
    """The test films of a seed."""
    return Part(folder / "test", seed, film_px, TEST_START, films, is_test=True)


def draw_part(part: Part) -> Path:
    """Draw the films of a part and mine their reports, unless that is done."""
    settings = {
        "seed": part.seed,
        "px": part.film_px,
        "start": part.start,
        "films": part.films,
        "is_test": part.is_test,
    }
    return cached(part.folder, settings, partial(_draw, part))


def _draw(part: Part, folder: Path) -> None:
    build_phantom(
        folder / FILMS,
        PhantomOptions(size=part.film_px, domain="B", seed=part.seed),
        films=part.films,
        start=part.start,
        shares=SplitShares(val=0.0, test=1.0 if part.is_test else 0.0),
    )
    if not part.is_test:
        mine_reports(folder / FILMS, folder / MINED, lexicon=load_lexicon(LEXICON), workers=1)
