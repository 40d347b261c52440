"""The lexicon of a language: its files, their reading and checks."""
