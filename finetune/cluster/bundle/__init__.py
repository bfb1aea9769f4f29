"""Archives with everything a recipe needs, for air-gapped clusters."""
