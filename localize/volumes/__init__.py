"""Visual grounding of whole reports in CT volumes (Ichinose et al., MICCAI 2023)."""
