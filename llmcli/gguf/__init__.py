"""Reading GGUF files without llama.cpp: what a model file says about itself, checked before use."""
