"""`dictate_freely`: what a simulated report says, and what it leaves out."""

from __future__ import annotations

import numpy as np

from attributes import structure_report
from experiments.data.free_dictation import CLEAR, DictationHabits, dictate_freely

COMPLETE = DictationHabits(0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
BASE = (130.0, 110.0, 170.0, 144.0)  # peripheral, left lower zone of a film of 200 px
APEX = (40.0, 30.0, 70.0, 60.0)


def attributes(text):
    return [
        (one.assertion, {attribute.name for attribute in one.attributes})
        for one in structure_report(text)
    ]


def test_a_report_without_losses_names_every_opacity_with_its_side_and_zone():
    for seed in range(20):
        text = dictate_freely([BASE, APEX], 200, 200, np.random.default_rng(seed), COMPLETE)
        (first, upper), (second, lower) = attributes(text)
        assert first == second == "present"
        assert {"right", "upper", "small"} <= upper
        assert {"left", "small"} <= lower
        assert lower & {"lower", "basal"}
        assert "central small" not in text
        assert "peripheral" in text.lower()


def test_a_film_without_boxes_is_called_clear():
    texts = {dictate_freely([], 200, 200, np.random.default_rng(seed)) for seed in range(40)}
    assert texts == set(CLEAR)
    assert all(one[0] == "absent" for text in texts for one in attributes(text))


def test_losses_happen_as_often_as_the_habits_say():
    habits = DictationHabits()
    texts = [
        dictate_freely([BASE, APEX], 200, 200, np.random.default_rng(seed)) for seed in range(800)
    ]
    hedged = np.mean([attributes(text)[0][0] == "uncertain" for text in texts])
    assert abs(hedged - habits.hedged) < 0.035
    bilateral = np.mean(["ilateral" in text for text in texts])
    assert abs(bilateral - habits.in_one_word * (1 - habits.unsaid) ** 2) < 0.035
    one = np.mean([text.count(".") == 1 and "ilateral" not in text for text in texts])
    # One of two unsaid; both unsaid leaves one as well.
    assert abs(one - (1 - (1 - habits.unsaid) ** 2)) < 0.05
