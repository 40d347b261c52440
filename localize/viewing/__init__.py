"""Gallery, viewer, drafts and live backends of annotation tools."""
