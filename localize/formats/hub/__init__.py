"""Films with boxes, and what the readers and writers of all formats share."""
