"""The paper's tables and figures, ablations and benchmarks; nothing imports this package."""
