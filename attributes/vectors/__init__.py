"""Word vectors of the keywords and the negative of each keyword."""
