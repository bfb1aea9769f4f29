"""Distributed LoRA fine-tuning for low-resource languages: from data card to released adapter."""

__version__ = "0.1.0"
