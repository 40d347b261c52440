"""Model bundles: weights, calibration and film guard in one checked folder."""
