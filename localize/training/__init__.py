"""Training the localizer on film-report pairs."""
