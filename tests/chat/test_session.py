"""A session with a real model and a real file: what is on disk at which moment of a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from llmcli.chat import growing
from llmcli.chat.conversation import Conversation
from llmcli.chat.messages import Message
from llmcli.chat.opening import Opening
from llmcli.chat.reply import Event, Generated, Reply
from llmcli.chat.session import Session
from llmcli.chat.store import Store
from llmcli.chat.template import ChatTemplate
from llmcli.chat.tree import path as path_of
from llmcli.chat.tree import tips
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import StoreError, UsageError, WindowFullError
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import decode
from tests.models import CHATML

LETTERS = SamplingOptions(grammar="root ::= [a-z ] root", predict=12, temp=1.5, seed=1)

Talk = Callable[..., Session]


@pytest.fixture
def talk(engine: LlamaEngine, store: Store) -> Talk:
    """Makes sessions on the tiny model, saved unless asked not to be."""

    def make(name: str = "", *, saved: bool = True) -> Session:
        template = ChatTemplate.from_source(CHATML, name="test", bos="", eos="")
        conversation = Conversation(engine, template, LETTERS, AbortFlag())
        if not name:
            return Session(conversation, "tiny", store if saved else None)
        return Session(conversation, "tiny", store, Opening(store, store.take(name)))

    return make


def done(events: Iterator[Event]) -> Reply:
    """The reply that events end with."""
    *_, reply = events
    assert isinstance(reply, Reply)
    return reply


def on_disk(store_path: Path, name: str) -> list[str]:
    """What another reader of the file finds on the session's present branch."""
    with Store(store_path) as other:
        tree = other.read(name).tree
        return [tree.nodes[n].message.content for n in path_of(tree)]


class TestATurn:
    """What is on disk while it goes on."""

    def test_the_question_is_there_before_the_model_sees_it(self, talk: Talk, store_path: Path) -> None:
        """At the first sign of the prompt being evaluated."""
        seen: list[list[str]] = []
        done(talk().ask("hello", on_prefill=lambda _: seen.append(on_disk(store_path, "hello"))))
        assert seen[0] == ["hello"]

    def test_the_reply_grows(self, talk: Talk, store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where every token is written down, all that was shown is on disk at any moment."""
        monkeypatch.setattr(growing, "FLUSH", 0.0)
        shown = ""
        for event in talk().ask("hello"):
            if isinstance(event, Generated):
                shown += "".join(text for text, _ in event.shown)
                assert on_disk(store_path, "hello") == ["hello", shown]
        assert on_disk(store_path, "hello") == ["hello", shown]

    def test_one_that_is_broken_off_leaves_nothing(self, talk: Talk, store_path: Path) -> None:
        """Neither on disk, nor in the tree, nor in the conversation."""
        session = talk()
        done(session.ask("one"))
        before = session.tree, list(session.conversation.messages)
        for events in (session.ask("two"), session.retry(), session.edit("three")):
            next(events)
            events.close()
            assert (session.tree, session.conversation.messages) == before
            assert on_disk(store_path, "one") == [m.content for m in before[1]]

    def test_one_that_fails_leaves_nothing(self, talk: Talk, store_path: Path) -> None:
        """A first message that does not fit: not even a session."""
        session = talk()
        with pytest.raises(WindowFullError):
            done(session.ask("word " * 1000))
        session.leave()
        with Store(store_path) as other:
            assert other.names() == []

    def test_one_that_is_broken_off_while_the_disk_is_full(
        self, talk: Talk, store: Store, store_path: Path
    ) -> None:
        """What it left on disk goes when the session is left: the reply before it is the last one again."""
        session = talk()
        done(session.ask("one"))
        events = session.retry()
        next(events)
        store._db.execute("PRAGMA query_only = ON")
        events.close()
        assert on_disk(store_path, "one") == ["one", ""]
        store._db.execute("PRAGMA query_only = OFF")
        session.leave()
        assert on_disk(store_path, "one") == [m.content for m in session.conversation.messages]

    def test_an_answer_goes_with_what_made_it(self, talk: Talk) -> None:
        """Its seed is the reply's."""
        session = talk()
        replies = [done(session.ask("one")), done(session.retry())]
        made = [node.made for node in session.tree.nodes if node.made]
        assert [m.seed for m in made] == [reply.seed for reply in replies]
        assert [m.finish_reason for m in made] == ["length", "length"]

    def test_a_full_disk(self, talk: Talk, store: Store, store_path: Path) -> None:
        """A question is refused before the model sees it; with room on the disk, the next one is not."""
        session = talk()
        done(session.ask("one"))
        [pages] = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        before = session.tree
        with pytest.raises(StoreError, match="full"):
            done(session.ask("two " * 3000))
        assert session.tree == before
        assert len(session.conversation.messages) == len(on_disk(store_path, "one")) == 2
        store._db.execute("PRAGMA max_page_count = 100000")
        done(session.ask("three"))
        assert on_disk(store_path, "one") == [m.content for m in session.conversation.messages]


class TestWalking:
    """The conversation follows the tree."""

    def test_the_same_with_and_without_a_file(self, talk: Talk) -> None:
        """Every step leads to the same messages."""
        ends = []
        for session in (talk(), talk(saved=False)):
            done(session.ask("one"))
            done(session.retry())
            session.fork("aside")
            done(session.edit("two"))
            assert session.undo() == Message("user", "two")
            done(session.ask("three"))
            ends.append([(n.message, n.parent) for n in session.tree.nodes])
            assert [m.content for m in session.conversation.messages][:1] == ["three"]
        assert ends[0] == ends[1]

    def test_back_to_the_beginning(self, talk: Talk) -> None:
        """Step by step or at once: the model sees nothing of it any more, and all stays in the tree."""
        session = talk()
        done(session.ask("the first secret"))
        done(session.ask("another one"))
        assert session.undo() == Message("user", "another one")
        assert session.undo() == Message("user", "the first secret")
        with pytest.raises(UsageError, match="nothing to undo"):
            session.undo()
        session.go(tips(session.tree)[-1])
        session.clear()
        reply = done(session.ask("hello"))
        assert b"secret" not in decode(session.conversation.engine.tokenizer, reply.ids)
        assert len(session.tree.nodes) == 6

    @pytest.mark.parametrize("leave", ["new", "clear", "load", "undo"])
    def test_nothing_of_one_conversation_moves_into_another(self, talk: Talk, leave: str) -> None:
        """Also where something had left the window: but for how all of them begin, the cache is of no use."""
        text = "the quick brown fox jumps over the lazy dog " * 5
        session = talk()
        done(session.ask("hello"))
        session.new()
        numbers = count()
        while not done(session.ask(f"{next(numbers)} {text}")).outside.messages:
            pass
        window, messages = session.conversation.window, session.conversation.messages
        first = window.view(messages, window.cut(messages))[0].content
        session.load("hello") if leave == "load" else getattr(session, leave)()
        while leave == "undo" and session.conversation.messages:
            session.undo()
        assert done(session.ask(first)).usage.cached_tokens < 10

    def test_a_system_message_stays_the_first(self, talk: Talk) -> None:
        """Whatever is walked; and it comes back with the session."""
        session = talk()
        session.conversation.system = "Be brief."
        done(session.ask("one"))
        session.undo()
        assert session.conversation.messages == [Message("system", "Be brief.")]
        session.conversation.system = "Be long."
        session.new()
        assert session.conversation.system == "Be long."
        session.load("one")
        assert session.conversation.system == "Be long."

    def test_two_sessions_that_begin_alike(self, talk: Talk, store: Store) -> None:
        """Each has a name of its own."""
        session = talk()
        done(session.ask("hello"))
        session.new()
        done(session.ask("hello"))
        assert store.names() == ["hello 2", "hello"]

    def test_loading_what_is_not_there_changes_nothing(self, talk: Talk) -> None:
        """Nor does loading what is open already."""
        session = talk()
        done(session.ask("hello"))
        for name, kind in (("nope", StoreError), ("hello", UsageError)):
            with pytest.raises(kind):
                session.load(name)
        done(session.ask("again"))
        assert len(session.conversation.messages) == 4
