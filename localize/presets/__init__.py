"""Named settings for `pneumoloc localize train --preset`."""
