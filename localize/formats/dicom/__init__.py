"""DICOM SR, GSPS and SEG."""
