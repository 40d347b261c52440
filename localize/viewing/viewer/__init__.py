"""A local page to look at films, ask them for words and correct their boxes."""
