"""`pneumoloc experiment benchmark`: what things cost, measured side by side with a baseline."""
