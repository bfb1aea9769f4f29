"""Diagnosis of a machine or a cluster: probes, and findings with advice."""
