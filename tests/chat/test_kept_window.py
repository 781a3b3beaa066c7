"""The window of a session on disk: who comes back to it has the same pins and the same cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmcli.chat.conversation import Conversation
from llmcli.chat.kept_window import LAST, restore
from llmcli.chat.reply import Reply
from llmcli.chat.session import Session
from llmcli.chat.store import Store
from llmcli.chat.template import ChatTemplate
from llmcli.chat.tree import tips
from llmcli.chat.window import Cut
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions
from tests.models import CHATML

LETTERS = SamplingOptions(grammar="root ::= [a-z ]+", logit_bias=((482, -float("inf")),), predict=12, seed=1)
FOX = "the quick brown fox jumps over the lazy dog"

Open = Callable[..., Session]


@pytest.fixture
def opened(tiny_model: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens the session `notes`, as a process of its own would, once the one before has left it."""
    store: Store | None = None
    engine: LlamaEngine | None = None

    def open_(overflow: str = "drop", size: int = 512, model: str = "tiny") -> Session:
        nonlocal store, engine
        close()
        engine = LlamaEngine.load(tiny_model, EngineOptions(threads=1, ctx_size=size))
        template = ChatTemplate.from_source(CHATML, name="test", bos="", eos="")
        options = WindowOptions(overflow=overflow)
        talk = Conversation(engine, template, LETTERS, AbortFlag(), window_options=options)
        store = Store(tmp_path / "sessions.db")
        saved = store.open("notes") if store.has("notes") else store.create("notes")
        return Session(talk, model, store, saved)

    def close() -> None:
        if store is not None and engine is not None:
            store.close()
            engine.close()

    yield open_
    close()


def asked(session: Session, text: str = FOX) -> Reply:
    """The reply to a message."""
    *_, reply = session.ask(text)
    assert isinstance(reply, Reply)
    return reply


def until_cut(session: Session, cuts: int = 1) -> Reply:
    """Talk until something has left the window so many times; the reply after the last one."""
    for number in range(100):
        reply = asked(session, f"{number} {FOX}")
        cuts -= reply.outside.tokens_now > 0
        if not cuts:
            return reply
    raise AssertionError("the window never fills")


def inside(session: Session) -> list[str]:
    """What the model is to see."""
    conversation = session.conversation
    messages = conversation.messages
    return [m.content for m in conversation.window.view(messages, conversation.window.cut(messages))]


@pytest.mark.parametrize("overflow", ["drop", "middle", "shift"])
def test_the_same_messages_are_inside(opened: Open, overflow: str) -> None:
    """Under any policy, to the token: the next prompt begins with what the model read and wrote last."""
    session = opened(overflow)
    last = until_cut(session, 2)
    before = inside(session)
    session.leave()
    session = opened(overflow)
    assert inside(session) == before
    session.conversation.resume(last.ids, session.conversation.messages)
    reply = asked(session, "and then?")
    assert reply.outside.tokens_now == 0
    assert reply.outside.tokens == last.outside.tokens
    assert reply.ids[: len(last.ids)] == last.ids


def test_a_summary_comes_back(opened: Open) -> None:
    """In the place of what it stands for."""
    session = opened()
    for text in ("one", "two", "three"):
        asked(session, text)
    said = tuple(session.conversation.messages)
    session.conversation.window.keep(Cut(said[:4], frozenset({0, 1}), 30, summary="They said one."), said)
    session.keep_window()
    before = inside(session)
    assert "They said one." in before[0]
    session.leave()
    assert inside(opened()) == before


def test_pins_come_back(opened: Open) -> None:
    """Set after the last turn, on any branch; and taken away again."""
    session = opened()
    asked(session, "remember: blue")
    session.conversation.pin(0)
    asked(session, "and green")
    session.conversation.pin(2)
    session.undo()
    asked(session, "or red")
    session.leave()
    session = opened()
    assert [session.conversation.is_pinned(n) for n in range(4)] == [True, False, False, False]
    session.go(tips(session.tree)[0])
    assert [session.conversation.is_pinned(n) for n in range(4)] == [True, False, True, False]
    session.conversation.pin(0)
    session.keep_window()
    session.leave()
    assert not opened().conversation.is_pinned(0)


def test_another_window_begins_anew(opened: Open) -> None:
    """With another size or model what had left may have room; what is pinned stays pinned."""
    session = opened()
    asked(session, "remember: blue")
    session.conversation.pin(0)
    until_cut(session)
    session.leave()
    for other in ({"size": 768}, {"model": "other.gguf"}):
        session = opened(**other)
        assert len(inside(session)) == len(session.conversation.messages)
        assert session.conversation.is_pinned(0)
    assert len(inside(opened())) < len(session.conversation.messages)


def test_stepping_back_before_a_cut(opened: Open) -> None:
    """Has everything in the window again, also in a session that was opened."""
    session = opened()
    until_cut(session)
    session.leave()
    session = opened()
    session.undo()
    session.undo()
    assert len(inside(session)) == len(session.conversation.messages)
    session.leave()
    session = opened()
    assert len(inside(session)) == len(session.conversation.messages)


def test_no_more_is_kept_than_is_of_use(opened: Open) -> None:
    """Of many cuts the last few."""
    session = opened()
    until_cut(session, LAST + 2)
    session.leave()
    session = opened()
    assert len(session.conversation.window.cuts(session.conversation.messages)) == LAST


def test_another_session_has_a_window_of_its_own(opened: Open) -> None:
    """Pins and cuts stay with theirs."""
    session = opened()
    asked(session, "remember: blue")
    session.conversation.pin(0)
    session.keep_window()
    session.new()
    asked(session, "remember: blue")
    assert not session.conversation.is_pinned(0)
    session.load("notes")
    assert session.conversation.is_pinned(0)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "null", '{"pinned":[],"cuts":[{"over":1}],"model":"tiny","size":512}', '{"pinned":[0]}'],
)
def test_a_damaged_text(opened: Open, text: str) -> None:
    """It is as good as none: what was said counts."""
    session = opened()
    asked(session)
    window = session.conversation.window
    window.pinned = {(0, session.conversation.messages[0])}
    restore(window, text, session.tree, "tiny")
    assert not window.pinned
    assert window.cut(session.conversation.messages) == Cut()
