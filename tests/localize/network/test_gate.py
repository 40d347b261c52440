"""A gate starts as the detector and depends on the film alone."""

import pytest
import torch
from torchvision.models.detection.retinanet import RetinaNetClassificationHead

from localize.network.gate import Gate

ANCHORS = 3


def _head() -> RetinaNetClassificationHead:
    torch.manual_seed(0)
    head = RetinaNetClassificationHead(8, ANCHORS, num_classes=1)
    for part in head.parameters():
        torch.nn.init.normal_(part, std=0.2)  # the head's own start gives all anchors one score
    return head


@pytest.mark.parametrize("shapes", [((8, 8), (4, 4), (2, 2)), ((5, 7), (3, 4), (2, 2), (1, 1))])
def test_an_untrained_gate_gives_the_logits_of_the_classification_tower(
    shapes: tuple[tuple[int, int], ...],
) -> None:
    head = _head()
    pyramid = [torch.randn(2, 8, *shape) for shape in shapes]
    with torch.no_grad():
        found, expected = Gate(head)(pyramid), head(pyramid)[..., 0]
    torch.testing.assert_close(found.logits, expected, atol=1e-5, rtol=1e-4)


def test_features_are_the_last_convolution_at_the_cell_of_an_anchor() -> None:
    head = _head()
    pyramid = [torch.randn(1, 8, 4, 4), torch.randn(1, 8, 2, 2)]
    with torch.no_grad():
        maps = Gate(head)(pyramid)
        towers = [head.conv(level) for level in pyramid]
    anchors = torch.tensor([[1 * ANCHORS + 2, (16 + 3) * ANCHORS]])  # (0, 1) of the first; (1, 1)
    expected = torch.stack([towers[0][0, :, 0, 1], towers[1][0, :, 1, 1]])
    torch.testing.assert_close(maps.features(anchors)[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(maps.at(anchors)[0], maps.logits[0, anchors[0]])


def test_a_film_has_the_same_gates_whatever_the_other_films_are() -> None:
    gate = Gate(_head())
    pyramid = [torch.randn(3, 8, 4, 4), torch.randn(3, 8, 2, 2)]
    with torch.no_grad():
        together = gate(pyramid).logits[1]
        alone = gate([level[1:2] for level in pyramid]).logits[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
