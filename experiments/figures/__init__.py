"""The paper's figures, drawn from finished predictions."""
