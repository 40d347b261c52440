"""What a grounding writes: maps, boxes, DICOM segmentations, markups, a table, a page."""
