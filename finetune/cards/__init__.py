"""Data cards for the owners of texts: writing, checking, showing, publishing, withdrawing."""
