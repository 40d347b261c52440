"""`without_tick_boxes`: "[x] effusion [ ] edema" in marks that the grammar reads."""

from __future__ import annotations

import re

from attributes.lexicon.tokens import NOT_TICKED, words_of

BOX = re.compile(r"[\[(][ \t]{0,3}([xX✓✔✗✘*+]?)[ \t]{0,3}[\])]|([☐☑☒])")
MAY_HOLD_BOX = re.compile(r"[\[☐☑☒]|\([ \t]{0,3}[xX✓✔✗✘*+]?[ \t]{0,3}\)")
TICKED = frozenset("xX✓✔✗✘*+☑☒")
BREAK = ";"
MAX_BOXES = 60  # of one sentence; a longer row is no list of findings


def without_tick_boxes(sentence: str, finding_words: frozenset[str]) -> str:
    """The sentence, of the same length, with a break before each box and a denial for empty ones.

    Boxes stand before their words unless the sentence begins with words and ends with a box. Beside
    an empty box, words that name no finding ("[ ] yes", "( ) large") are answers that were not
    chosen; they become blanks.
    """
    boxes = list(BOX.finditer(sentence))[:MAX_BOXES]
    if not boxes:
        return sentence
    is_after = bool(
        sentence[: boxes[0].start()].strip() and not sentence[boxes[-1].end() :].strip(" \t.,;")
    )
    characters = list(sentence)
    for number, box in enumerate(boxes):
        start, end = box.span()
        if is_after:
            left, right = boxes[number - 1].end() if number else 0, start
        else:
            left, right = end, boxes[number + 1].start() if boxes[number + 1 :] else len(sentence)
        is_finding = not finding_words.isdisjoint(words_of(sentence[left:right]))
        mark = "" if _is_ticked(box) or not is_finding else NOT_TICKED
        if is_finding and not is_after and (end - start > len(mark)):
            mark = BREAK + mark
        elif is_after and boxes[number + 1 :] and (end - start > len(mark)):
            mark += BREAK
        characters[start:end] = mark.ljust(end - start)
        if not is_finding and not _is_ticked(box):
            characters[left:right] = " " * (right - left)
    return "".join(characters)


def _is_ticked(box: re.Match[str]) -> bool:
    return (box.group(1) or box.group(2)) in TICKED
