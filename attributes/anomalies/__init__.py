"""CT reports as anomalies: their phrases in nine classes, places, organs and assertions."""
