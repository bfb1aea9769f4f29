"""Descriptions of outputs beside their scores: languages, repetition, short and hard inputs."""
