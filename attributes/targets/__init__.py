"""Training targets of the 22 keywords from the findings of reports."""
