"""Parameters, memory and operations of a model, counted from its configuration."""
