"""What a prediction is: `FilmPrediction` for one film, tables for many. Needs no torch."""
