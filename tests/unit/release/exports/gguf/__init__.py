"""Tests of finetune.release.exports.gguf."""
