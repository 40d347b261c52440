"""One module for each annotation tool."""
