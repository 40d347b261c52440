"""One-to-one matching of predicted and true boxes, for all films and thresholds at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from data_manifests.support.arrays import Bools, Floats, Ints, Ints32
from localize.evaluation.film_boxes import FilmBoxes, Overlaps, rank_in_group

# pycocotools lets a threshold of 1 accept an IoU of 1 - 1e-10 (rounding of identical boxes).
MAX_THRESHOLD = 1 - 1e-10
PAIRS_AT_A_TIME = 50_000  # of one turn of the greedy rules: some ten bytes a threshold for each


def maximum_matches(boxes: FilmBoxes, overlaps: Overlaps, threshold: float) -> Bools:
    """Which true boxes are matched by a maximum one-to-one matching with IoU >= `threshold`; (G,).

    No other one-to-one assignment matches more boxes of any film: the films are separate parts of
    one bipartite graph (Hopcroft-Karp), so the maximum of the whole is the maximum of each.
    """
    keep = overlaps.iou >= min(threshold, MAX_THRESHOLD)
    shape = (len(boxes.true_xyxy), len(boxes.pred_xyxy))
    if not keep.any():
        return np.zeros(shape[0], dtype=np.bool_)
    graph = csr_array(
        (np.ones(int(keep.sum()), np.int8), (overlaps.true[keep], overlaps.pred[keep])), shape=shape
    )
    matched: Bools = maximum_bipartite_matching(graph, perm_type="column") >= 0
    return matched


def coco_matches(boxes: FilmBoxes, overlaps: Overlaps, thresholds: Floats) -> Bools:
    """Which predictions are true positives by COCO's greedy rule; (P, T).

    From the highest score down, a prediction takes the free true box with the largest IoU that
    reaches the threshold (of equal IoUs the last one, as pycocotools does).
    """
    limits = np.minimum(thresholds, MAX_THRESHOLD)
    return _greedy(
        overlaps.pred,
        overlaps.true,
        overlaps.iou,
        overlaps.iou[:, None] >= limits,
        boxes.pred_film,
        len(boxes.true_xyxy),
    )


def kaggle_matches(boxes: FilmBoxes, overlaps: Overlaps, thresholds: Floats) -> Bools:
    """Which true boxes are matched by the rule of the RSNA challenge's public scorer; (G, T).

    True boxes, in their order, take the free prediction of highest score whose IoU reaches the
    threshold.
    """
    order = np.lexsort((overlaps.pred, overlaps.true))
    pred, true, iou = overlaps.pred[order], overlaps.true[order], overlaps.iou[order]
    return _greedy(
        true,
        pred,
        -boxes.pred_rank[pred].astype(np.float64),
        iou[:, None] >= thresholds,
        boxes.true_film,
        len(boxes.pred_xyxy),
    )


def _greedy(
    agent: Ints,
    target: Ints,
    preference: Floats,
    eligible: Bools,
    film_of_agent: Ints | Ints32,
    targets: int,
) -> Bools:
    """Let the agents of each film choose in turn; (agents, T) which of them took a target.

    `agent`, `target`, `preference` (E,) and `eligible` (E, T) describe pairs ordered by agent.
    Agents of different films do not meet, so the n-th agents of all films choose together.
    """
    agents, levels = len(film_of_agent), eligible.shape[1]
    has_taken = np.zeros((agents, levels), dtype=np.bool_)
    is_used = np.zeros((targets, levels), dtype=np.bool_)
    possible = eligible.any(axis=1)
    agent, target, preference = agent[possible], target[possible], preference[possible]
    eligible = eligible[possible]
    chosers = np.unique(agent)
    turn_of_agent = np.zeros(agents, dtype=np.int64)
    turn_of_agent[chosers] = rank_in_group(film_of_agent[chosers])
    turn = turn_of_agent[agent]
    order = np.argsort(turn, kind="stable")
    for rows in _blocks(order, agent, turn):
        starts = np.flatnonzero(np.r_[True, np.diff(agent[rows]) != 0])
        segment = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(rows)]))
        free = eligible[rows] & ~is_used[target[rows]]
        value = np.where(free, preference[rows, None], -np.inf)
        best = np.maximum.reduceat(value, starts, axis=0)
        is_best = free & (value == best[segment])
        place = np.where(is_best, np.arange(len(rows))[:, None], -1)
        choice = np.maximum.reduceat(place, starts, axis=0)  # the last of the best; (agents, T)
        who, level = np.nonzero(choice >= 0)
        what = target[rows][choice[who, level]]
        has_taken[agent[rows][starts][who], level] = True
        is_used[what, level] = True
    return has_taken


def _blocks(order: Ints, agent: Ints, turn: Ints) -> Iterator[Ints]:
    """`order`, pairs by turn, cut between agents: at each new turn, and inside long ones."""
    if not len(order):
        return
    starts = np.flatnonzero(np.r_[True, np.diff(agent[order]) != 0])
    is_cut = np.diff(turn[order[starts]]) != 0
    is_cut |= np.diff(starts // PAIRS_AT_A_TIME) != 0
    yield from np.split(order, starts[1:][is_cut])
