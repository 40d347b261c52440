"""Running a model: films in, `FilmPrediction`s and their tables out."""
