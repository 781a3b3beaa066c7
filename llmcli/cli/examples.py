"""The examples at the end of each command's help; the tests run every one of them."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, str, str]] = {
    "chat": (
        'llmcli chat -p "What is a token?"',
        'llmcli chat -p "Say it in one sentence." < notes.txt',
        "llmcli chat --turns questions.txt --temp 0 --json",
    ),
    "tokenize": (
        'llmcli tokenize "Once upon a time"',
        "llmcli tokenize -f notes.txt --format table",
        "llmcli tokenize --lines --format jsonl < notes.txt",
    ),
    "detokenize": (
        "llmcli detokenize 72 101 108",
        'echo "[72, 101, 108]" | llmcli detokenize',
        "llmcli tokenize -f notes.txt | llmcli detokenize",
    ),
    "count": (
        "llmcli count notes.txt questions.txt",
        "llmcli count --max 4000 < notes.txt",
        "llmcli count --stats --json notes.txt",
    ),
    "vocab": (
        "llmcli vocab 72",
        "llmcli vocab --grep '^ ?tok'",
        "llmcli vocab --special --format json",
    ),
    "probs": (
        'llmcli probs --chat "What is a token?"',
        'llmcli probs "A token is" --chain --temp 0.7',
        "llmcli probs -f notes.txt --score --html page.html",
    ),
    "bench": (
        "llmcli bench -p 64 -n 16 -r 2",
        "llmcli bench -p 128 -n 0 -r 1 -fa on -ctk q8_0 -ctv q8_0",
        "llmcli bench -p 32 -n 8 -r 3 --json",
    ),
    "doctor": (
        "llmcli doctor",
        "llmcli doctor --json > doctor.json && ls -l doctor.json",
        "llmcli doctor --json | grep version",
    ),
    "sessions": (
        "llmcli sessions list",
        "llmcli sessions search token",
        "llmcli sessions export talk --format md -o talk.md",
    ),
    "sessions list": (
        "llmcli sessions list",
        "llmcli sessions list --json",
        "llmcli sessions list | cut -f1",
    ),
    "sessions show": (
        "llmcli sessions show",
        "llmcli sessions show talk",
        "llmcli sessions show talk --json",
    ),
    "sessions export": (
        "llmcli sessions export talk",
        "llmcli sessions export talk --format html -o talk.html",
        "llmcli sessions export talk --format jsonl --all",
    ),
    "sessions rm": (
        "llmcli sessions rm talk",
        "llmcli sessions rm old older",
        "llmcli sessions list | cut -f1 | grep ^old | xargs llmcli sessions rm",
    ),
    "sessions search": (
        "llmcli sessions search token",
        'llmcli sessions search "what is"',
        "llmcli sessions search token --json",
    ),
    "models": (
        "llmcli models list",
        "llmcli models show tiny",
        "llmcli models pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
    ),
    "models list": (
        "llmcli models list",
        "llmcli models list --json",
        "llmcli models list | cut -f1",
    ),
    "models show": (
        "llmcli models show tiny",
        "llmcli models show tiny -c 512 -ctk q8_0 -ctv q8_0",
        "llmcli models show tiny --json",
    ),
    "models path": (
        "llmcli models path tiny",
        'ls -l "$(llmcli models path tiny)"',
        "llmcli models path",
    ),
    "models pull": (
        "llmcli models pull bartowski/Llama-3.2-1B-Instruct-GGUF",
        "llmcli models pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0",
        "llmcli models pull bartowski/Llama-3.2-1B-Instruct-GGUF --json",
    ),
    "models rm": (
        "llmcli models rm bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0",
        "llmcli models rm Llama-3.2 --yes",
        "llmcli models rm Llama-3.2",
    ),
    "config": (
        "llmcli config show",
        "llmcli config set sampling.temp 0.2",
        "llmcli config path",
    ),
    "config show": (
        "llmcli config show",
        "llmcli config show --json",
        "llmcli config show --format table | grep engine",
    ),
    "config path": (
        "llmcli config path",
        'ls "$(dirname "$(llmcli config path)")"',
        "LLMCLI_HOME=here llmcli config path",
    ),
    "config set": (
        "llmcli config set model tiny",
        "llmcli config set aliases.small tiny",
        "llmcli config set sampling.stop User: Assistant:",
    ),
    "config unset": (
        "llmcli config unset sampling.temp",
        "llmcli config unset model",
        "llmcli config unset aliases.small",
    ),
}
"""By the command's words. The files in them are a text, and questions, a line each."""


def epilog(command: str) -> str | None:
    """The end of a command's help."""
    if command not in EXAMPLES:
        return None
    lines = (f"  {example}" for example in EXAMPLES[command])
    # \b keeps Typer from joining the lines.
    return "\n".join(["\b", "Examples:", *lines])
