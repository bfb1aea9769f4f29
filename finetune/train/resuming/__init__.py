"""Resumption of a training run: the checkpoint, its versions, the loss on both sides."""
