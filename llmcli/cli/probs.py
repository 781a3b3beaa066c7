"""`llmcli probs`: what the model was about to say."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from llmcli.cli.console import Console
from llmcli.cli.formats import chosen_format
from llmcli.cli.inputs import read_input
from llmcli.cli.keyboard import silent_keyboard
from llmcli.cli.open import decode_text, open_engine, progress, read_file
from llmcli.cli.options import AsJson, ModelRef
from llmcli.cli.template import open_template, template_kwargs, templated_prompt
from llmcli.engine.interrupt import AbortFlag
from llmcli.errors import UsageError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.probs import DEFAULT_WIDTH, UNSAMPLED, ProbsOptions, mode_of
from llmcli.settings.sampling import SamplingOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmcli.chat.messages import Message
    from llmcli.engine.llama.engine import LlamaEngine
    from llmcli.probs.prompt import Prompt

FORMATS = ("table", "json")
N_BRANCHES = 64
"""Continuations held in the cache at once: beyond that, more at once gain little."""


def probs(
    console: Console,
    engine: EngineOptions,
    sampling: SamplingOptions,
    sampling_given: bool,
    shown: ProbsOptions,
    prompt: Annotated[str | None, typer.Argument(help="The text to continue; - for stdin.")] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="FILE", help="Read the prompt from a file.")
    ] = None,
    model: ModelRef = None,
    format: Annotated[  # noqa: A002 - the flag's name
        str | None, typer.Option("--format", metavar="|".join(FORMATS), help="Default: a table.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show the distribution of the next token after a prompt.

    prob is the softmax of the raw logits at temperature 1; sampled is what the sampler chain would draw from.
    """
    mode = mode_of(shown)
    as_json = chosen_format(format, json, FORMATS, "table") == "json"
    if mode == "interactive" and (as_json or not (console.reads_terminal and console.writes_terminal)):
        raise UsageError("--interactive needs a terminal, and shows no JSON")
    if mode == "tree":
        from llmcli.probs.tree import check_size

        check_size(shown.tree or 1, shown.width or DEFAULT_WIDTH)
    # As JSON, --temps has each token's sampled_prob as well.
    if sampling_given and mode in UNSAMPLED and not (mode == "temps" and as_json):
        console.note("notice: sampling options change nothing here: these are the model's own probabilities")
    prompt_of = _prompt(console, prompt, file, shown)
    abort = AbortFlag()
    n_sequences = 1 + N_BRANCHES if mode in ("tree", "continuations") else 1
    with (
        silent_keyboard(console) if mode == "interactive" else nullcontext(),
        open_engine(console, model, engine, abort, n_sequences=n_sequences) as llama,
    ):
        from llmcli.cli.probs_modes import MODES, Job

        job = Job(
            console=console,
            llama=llama,
            abort=abort,
            prompt=prompt_of(llama, shown),
            versus_prompt=None if shown.versus_prompt is None else _other_prompt(llama, shown),
            shown=shown,
            engine=engine,
            sampling=sampling,
            sampling_given=sampling_given,
            as_json=as_json,
        )
        if mode not in ("score", "versus", "versus_score"):  # these evaluate a prompt in their own way
            with progress(console, "reading the prompt") as on_progress:
                llama.ready(job.prompt.ids(llama.tokenizer), on_progress=on_progress)
        MODES[mode](job)


def _prompt(
    console: Console, prompt: str | None, file: str | None, shown: ProbsOptions
) -> Callable[[LlamaEngine, ProbsOptions], Prompt]:
    """Read what the prompt is made of; how to make it, once there is a model with a template."""
    from llmcli.probs.prompt import Prompt

    if shown.messages is not None:
        if shown.versus_prompt is not None:
            raise UsageError(
                "--messages and --versus-prompt can't both be given", hint="--chat takes both prompts"
            )
        if prompt is not None or file is not None:
            raise UsageError(f"give either {'PROMPT' if file is None else '-f FILE'} or --messages, not both")
        from llmcli.chat.message_file import read_messages

        data = console.read() if shown.messages == "-" else read_file(shown.messages)
        messages = read_messages(data, "standard input" if shown.messages == "-" else shown.messages)
        return lambda llama, options: _templated(llama, options, messages)
    if prompt is not None and file is not None:
        raise UsageError("give either a PROMPT or -f FILE, not both")
    if shown.interactive and prompt is None and file is None:
        return lambda _llama, _options: Prompt.plain(b"")
    [text] = read_input(console, (prompt,) if prompt is not None else (), (file,) if file is not None else ())
    if shown.chat:
        return lambda llama, options: _user_message(llama, options, decode_text(text, "the prompt"))
    return lambda _llama, _options: Prompt.plain(text)


def _other_prompt(llama: LlamaEngine, shown: ProbsOptions) -> Prompt:
    from llmcli.probs.prompt import Prompt
    from llmcli.tokens.tokenizer import to_bytes

    text = shown.versus_prompt or ""
    return _user_message(llama, shown, text) if shown.chat else Prompt.plain(to_bytes(text))


def _user_message(llama: LlamaEngine, shown: ProbsOptions, text: str) -> Prompt:
    from llmcli.chat.messages import USER, Message

    return _templated(llama, shown, [Message(USER, text)])


def _templated(llama: LlamaEngine, shown: ProbsOptions, messages: list[Message]) -> Prompt:
    template = open_template(llama.tokenizer, shown.chat_template)
    kwargs = template_kwargs(shown.chat_template_kwargs)
    return templated_prompt(template, messages, kwargs, llama.tokenizer)
