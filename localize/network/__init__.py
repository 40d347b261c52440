"""The localizer: fusion, ROI weights, cross-attention, attribute head."""
