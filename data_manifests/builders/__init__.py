"""One builder for each public data set, and `build_tables` for everybody else's."""
