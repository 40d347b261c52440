"""Films in; boxes, attributes and severity out."""
