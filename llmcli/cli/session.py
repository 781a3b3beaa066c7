"""Where `llmcli chat` keeps what is said: opened before the model is, so that no one waits for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmcli.cli.console import Console
from llmcli.cli.sessions import SNAPSHOTS, open_store
from llmcli.errors import ModelError, StoreError, UsageError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.folders import cache_folder
from llmcli.settings.model import BUNDLED
from llmcli.settings.there import is_file

if TYPE_CHECKING:
    from llmcli.chat.opening import Opening
    from llmcli.chat.saved import Head, Saved
    from llmcli.chat.snapshot import Snapshots
    from llmcli.chat.store import Store
    from llmcli.engine.llama.engine import LlamaEngine


@dataclass
class Place:
    """The file of sessions, where one is kept; and the session to go on with, where there is one.

    `head` is what is known of it at once: all but its messages.
    """

    store: Store | None = None
    stored: Saved | Opening | None = None
    head: Head | None = None


@contextmanager
def open_place(
    console: Console, name: str | None, last: bool, *, no_save: bool, interactive: bool
) -> Iterator[Place]:
    """What --session NAME, --continue and --no-save ask for together.

    Raises UsageError where they disagree, StoreError where the session is open elsewhere. A conversation that
    nobody asked to save goes on without where it can't be saved.
    """
    if name is not None and last:
        raise UsageError("--session and --continue can't both be given")
    if no_save and (last or name is not None):
        raise UsageError(f"--no-save and {'--continue' if last else '--session'} can't both be given")
    is_asked_for = last or name is not None
    if no_save or not (is_asked_for or interactive):
        yield Place()
        return
    from llmcli.chat.names import checked_name
    from llmcli.chat.opening import Opening, ahead

    if name is not None:
        name = checked_name(name)
    store = open_store(console) if is_asked_for else _store_or_notice(console)
    with store or nullcontext():
        if store is None or not is_asked_for:
            yield Place(store)
        elif name is None or store.has(name):
            opening = Opening(store, store.take(name or store.latest()))
            # Until the prompt is there the imports need Python's lock, and a glance hardly does.
            ahead(opening.glance if interactive and console.moves_cursor else opening.whole)
            yield Place(store, opening, opening.head)
        else:
            created = store.create(name)
            yield Place(store, created, created)


def _store_or_notice(console: Console) -> Store | None:
    try:
        return open_store(console)
    except StoreError as error:
        console.note(f"notice: the conversation is not saved: {error.message}")
        return None


def snapshots_of(
    console: Console, engine: LlamaEngine, options: EngineOptions, store: Store | None, *, wanted: bool
) -> Snapshots | None:
    """Where the caches of sessions are kept; None where none are."""
    if store is None or not wanted:
        return None
    from llmcli.chat.snapshot import Snapshots, fingerprint_of

    def explain(reason: str) -> None:
        if console.debug:
            console.say(f"{reason}\n")

    try:
        mark = fingerprint_of(engine.model.path, options, engine.context_size, engine.state_version)
    except OSError as error:
        explain(f"no cache is kept: {error}")
        return None
    return Snapshots(cache_folder(console.environ) / SNAPSHOTS, engine, mark, explain)


def model_of(flag: str | None, saved: Head | None) -> str | None:
    """The model to load: the one asked for, else the session's own, else None.

    Raises ModelError where the session's own is gone.
    """
    if flag is not None or saved is None or not saved.model:
        return flag
    if saved.model != BUNDLED and not is_file(Path(saved.model)):
        raise ModelError(
            f"the model of the session {saved.name!r} is gone: {saved.model}",
            hint="-m goes on with another one",
        )
    return saved.model
