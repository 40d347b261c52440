"""A grounding network for films in the manner of Ichinose et al. (MICCAI 2023)."""
