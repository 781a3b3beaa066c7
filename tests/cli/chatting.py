"""What the tests of `llmcli chat` without a terminal say, and ask."""

from __future__ import annotations

from tests.cli.program import Program

YES = ["--grammar", 'root ::= "yes"']
"""Whatever the model thinks, it says yes and ends."""

ENDLESS = ["--grammar", 'root ::= "x" root', "-c", "0"]
"""A reply that only Ctrl-C ends, or the end of a very wide window."""

LONG_TEXT = b"the quick brown fox " * 5_000
"""40,000 tokens of the tiny vocabulary: seconds of work."""

SHOW_PROMPT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"


def prompt_tokens(llmcli: Program, *args: object, stdin: bytes = b"") -> int:
    """How many tokens the prompt of a run has."""
    ran = llmcli("chat", *args, *YES, "--json", stdin=stdin).succeeded()
    return int(ran.json["usage"]["prompt_tokens"])
