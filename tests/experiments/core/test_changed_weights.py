"""`write_changes` and `read_changes`: adapted detectors through a narrow door."""

from __future__ import annotations

import torch

from experiments.core.changed_weights import changes, with_changes


def test_what_comes_back_differs_by_half_a_level_of_each_channels_largest_change():
    generator = torch.Generator().manual_seed(0)
    start = {
        "conv": torch.randn(8, 4, 3, 3, generator=generator),
        "bias": torch.randn(8, generator=generator),
        "same": torch.ones(3, 2),
        "steps": torch.tensor(7),
    }
    after = {
        "conv": start["conv"] + 0.1 * torch.randn(8, 4, 3, 3, generator=generator),
        "bias": start["bias"] + 0.01,
        "same": start["same"].clone(),
        "steps": torch.tensor(9),
    }
    back = with_changes(changes(after, start), start)
    assert back.keys() == after.keys()
    assert torch.equal(back["same"], after["same"])
    assert back["steps"] == 9
    largest = (after["conv"] - start["conv"]).abs().amax(dim=(1, 2, 3), keepdim=True)
    assert ((back["conv"] - after["conv"]).abs() <= largest / 254 + 1e-6).all()
    torch.testing.assert_close(back["bias"], after["bias"], atol=1e-4, rtol=0)
