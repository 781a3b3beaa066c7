"""A conversation that remembers: its tree, and the file that keeps it.

The user's message is on disk before the model sees it, and the reply is written down while it grows, so that
a crash costs at most FLUSH seconds of it. A turn that fails leaves the tree, the file and the conversation as
they were. What can't be written down (a full disk) stays here, and is written with the next message, or when
the session is left.
"""

from __future__ import annotations

import time
from collections.abc import Generator as Events
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from functools import partial
from types import TracebackType

from llmcli.chat import kept_window
from llmcli.chat import tree as trees
from llmcli.chat.conversation import Conversation
from llmcli.chat.growing import Growing
from llmcli.chat.messages import ASSISTANT, SYSTEM, USER, Message
from llmcli.chat.names import checked_name, name_from
from llmcli.chat.opening import Opening
from llmcli.chat.origin import origin_of
from llmcli.chat.reply import Event, Generated, Notice, Reply
from llmcli.chat.saved import N_LAST, Glance, Head, Saved
from llmcli.chat.snapshot import Snapshots
from llmcli.chat.store import Store
from llmcli.chat.template import ChatTemplate
from llmcli.chat.tree import ROOT, Made, Tip, Tree
from llmcli.engine.protocol import Generator, Progress
from llmcli.errors import StoreError, UsageError
from llmcli.tokens.tokenizer import to_bytes


@dataclass
class Session:
    """A conversation with its tree. Without a `store` both are in memory alone.

    `model` is what -m takes to have the same model again. `stored` is the session of the store to go on with;
    without one nothing is saved, and `saved` is None, until the first message. A context manager.
    """

    conversation: Conversation
    model: str = ""
    store: Store | None = None
    stored: InitVar[Saved | Opening | None] = None
    snapshots: Snapshots | None = None
    saved: Head | None = field(default=None, init=False)
    opening: Opening | None = field(default=None, init=False)
    """Reads the messages, as long as they are not there."""
    _tree: Tree = field(default_factory=Tree, init=False)
    _n_clean: int = field(default=0, init=False)
    _is_behind: bool = field(default=False, init=False)
    _has_spoken: bool = field(default=False, init=False)
    _resumed: Sequence[int] = field(default=(), init=False)

    def __post_init__(self, stored: Saved | Opening | None) -> None:
        if isinstance(stored, Opening):
            self.saved, self.opening = stored.head, stored
            self._take_up_cache(stored.head)
        elif stored is not None:
            self._take_up_cache(stored)
            self._begin(stored)

    def begin(self) -> None:
        """Have the messages of a session that is being opened, if they are not there yet.

        `tree` does so, too; `conversation` has none before. Raises StoreError where the session is damaged.
        """
        if self.opening is not None:
            self._begin(self.opening.whole())

    @property
    def tree(self) -> Tree:
        """All that was said; waits for it where it is not read yet. Raises StoreError as `begin`."""
        self.begin()
        return self._tree

    @property
    def name(self) -> str | None:
        """What the session is called; None where it is not saved (yet)."""
        return self.saved.name if self.saved else None

    def unanswered(self) -> str:
        """Step back from a last message that got no reply because the process ended; its text, or nothing."""
        last = self.glance().last
        if not last or last[-1].message.role != USER:
            return ""
        self._go_on_with(trees.undo(self.tree))
        return last[-1].message.content

    def glance(self) -> Glance:
        """What there is to see of it, also before its messages are there. Raises StoreError as `begin`."""
        if self.opening is not None and not self.opening.is_read:
            return self.opening.glance()
        nodes, numbers = self.tree.nodes, trees.path(self.tree)
        return Glance(len(nodes), len(numbers), tuple(nodes[number] for number in numbers[-N_LAST:]))

    def ask(self, text: str, *, on_prefill: Progress | None = None) -> Events[Event, None, None]:
        """See Conversation.ask. Raises StoreError, before anything else happens, where it can't be saved."""
        yield from self._answer(_said(self.tree, text), on_prefill)

    def edit(self, text: str, *, on_prefill: Progress | None = None) -> Events[Event, None, None]:
        """Say something else in the place of the last user message: a branch of its own. Errors as `ask`."""
        yield from self._answer(_said(trees.undo(self.tree), text), on_prefill)

    def retry(
        self, *, taken: Sequence[int] = (), on_prefill: Progress | None = None
    ) -> Events[Event, None, None]:
        """Write another reply to the last user message: a branch of its own, which begins with `taken`.

        Errors as `ask`.
        """
        yield from self._answer(trees.at_last_question(self.tree), on_prefill, taken=taken)

    def go_on(self, *, on_prefill: Progress | None = None) -> Events[Event, None, None]:
        """Go on with the last reply: the longer one is a branch of its own. Errors as `ask`."""
        last = None if self.tree.leaf == ROOT else self.tree.nodes[self.tree.leaf].message
        if last is None or last.role != ASSISTANT:
            raise UsageError("there is no reply to go on with")
        yield from self._answer(trees.at_last_question(self.tree), on_prefill, reply=last)

    def undo(self) -> Message:
        """Step back to before the last user message, and give it. Raises UsageError where there is none."""
        before, asked = trees.undo(self.tree), trees.at_last_question(self.tree)
        self._move(before)
        return asked.nodes[asked.leaf].message

    def clear(self) -> None:
        """Step back to before the first message."""
        self._move(trees.clear(self.tree))
        self.conversation.begin_anew()

    def fork(self, name: str) -> None:
        """Go on as a branch called `name`; the present one stays where it is."""
        self._move(trees.fork(self.tree, checked_name(name, "branch")))

    def go(self, tip: Tip) -> None:
        """Make another branch the present one."""
        self._move(trees.go(self.tree, tip))

    def keep_window(self) -> None:
        """Have pins and cuts on disk that were made since the last turn."""
        self._keep(self.tree)

    def save_as(self, name: str) -> None:
        """Give the session a name. Raises UsageError where it is taken, or nothing is saved here."""
        name = checked_name(name)
        store = self._needed_store()
        if self.saved is None:
            self._keep(self.tree, store.create(name))
        elif name != self.saved.name:
            self.saved = store.rename(self.saved, name)

    def load(self, name: str) -> None:
        """Go on with the saved session called `name`. Raises StoreError where it can't be opened."""
        store = self._needed_store()
        if name == self.name:
            raise UsageError(f"{name!r} is this session")
        opened = store.open(name)
        self.leave()
        self.conversation.system = opened.system
        self._take_up_cache(opened)
        self._begin(opened)

    def new(self) -> None:
        """Leave this session and begin another one, with the same system message."""
        self.leave()
        self.saved, self.opening, self._n_clean = None, None, 0
        self._is_behind, self._has_spoken, self._resumed = False, False, ()
        self._go_on_with(Tree())
        kept_window.restore(self.conversation.window, "", self.tree, self.model)
        self.conversation.begin_anew()

    def change_model(
        self, engine: Generator, template: ChatTemplate, model: str, snapshots: Snapshots | None
    ) -> None:
        """Go on with another model, which `model` names; what was said stays."""
        self.conversation.change_model(engine, template)
        self.model, self.snapshots = model, snapshots
        self._has_spoken, self._resumed = False, ()

    def leave(self) -> None:
        """Keep the cache for whoever comes back, and let other processes open the session.

        Messages that are not there yet are waited for only where something has to be written down.
        """
        if self.store is not None and self.saved is not None:
            with suppress(StoreError):  # what could not be saved was said so
                now = self._described(self.saved, self._tree)  # `tree` would wait for the messages
                cut_since = self._has_spoken and now.window != self.saved.window
                if self._is_behind or cut_since or now.system != self.saved.system:
                    self._keep(self.tree)
            if self.snapshots is not None and (self._has_spoken or self._resumed):
                if not self.conversation.fills_cache:  # whoever comes back would take it for what was said
                    self.snapshots.forget(self.saved.key)
                elif self._has_spoken:
                    self.snapshots.keep(self.saved.key)
            with suppress(StoreError):
                self.store.close_session(self.saved)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def as_saved(self) -> Saved:
        """The session as it would be on disk, also where it is not saved."""
        now = time.time()
        head = self.saved or Head(0, "", "conversation", "", "", now, now)
        return self._described(head, self.tree).with_tree(self.tree)

    def _begin(self, saved: Saved) -> None:
        self.saved, self._n_clean = saved, len(saved.tree.nodes)
        self._is_behind = self._has_spoken = False
        self._go_on_with(saved.tree)
        kept_window.restore(self.conversation.window, saved.window, saved.tree, self.model)
        if self._resumed:
            self.conversation.resume(self._resumed, _messages(saved.system, saved.tree))
        else:
            self.conversation.begin_anew()
        self.opening = None

    def _take_up_cache(self, head: Head) -> None:
        self._resumed = self.snapshots.resume(head.key) if self.snapshots is not None else ()

    def _answer(
        self,
        asked: Tree,
        on_prefill: Progress | None,
        *,
        taken: Sequence[int] = (),
        reply: Message | None = None,
    ) -> Events[Event, None, None]:
        """Carry out a turn that answers the last message of `asked`, and put the reply into the tree.

        The new reply begins with the ids `taken`; a `reply` is what was said already, to be gone on with.
        """
        conversation, before, messages = self.conversation, self.tree, self.conversation.messages
        turn = conversation.go_on if reply else partial(conversation.retry, taken=taken)
        is_answered = False
        try:
            self._keep(asked)
            begun = [*_messages(conversation.system, asked), *([reply] if reply else [])]
            conversation.messages = begun
            growing = Growing(asked.leaf, origin_of(conversation, self.model), reply)
            for event in turn(on_prefill=on_prefill):
                if isinstance(event, Generated) and growing.add(event):
                    self._grow(growing)
                elif isinstance(event, Reply) and conversation.messages is not begun:
                    is_answered = self._has_spoken = True
                    made = Made(event.seed, event.finish_reason, growing.origin)
                    yield from self._finish(event.message, made, growing.created)
                yield event
        finally:
            if not is_answered:
                conversation.messages = messages
                self._roll_back(before)

    def _roll_back(self, before: Tree) -> None:
        """Make `before` the session's tree again, as far as can be also on disk."""
        self._n_clean = min(self._n_clean, len(before.nodes))
        self._tree = before
        with suppress(StoreError):  # it is put right with the next message, or when the session is left
            self._keep(before)

    def _finish(self, message: Message, made: Made, created: float) -> Iterator[Notice]:
        """Put a reply into the tree; a notice where it can't be saved."""
        tree = trees.append(self.tree, message, made=made, created=created)
        try:
            self._keep(tree)
        except StoreError as error:
            yield Notice(f"the reply is not saved yet: {error.message}")
        finally:
            self._tree = tree

    def _grow(self, growing: Growing) -> None:
        if self.store is not None and self.saved is not None:
            with suppress(StoreError):  # it will be said when the reply is done
                self.store.grow(self.saved, len(self.tree.nodes), growing.node())

    def _move(self, tree: Tree) -> None:
        self._keep(tree)
        self._go_on_with(tree)
        self.conversation.stepped_back()

    def _keep(self, tree: Tree, saved: Head | None = None) -> None:
        """Bring `tree` to disk, then make it the session's; errors leave everything as it was."""
        saved = saved or self.saved
        if self.store is not None and (saved is not None or tree.nodes):
            if saved is None:
                first = next(node.message.content for node in tree.nodes)
                saved = self.store.create(name_from(first, self.store.names(), datetime.now().astimezone()))
            self.saved = saved
            self._is_behind = True
            n_clean = min(self._n_clean, len(tree.nodes))
            self.saved = self.store.save(self._described(saved, tree), tree, n_clean)
            self._n_clean, self._is_behind = len(tree.nodes), False
        self._tree = tree

    def _described(self, head: Head, tree: Tree) -> Head:
        conversation = self.conversation
        window = kept_window.as_text(conversation.window, tree, self.model)
        return replace(head, model=self.model, system=conversation.system, window=window)

    def _go_on_with(self, tree: Tree) -> None:
        self._tree = tree
        self.conversation.messages = _messages(self.conversation.system, tree)

    def _needed_store(self) -> Store:
        if self.store is None:
            raise UsageError("this conversation is not saved", hint="/export FILE writes it to a file")
        return self.store


def _messages(system: str, tree: Tree) -> list[Message]:
    """What was said on a tree's present branch, behind the system message if there is one."""
    return [*([Message(SYSTEM, system)] if system else []), *trees.messages(tree)]


def _said(tree: Tree, text: str) -> Tree:
    to_bytes(text, "a message")
    return trees.append(tree, Message(USER, text), created=time.time())
