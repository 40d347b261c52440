"""Annotation formats: export to tools and DICOM, import of corrections."""
