"""Exports of boxes to annotation tools and DICOM, and imports of what annotators send back."""
