"""A local page to correct boxes and to find regions by words."""
