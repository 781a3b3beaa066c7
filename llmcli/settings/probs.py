"""What `llmcli probs` is asked to show, and which of it goes together."""

from __future__ import annotations

from dataclasses import dataclass

from llmcli.errors import UsageError
from llmcli.settings.option import option, switch
from llmcli.settings.values import choice, integer, nonempty, temperatures, text_value


@dataclass(frozen=True)
class ProbsOptions:
    """What to show of the distribution, and where the prompt comes from."""

    k: int = option(
        10, "-k", "--top", metavar="N", parse=integer(1), help="How many tokens to show, at most."
    )
    token: tuple[str, ...] = option(
        (),
        "--token",
        parse=text_value,
        repeatable=True,
        help="Show this token, too, wherever it ranks (repeatable).",
    )
    temps: tuple[float, ...] = option(
        (),
        "--temps",
        metavar="T,T,...",
        parse=temperatures,
        help="The same candidates under several temperatures: 0,0.5,1,2.",
    )
    chain: bool = switch(False, "--chain", help="The distribution after each sampler in turn.")
    steps: int | None = option(
        None,
        "--steps",
        metavar="N",
        parse=integer(1),
        help="Predict, choose, append, N times, and show each step.",
    )
    pick: str | None = option(
        None,
        "--pick",
        metavar="greedy|sample",
        parse=choice("greedy", "sample"),
        help="How --steps chooses (default: greedy).",
    )
    score: bool = switch(
        False,
        "--score",
        help="The prompt itself: each token's logprob, and the perplexity.",
    )
    html: str | None = option(
        None, "--html", metavar="FILE", parse=nonempty, help="Write what --score shows as a page, too."
    )
    continuations: tuple[str, ...] = option(
        (),
        "--continue",
        parse=text_value,
        repeatable=True,
        help="How probable this continuation is (repeatable).",
    )
    tree: int | None = option(
        None,
        "--tree",
        metavar="DEPTH",
        parse=integer(1),
        help="The most probable tokens at each of DEPTH steps, as a tree.",
    )
    width: int | None = option(
        None, "--width", metavar="W", parse=integer(1), help="Branches at each step of --tree (default: 3)."
    )
    versus: str | None = option(
        None,
        "--versus",
        metavar="REF",
        parse=nonempty,
        help="Compare with another model or quantization; with --score, token by token.",
    )
    versus_prompt: str | None = option(
        None,
        "--versus-prompt",
        parse=text_value,
        help="Compare with what another prompt gives; with --score, on the tokens in which both end.",
    )
    interactive: bool = switch(
        False,
        "-i",
        "--interactive",
        help="Explore: choose tokens, take them back, change the samplers.",
    )
    chat: bool = switch(
        False,
        "--chat",
        help="PROMPT is a user message: put it through the chat template.",
    )
    messages: str | None = option(
        None,
        "--messages",
        metavar="FILE",
        parse=nonempty,
        help="The prompt is a conversation in a JSON file; - for stdin.",
    )
    chat_template: str | None = option(
        None,
        "--chat-template",
        metavar="NAME|FILE",
        parse=text_value,
        help="Template (default: the model's own).",
    )
    chat_template_kwargs: str | None = option(
        None,
        "--chat-template-kwargs",
        metavar="JSON",
        parse=text_value,
        help="Variables for the template.",
    )


DEFAULT_WIDTH = 3

MODES = {
    "temps": "--temps",
    "chain": "--chain",
    "steps": "--steps",
    "score": "--score",
    "continuations": "--continue",
    "tree": "--tree",
    "interactive": "--interactive",
    "versus": "--versus",
    "versus_prompt": "--versus-prompt",
}
"""Each option that shows something of its own, by its field."""

UNSAMPLED = ("temps", "score", "continuations", "tree", "versus", "versus_score")
"""What shows the model's own probabilities, whatever the samplers would make of them."""

TOGETHER = ({"score", "versus"}, {"score", "versus_prompt"})
NEEDS = {
    "pick": ("steps",),
    "html": ("score",),
    "width": ("tree",),
    "chat_template": ("chat", "messages"),
    "chat_template_kwargs": ("chat", "messages"),
}
"""Options that say how to do something that another option asks for."""


def mode_of(options: ProbsOptions) -> str:
    """What to show: a field of MODES, `next` without any, `versus` also for two prompts.

    With --score a comparison is `versus_score`. Raises UsageError naming two options that do not go together.
    """
    given = [name for name in MODES if _given(options, name)]
    if len(given) > 1 and set(given) not in TOGETHER:
        raise UsageError(f"{MODES[given[0]]} and {MODES[given[1]]} can't both be given")
    for name, needed in NEEDS.items():
        if _given(options, name) and not any(_given(options, other) for other in needed):
            raise UsageError(f"{_flag(name)} needs {' or '.join(map(_flag, needed))}")
    for flag, texts in (("--token", options.token), ("--continue", options.continuations)):
        if "" in texts:
            raise UsageError(f"{flag} is empty", hint=f"give it what may come next: {flag} ' the'")
    if options.token and given not in ([], ["temps"]):
        raise UsageError(f"--token and {MODES[given[0]]} can't both be given")
    if options.html and len(given) > 1:
        raise UsageError(f"--html and {MODES[given[1]]} can't both be given")
    if options.chat and options.messages is not None:
        raise UsageError("--chat and --messages can't both be given")
    if set(given) & {"versus", "versus_prompt"}:
        return "versus_score" if "score" in given else "versus"
    return given[0] if given else "next"


def _given(options: ProbsOptions, name: str) -> bool:
    return getattr(options, name) not in (None, (), False)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
