"""Python API: the functions that `import finetune` offers, and the verbs are built on."""
