"""Does a report's sentence find its box? Real films and phantoms, with and without the aids."""
