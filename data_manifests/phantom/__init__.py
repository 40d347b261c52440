"""A seeded generator of stylised chest films with planted opacities and reports."""
