"""Diagnosis of a machine or a cluster."""
