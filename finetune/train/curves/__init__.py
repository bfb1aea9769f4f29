"""Curves of a training run: event files of TensorBoard, and other trackers."""
