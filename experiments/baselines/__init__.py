"""What the method is compared with: heat maps of a film classifier, a prior, chance, the best."""
