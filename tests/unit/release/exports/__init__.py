"""Tests of finetune.release.exports."""
