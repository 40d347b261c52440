"""Files written whole, errors, settings, progress: what every package stands on."""
