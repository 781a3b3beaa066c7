"""The names of the vocabularies in the shared folder; a test fails where one is missing here."""

VOCABULARIES = [
    "bert-bge",
    "deepseek-coder",
    "falcon",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "phi-3",
    "qwen2",
]
