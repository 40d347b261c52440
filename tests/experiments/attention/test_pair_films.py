"""Stacked maps read like one array."""

import numpy as np

from experiments.attention.pair_films import StackedMaps


def test_rows_of_stacked_maps_are_those_of_the_joined_array():
    parts = [np.random.default_rng(k).normal(size=(n, 2, 3)) for k, n in enumerate((4, 1, 5))]
    joined, stacked = np.concatenate(parts), StackedMaps.of(parts)
    rows = np.array([9, 0, 4, 3, 4])
    np.testing.assert_array_equal(stacked[rows], joined[rows])
    np.testing.assert_array_equal(stacked[2:8][np.array([0, 5])], joined[[2, 7]])
    np.testing.assert_array_equal(np.asarray(stacked), joined)
    assert stacked.shape == joined.shape
