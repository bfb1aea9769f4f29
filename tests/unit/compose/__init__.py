"""Tests of finetune.compose."""
