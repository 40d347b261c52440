"""Everything that enters: manifests, their validation, patient splits, films, the phantom."""
