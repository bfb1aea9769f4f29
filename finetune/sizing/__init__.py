"""Parameters, memory and operations of a model, computed from its configuration."""
