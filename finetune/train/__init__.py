"""Stage `train`: tokens -> adapter."""
