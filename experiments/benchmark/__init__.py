"""`pneumoloc experiment benchmark`: time and memory beside a baseline."""
