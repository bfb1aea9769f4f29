"""Second step: cleaning and checks of texts; each is kept or rejected with a reason."""
