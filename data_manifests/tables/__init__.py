"""Tables that ship with the package: film lists only, no films and no boxes."""
