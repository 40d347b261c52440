"""Scores of the structurer against gold sentences and labelled reports."""
