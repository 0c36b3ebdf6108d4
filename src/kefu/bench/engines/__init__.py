"""The same GGUF through three engines, in one run: what made llama.cpp's server the choice (0001)."""
