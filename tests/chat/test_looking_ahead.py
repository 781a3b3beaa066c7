"""What happens between two turns: the window is cut and evaluated while the user types."""

from __future__ import annotations

import os
import random
import threading
from dataclasses import replace
from pathlib import Path
from signal import SIGINT
from time import monotonic, sleep

import pytest

from llmcli.chat.conversation import Conversation
from llmcli.chat.refill import Ahead, Refill
from llmcli.chat.reply import Dropped, Generated, Reply
from llmcli.chat.session import Session
from llmcli.chat.snapshot import Snapshots
from llmcli.chat.store import Store
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import WindowFullError
from llmcli.settings.engine import EngineOptions
from tests.chat.crowding import ASKED, SAMPLING, asked
from tests.chat.talking import Talk, last
from tests.models import make_model


class TestLookingAhead:
    """Between two turns: the cut that is due is made, and evaluated while the user types."""

    def wait(self, background: Refill) -> None:
        while background.busy:
            sleep(0.01)

    def ahead(self, conversation: Conversation) -> tuple[list[Dropped], Ahead]:
        *notices, ahead = conversation.look_ahead()
        assert isinstance(ahead, Ahead)
        return [event for event in notices if isinstance(event, Dropped)], ahead

    @pytest.mark.parametrize("refill", ["auto", "exact"])
    def test_a_turn_after_a_cut_costs_what_any_turn_does(self, crowded: Talk, refill: str) -> None:
        """With time enough in between, no turn evaluates more than its own message."""
        conversation = crowded(refill=refill)
        background = Refill(conversation.engine, conversation.abort)
        evaluated, cuts = [], 0
        for number in range(30):
            dropped, reply = asked(conversation, f"{number} {ASKED}")
            assert not dropped, "the cut was made before"
            evaluated.append(reply.usage.evaluated_tokens)
            left, ahead = self.ahead(conversation)
            cuts += len(left)
            background.start(ahead)
            while background.busy:
                threading.Event().wait(0.001)
        assert cuts >= 3
        assert max(evaluated) <= evaluated[1] + 8

    def test_the_next_message_is_expected_to_be_as_long_as_the_last(self, crowded: Talk) -> None:
        """Longer than half of the spare part, and still no cut has to wait for it."""
        conversation = crowded(sampling=replace(SAMPLING, predict=8))
        cuts = 0
        for n_words in random.Random(2).choices(range(3, 9), k=40):
            message = "word and " * n_words
            assert len(conversation.engine.tokenizer.encode(message.encode())) < 64
            asked(conversation, message)
            list(conversation.look_ahead())
            dropped, _ = asked(conversation, message)
            assert not dropped, "the cut was made before"
            cuts += len(self.ahead(conversation)[0])
        assert cuts >= 3

    def test_stopped_in_the_middle(self, crowded: Talk) -> None:
        """What was evaluated stays, and the next turn does the rest: nothing is lost, nothing done twice."""
        conversation = crowded(refill="exact")
        background = Refill(conversation.engine, conversation.abort)
        for number in range(40):
            asked(conversation, f"{number} {ASKED}")
            left, ahead = self.ahead(conversation)
            if left:
                break
        stepped = threading.Event()
        background.start(ahead, stepped.set)
        assert stepped.wait(10)
        background.stop()
        done = len(conversation.engine.cached)
        assert 64 <= done <= len(ahead.ids)
        assert list(conversation.engine.cached) == list(ahead.ids[:done])
        _, reply = asked(conversation)
        assert reply.usage.cached_tokens >= done

    def test_ctrl_c_at_one_that_is_waited_for(self, tmp_path: Path) -> None:
        """Also a step without end ends at once; what was evaluated stays, and the engine is there again."""
        model = make_model(tmp_path / "wide.gguf", context=32768)
        abort, stays = AbortFlag(), list(range(200, 300))
        options = EngineOptions(threads=1, ctx_size=0)
        with LlamaEngine.load(model, options, abort=abort) as engine, abort.installed():
            engine.ready([*range(100), *stays])
            background = Refill(engine, abort)
            ids = [*[7] * 30000, *stays, 5]
            background.start(Ahead(ids, may_shift=True))
            pressed = monotonic() + 0.5
            threading.Timer(0.5, os.kill, (os.getpid(), SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                background.stop()
            assert monotonic() - pressed < 0.5
            assert not background.busy
            assert list(engine.cached) == ids[: len(engine.cached)]
            assert len(engine.cached) < 30000
            assert not abort.is_set
            assert engine.ready(ids[:9]) <= 9

    def test_ctrl_c_twice_at_one_that_is_waited_for(self, tiny_model: Path) -> None:
        """Who does not wait for the end of a step has the next piece of work done all the same."""
        abort, ids, goes_on = AbortFlag(), list(range(300)), threading.Event()
        with LlamaEngine.load(tiny_model, EngineOptions(threads=1), abort=abort) as engine:
            background = Refill(engine, abort)

            def stay() -> None:
                goes_on.wait()

            background.start(Ahead(ids, may_shift=False), stay)
            for wait in 0.2, 0.4:
                threading.Timer(wait, os.kill, (os.getpid(), SIGINT)).start()
            with pytest.raises(KeyboardInterrupt), abort.installed():
                background.stop()
            assert background.busy
            goes_on.set()
            self.wait(background)
            with abort.installed():
                background.start(Ahead(ids, may_shift=False))
                self.wait(background)
            assert list(engine.cached) == ids

    def test_what_the_next_turn_refuses_is_left_to_it(self, crowded: Talk) -> None:
        """A conversation that may lose nothing is not touched ahead of time."""
        conversation = crowded("stop")
        for number in range(40):
            try:
                asked(conversation, f"{number} {ASKED}")
            except WindowFullError:
                break
        assert list(conversation.look_ahead()) == []


class TestSteppingBackBehindACut:
    """A cut that was made after a reply, and another message in the place of the one before that reply."""

    LONG = "a word and another one " * 4

    def cut_ahead(self, conversation: Conversation) -> Session:
        """Talk until something left after a reply, and the cache was shifted for it."""
        session = Session(conversation)
        while not conversation.window.outside(conversation.messages):
            last(session.ask(f"{len(conversation.messages)} {self.LONG}"))
            *_, ahead = conversation.look_ahead()
            assert isinstance(ahead, Ahead)
            Refill(conversation.engine, conversation.abort).start(ahead)
        return session

    def test_nothing_of_the_message_that_was_edited_stays(self, crowded: Talk) -> None:
        """What both say stands in the cache behind what only the first one said: it is read again."""
        session = self.cut_ahead(crowded())
        reply = last(session.edit(f"no, this: {self.LONG}"))
        assert reply.usage.cached_tokens < 10

    @pytest.mark.parametrize("turn", ["edit", "undo"])
    def test_nor_where_the_new_message_needs_a_cut(self, crowded: Talk, turn: str) -> None:
        """What the two have in common is not moved."""
        conversation = crowded(ctx_size=256)
        session = Session(conversation)
        last(session.ask(ASKED))
        last(session.ask(self.LONG))
        if turn == "undo":
            session.undo()
        say = session.edit if turn == "edit" else session.ask
        *events, reply = say(f"no: {(ASKED + ' ') * 9}{self.LONG}")
        assert isinstance(reply, Reply)
        assert [event.messages for event in events if isinstance(event, Dropped)] == [2]
        assert reply.usage.cached_tokens < 10

    def test_nor_of_one_that_was_broken_off(self, crowded: Talk) -> None:
        """The same message with another beginning is read anew."""
        session = Session(crowded(ctx_size=256))
        last(session.ask(ASKED))
        events = session.ask(text := f"{(ASKED + ' ') * 9}{self.LONG}")
        while not isinstance(next(events), Generated):
            pass
        events.close()
        *_, dropped, reply = (
            event for event in session.ask(f"no: {text}") if isinstance(event, Dropped | Reply)
        )
        assert isinstance(dropped, Dropped)
        assert isinstance(reply, Reply)
        assert dropped.messages == 2
        assert reply.usage.cached_tokens < 10

    @pytest.mark.parametrize("other", ["message", "system message"])
    def test_nor_in_a_session_that_is_gone_on_with(
        self, crowded: Talk, store: Store, tmp_path: Path, other: str
    ) -> None:
        """What the cache held when it was left is known, also by who reads it from the disk."""
        conversation = crowded()
        assert isinstance(conversation.engine, LlamaEngine)
        snapshots = Snapshots(tmp_path, conversation.engine, "tiny")
        session = Session(conversation, store=store, snapshots=snapshots)
        conversation.system = "a b"
        last(session.ask(ASKED))
        last(session.ask(self.LONG * 4))
        name = session.name
        assert name is not None
        session.leave()
        if other == "system message":
            conversation.system = "b b"
        session = Session(conversation, store=store, stored=store.open(name), snapshots=snapshots)
        assert len(conversation.engine.cached) > 256
        say = session.edit if other == "message" else session.ask
        *events, reply = say(f"no: {(ASKED + ' ') * 14}{self.LONG * 4}")
        assert isinstance(reply, Reply)
        assert any(isinstance(event, Dropped) for event in events)
        assert reply.usage.cached_tokens < 20

    @pytest.mark.parametrize("change", ["undo", "system message", "none"])
    def test_a_cache_with_other_words_is_not_kept(
        self, crowded: Talk, store: Store, tmp_path: Path, change: str
    ) -> None:
        """Who leaves after /undo or /system has nothing in the cache that belongs to what is saved."""
        conversation = crowded()
        assert isinstance(conversation.engine, LlamaEngine)
        session = Session(
            conversation, store=store, snapshots=Snapshots(tmp_path, conversation.engine, "tiny")
        )
        last(session.ask(ASKED))
        last(session.ask(self.LONG * 4))
        assert session.name is not None
        session.leave()
        assert len(list(tmp_path.glob("*.kv"))) == 1
        session = Session(
            conversation, store=store, stored=store.open(session.name), snapshots=session.snapshots
        )
        if change == "undo":
            session.undo()
        elif change == "system message":
            conversation.system = "b b"
        session.leave()
        assert len(list(tmp_path.glob("*.kv"))) == (change == "none")

    @pytest.mark.parametrize("turn", ["edit", "retry"])
    def test_a_turn_that_comes_to_nothing_leaves_the_cut(self, crowded: Talk, turn: str) -> None:
        """The window is as it was before: what had left it is not in it again."""
        conversation = crowded()
        session = self.cut_ahead(conversation)
        cut, used = conversation.window.cut(conversation.messages), conversation.tally().used
        events = session.edit("word " * 600) if turn == "edit" else session.retry()
        if turn == "edit":
            with pytest.raises(WindowFullError):
                last(events)
        else:
            next(events)
            events.close()
        assert conversation.window.cut(conversation.messages) == cut
        assert conversation.tally().used == used
