"""A summary in the place of old turns, written by a real model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from llmcli.chat.messages import Message
from llmcli.chat.reply import Dropped, Notice
from llmcli.chat.session import Session
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InterruptedByUser, UsageError
from llmcli.settings.model import BUNDLED_FILE
from llmcli.settings.sampling import SamplingOptions
from tests.chat.crowding import ASKED, NEW_MESSAGE, REQUEST_SIZE, SAMPLING, asked, seen, until_cut
from tests.chat.talking import Talk, last
from tests.models import make_model, make_recurrent_model


class TestSummaries:
    """--overflow summarize, with the small model that ships with llmcli."""

    def test_a_summary_takes_the_place_of_old_turns(self, crowded: Talk) -> None:
        """It is shown, the model sees it, and undoing it brings the turns back."""
        sampling = SamplingOptions(temp=0, predict=30, seed=1)
        conversation = crowded("summarize", sampling=sampling, model=BUNDLED_FILE)
        dropped, reply = until_cut(conversation)
        assert dropped.text.startswith("summarized turns 1-")
        summary = dropped.text.partition(": ")[2]
        assert f"Summary of the conversation so far:\n{summary}" in seen(conversation)
        assert f"user\n0 {ASKED}<" not in seen(conversation)
        assert reply.context_used <= reply.context_size
        assert conversation.window.take_back(conversation.messages)
        assert not conversation.window.outside(conversation.messages)

    @pytest.mark.parametrize("predict", [30, -1])
    def test_what_stays_is_not_evaluated_again(self, crowded: Talk, predict: int) -> None:
        """A cut costs the request and twice the summary beside what any turn does; also in a full window."""
        sampling = SamplingOptions(temp=0, predict=predict, seed=1)
        conversation = crowded("summarize", "shift", sampling=sampling, model=BUNDLED_FILE, ctx_size=768)
        engine, cuts = conversation.engine, 0
        assert isinstance(engine, LlamaEngine)
        for number in range(16):
            before, cached = engine.n_evaluated, len(engine.cached)
            dropped, reply = asked(conversation, f"{number}: what is a token?")
            if dropped:
                cuts += 1
                told, summary = dropped[0].text.split(": ", 1)
                size = int(told.rpartition(" in ")[2])
                lacking = max(0, cached + REQUEST_SIZE + 96 - 768)
                beside = reply.usage.completion_tokens + NEW_MESSAGE
                assert summary in seen(conversation)
                assert engine.n_evaluated - before <= REQUEST_SIZE + 2 * size + lacking + beside
                assert reply.usage.cached_tokens > 300 - lacking
        assert cuts >= 1

    def test_ctrl_c_while_it_is_written(self, crowded: Talk) -> None:
        """Nothing has left, the conversation in the cache is there again, and the next turn does it anew."""
        conversation = crowded("summarize", "auto", SamplingOptions(temp=0), BUNDLED_FILE, ctx_size=768)
        engine = conversation.engine
        text = "what is a token?"
        for _ in range(20):
            cached, messages = list(engine.cached), conversation.messages
            events = conversation.ask(text, on_prefill=lambda done: None)
            if "summarizing" in str(next(events)):
                break
            list(events)
        events.close()
        interrupted = conversation.ask(text, on_prefill=partial(setattr, conversation.abort, "is_set"))
        with pytest.raises(InterruptedByUser):
            list(interrupted)
        assert list(engine.cached) == cached
        assert conversation.messages == messages
        assert not conversation.window.outside(messages)
        dropped, _ = asked(conversation, text)
        assert dropped[0].text.startswith("summarized")

    @pytest.mark.parametrize("kind", ["sliding window", "recurrent"])
    def test_where_nothing_can_be_put_aside(self, crowded: Talk, kind: str, tmp_path: Path) -> None:
        """The cut is made all the same, and what stays is evaluated anew."""
        path = tmp_path / "model.gguf"
        make_recurrent_model(path) if kind == "recurrent" else make_model(path, window=64)
        conversation = crowded("summarize", model=path, sampling=replace(SAMPLING, logit_bias=()))
        _, reply = until_cut(conversation)
        assert reply.usage.evaluated_tokens > 200
        outside = conversation.window.outside(conversation.messages)
        assert outside
        assert conversation.window.take_back(conversation.messages)
        dropped, _ = asked(conversation)
        assert dropped

    def test_an_empty_summary_is_a_drop(self, crowded: Talk) -> None:
        """A model that says nothing when asked to summarize loses no turn in silence."""
        conversation = crowded("summarize")
        for _ in range(5):
            asked(conversation)
        ends_at_once = SamplingOptions(logit_bias=((482, 1e6),), predict=100)
        conversation.sampling = ends_at_once
        for number in range(20):
            events = list(conversation.ask(f"{number} {ASKED}"))
            if any(isinstance(event, Dropped) for event in events):
                break
        texts = [event.text for event in events if isinstance(event, Notice)]
        assert texts[1] == "the summary is empty or no shorter: the oldest turns are left out instead"
        assert texts[2].startswith("dropped turn")

    def test_compact(self, crowded: Talk) -> None:
        """At any time: all turns but the last; where there is nothing to sum up, it says so."""
        conversation = crowded(sampling=SamplingOptions(temp=0, predict=30), model=BUNDLED_FILE)
        asked(conversation, "what is a token?")
        with pytest.raises(UsageError, match="nothing to summarize"):
            list(conversation.compact())
        for text in ("what is top-k?", "what is top-p?", "and min-p?", "thank you"):
            asked(conversation, text)
        notices = list(conversation.compact())
        assert isinstance(notices[-1], Dropped)
        assert conversation.window.outside(conversation.messages) == frozenset(range(8))

    @pytest.mark.parametrize("turn", ["edit", "undo"])
    def test_compact_and_another_message_in_the_place_of_the_last(self, crowded: Talk, turn: str) -> None:
        """It was made over the turns before that one: they are not in the window again."""
        conversation = crowded(sampling=SamplingOptions(temp=0, predict=30), model=BUNDLED_FILE)
        session = Session(conversation)
        for text in ("what is a token?", "what is top-k?", "what is top-p?", "and min-p?", "thank you"):
            last(session.ask(text))
        list(conversation.compact())
        if turn == "undo":
            session.undo()
        last((session.edit if turn == "edit" else session.ask)("thanks"))
        assert conversation.window.outside(conversation.messages) == frozenset(range(8))

    def test_compact_after_a_cut_that_was_made_ahead(self, crowded: Talk) -> None:
        """What has left stays outside: the turns in the window are summed up, and fit with the request."""
        sampling = SamplingOptions(temp=0, predict=16)
        conversation = crowded(sampling=sampling, model=BUNDLED_FILE, ctx_size=256)
        for number in range(20):
            asked(conversation, f"{number} what does top-k do when the temperature is low?")
            if dropped := [event for event in conversation.look_ahead() if isinstance(event, Dropped)]:
                break
        n_turns = len(conversation.messages) // 2
        first, *_ = conversation.compact()
        assert str(first) == str(Notice(f"summarizing turns {dropped[0].messages // 2 + 1}-{n_turns - 1}"))
        assert conversation.window.outside(conversation.messages) == frozenset(range(2 * n_turns - 2))

    def test_compact_without_room_for_the_summary(self, crowded: Talk) -> None:
        """Turns that do not fit into the window, as after a change of models, are not summed up."""
        conversation = crowded()
        said = [Message("user", "the quick brown fox " * 40), Message("assistant", "yes")]
        conversation.messages = [*said * 5, *said]
        with pytest.raises(UsageError, match="nothing was changed"):
            list(conversation.compact())
        assert not conversation.window.outside(conversation.messages)
