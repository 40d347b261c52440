"""CT volumes: their grid in the patient, reading, resampling, organ labels, sets of volumes."""
