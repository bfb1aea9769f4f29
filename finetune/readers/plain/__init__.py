"""Plain text whose lines hold more than text: transcripts, lists, single words."""
