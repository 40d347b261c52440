"""Film to regions of interest: RetinaNet training, proposals with features, the ROI store."""
