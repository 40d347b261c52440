"""`Fusion` against its equation, written out in numpy."""

from __future__ import annotations

import numpy as np
import torch

from localize.network.fusion import Fusion

LAYER_NORM_EPS = 1e-5  # torch's default


def make_fusion(dropout: float = 0.0) -> Fusion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fusion = Fusion(
            feature_width=5, geometry_width=6, score_width=3, out_width=4, dropout=dropout
        )
        fusion.feature_mean.normal_()
        fusion.feature_std.uniform_(0.5, 2)
        for norm in (fusion.from_geometry[1], fusion.from_score[1]):  # a fresh one does nothing
            norm.weight.data.normal_()
            norm.bias.data.normal_()
    return fusion


def make_inputs(films: int = 2, regions: int = 3):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(films, regions, 5, generator=generator)
    geometry = torch.rand(films, regions, 4, generator=generator)
    return features, geometry, torch.randn(films, regions, generator=generator)


def test_fusion_is_the_written_equation():
    fusion = make_fusion()
    features, geometry, scores = make_inputs()
    found = fusion(features, geometry, scores).detach().numpy()
    given = {name: value.double().numpy() for name, value in fusion.state_dict().items()}

    def normalised(layer: str, vector: np.ndarray) -> np.ndarray:
        linear = given[f"{layer}.0.weight"] @ vector + given[f"{layer}.0.bias"]
        centred = (linear - linear.mean()) / np.sqrt(linear.var() + LAYER_NORM_EPS)
        return centred * given[f"{layer}.1.weight"] + given[f"{layer}.1.bias"]

    for film in range(2):
        for region in range(3):
            r = features[film, region].double().numpy()
            r = (r - given["feature_mean"]) / given["feature_std"]
            g = normalised("from_geometry", geometry[film, region].double().numpy())
            s = normalised("from_score", scores[film, region, None].double().numpy())
            phi = given["from_feature.weight"] @ r + given["from_feature.bias"]
            phi += given["from_both.weight"] @ np.concatenate([g, s]) + given["from_both.bias"]
            np.testing.assert_allclose(found[film, region], phi, atol=1e-5)


def test_dropout_acts_in_training_only():
    fusion, inputs = make_fusion(dropout=0.5), make_inputs()
    torch.testing.assert_close(fusion.eval()(*inputs), make_fusion().eval()(*inputs))
    assert (fusion.train()(*inputs) == 0).any()
