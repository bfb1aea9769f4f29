"""Memory, time and energy of a training run before it starts."""
