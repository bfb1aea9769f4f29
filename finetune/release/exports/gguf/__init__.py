"""Export formats in GGUF, the file format of llama.cpp: written, quantized and proven."""
