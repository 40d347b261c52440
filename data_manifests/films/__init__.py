"""Film files to grey levels, and the checks of them."""
