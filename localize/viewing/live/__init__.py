"""Functions that annotation tools call: a CVAT auto-annotation function, a Label Studio backend."""
