"""`llmcli chat`: a conversation on a terminal, a single answer, or a scripted run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmcli.cli.console import Console
from llmcli.cli.keyboard import silent_keyboard
from llmcli.cli.open import decode_text, open_engine, progress, read_file, read_text
from llmcli.cli.options import ChatTemplateKwargs, ChatTemplateRef, ModelRef
from llmcli.cli.session import model_of, open_place, snapshots_of
from llmcli.cli.switch import switch_model
from llmcli.cli.template import open_template, template_kwargs
from llmcli.engine.interrupt import AbortFlag
from llmcli.errors import InputError, InterruptedByUser, UsageError
from llmcli.settings.chat import ChatOptions
from llmcli.settings.engine import EngineOptions
from llmcli.settings.model import reference_to
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions

if TYPE_CHECKING:
    from llmcli.chat.conversation import Conversation
    from llmcli.chat.session import Session
    from llmcli.engine.llama.engine import LlamaEngine
    from llmcli.render.reply_writer import ReplyWriter

AHEAD = {
    False: ("llmcli.chat.template", "llmcli.chat.session"),
    True: ("llmcli.repl.app", "llmcli.chat.template", "llmcli.chat.session"),
}
"""What a single answer and what a REPL import while the model is loaded."""


def chat(
    console: Console,
    engine: EngineOptions,
    sampling: SamplingOptions,
    window: WindowOptions,
    looks: ChatOptions,
    model: ModelRef = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", metavar="TEXT", help="Answer this and leave.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--file", metavar="FILE", help="Put a file's text before the first message (repeatable)."
        ),
    ] = None,
    turns: Annotated[
        str | None,
        typer.Option(
            "--turns", metavar="FILE", help="Run a whole conversation: a line a user turn; - for stdin."
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option("-sys", "--system", metavar="TEXT", help="System message.")
    ] = None,
    system_file: Annotated[
        str | None, typer.Option("-sysf", "--system-file", metavar="FILE", help="The same, from a file.")
    ] = None,
    chat_template: ChatTemplateRef = None,
    chat_template_kwargs: ChatTemplateKwargs = None,
    no_kv_snapshot: Annotated[
        bool, typer.Option("--no-kv-snapshot", help="Do not keep the cache of a session on disk.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a reply.")] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Events as they happen, a JSON object a line.")
    ] = False,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="NAME",
            help="Open this session, or begin it.",
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--continue", help="Go on with the last session.")] = False,
    no_save: Annotated[
        bool, typer.Option("--no-save", help="Leave no trace on disk: no session, no history.")
    ] = False,
) -> None:
    """Talk with a model.

    On a terminal, a conversation of many turns, which is saved; /help lists its commands. With -p or text on
    stdin, one answer. With --turns, a whole conversation without a terminal. Both are saved with --session or
    --continue.
    """
    if json and jsonl:
        raise UsageError("--json and --jsonl can't both be given")
    if turns is not None and prompt is not None:
        raise UsageError("--turns and -p can't both be given")
    system_text = _system(system, system_file)
    kwargs: dict[str, Any] = {"enable_thinking": False} if looks.think == "off" else {}
    kwargs |= template_kwargs(chat_template_kwargs)
    attached = "\n\n".join(read_text(path) for path in file or ())
    on_terminal = console.reads_terminal and console.writes_terminal
    interactive = turns is None and prompt is None and on_terminal and not (json or jsonl)
    asked = None if interactive else _asked(console, prompt, turns, attached)
    imports = [partial(import_module, name) for name in AHEAD[interactive]]
    abort = AbortFlag()
    started = time.perf_counter()
    with (
        silent_keyboard(console, takes_typed=True) if interactive else nullcontext(b"") as typed,
        open_place(console, session, last, no_save=no_save, interactive=interactive) as place,
        open_engine(console, model_of(model, place.head), engine, abort, ahead=imports) as llama,
    ):
        from llmcli.chat.session import Session
        from llmcli.render.reply_writer import writer

        conversation = _conversation(llama, chat_template, sampling, window, abort, kwargs)
        conversation.system = system_text or (place.head.system if place.head else "")
        snapshots = snapshots_of(console, llama, engine, place.store, wanted=not no_kv_snapshot)
        reference = reference_to(llama.model.path)
        talk = Session(conversation, reference, place.store, place.stored, snapshots)
        load_seconds = time.perf_counter() - started
        name = llama.tokenizer.name
        view = writer(
            console,
            name,
            load_seconds,
            llama.model.offload,
            talk.name,
            json=json,
            jsonl=jsonl,
            stats=looks.stats,
            think=looks.think,
            markdown=console.moves_cursor and looks.markdown,
            probs=looks.probs,
        )
        view.tally = conversation.tally
        # Closed after the session, which keeps the cache of the model at its end.
        with ExitStack() as opened, talk:
            if asked is not None:
                talk.begin()
                if talk.unanswered():
                    console.note("notice: the session's last message got no reply, and is left out")
                _run(console, talk, asked, view, looks.probs)
            else:
                from llmcli.repl.app import Repl
                from llmcli.repl.keyboard import type_again
                from llmcli.settings.folders import state_folder

                history = None if no_save else state_folder(console.environ) / "history"
                bar = partial(progress, console, "reading the prompt")
                load = partial(switch_model, console, talk, opened, engine, chat_template, not no_kv_snapshot)
                type_again(typed)
                Repl(console, talk, view, bar, load, history=history, attached=attached).run()


def _run(
    console: Console, talk: Session, asked: Iterable[str | None], view: ReplyWriter, probs: bool
) -> None:
    """Ask everything there is to ask. Raises InterruptedByUser after a reply in which Ctrl-C came."""
    from llmcli.repl.probabilities import with_probs

    for text in asked:
        with progress(console, "reading the prompt") as on_prefill:
            if text is None:
                events = talk.go_on(on_prefill=on_prefill)
            else:
                events = talk.ask(text, on_prefill=on_prefill)
            with closing(events):
                view.show_all(with_probs(events, talk.conversation.engine) if probs else events)
        if view.cancelled or talk.conversation.abort.is_set:
            raise InterruptedByUser


def _asked(console: Console, prompt: str | None, turns: str | None, attached: str) -> Iterator[str | None]:
    """The user's messages without a terminal: those of a file, or one of -p, the files and stdin."""
    if turns is not None:
        return _with_attachment(_turns(console, turns), attached)
    unread = console.stdin is None or console.reads_terminal
    piped = "" if unread else decode_text(console.read(), "standard input")
    parts = [part for part in (attached, prompt or "", piped) if part]
    if not prompt and not piped.strip():
        raise UsageError("nothing to answer", hint="give -p TEXT, or text on standard input")
    return iter(["\n\n".join(parts)])


def _turns(console: Console, path: str) -> Iterator[str | None]:
    from llmcli.chat.turns import user_turns

    if path != "-":
        return user_turns(BytesIO(read_file(path)), path)
    if console.stdin is None:
        raise InputError("standard input is closed")
    return user_turns(console.stdin, "standard input")


def _with_attachment(turns: Iterator[str | None], attached: str) -> Iterator[str | None]:
    for text in turns:
        yield f"{attached}\n\n{text}" if attached and text is not None else text
        attached = "" if text is not None else attached


def _system(text: str | None, path: str | None) -> str:
    if text is not None and path is not None:
        raise UsageError("--system and --system-file can't both be given")
    return read_text(path) if path is not None else text or ""


def _conversation(
    llama: LlamaEngine,
    template_reference: str | None,
    sampling: SamplingOptions,
    window: WindowOptions,
    abort: AbortFlag,
    kwargs: dict[str, Any],
) -> Conversation:
    """A conversation with the model, in the template asked for or its own."""
    from llmcli.chat.conversation import Conversation

    template = open_template(llama.tokenizer, template_reference)
    llama.sampler(sampling).close()  # a grammar that does not parse is said before the first turn
    return Conversation(llama, template, sampling, abort, kwargs, window_options=window)
