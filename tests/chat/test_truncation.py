"""A conversation in a full window, with a real model: what is evaluated, what is told, how it goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from llmcli.chat.builtin_templates import load_template
from llmcli.chat.conversation import Conversation
from llmcli.chat.messages import Message
from llmcli.chat.refill import Ahead, Refill
from llmcli.chat.reply import Dropped, Event, Notice, Reply
from llmcli.chat.template import ChatTemplate
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InterruptedByUser, UsageError, WindowFullError
from llmcli.settings.engine import EngineOptions
from llmcli.settings.model import BUNDLED_FILE
from llmcli.settings.sampling import SamplingOptions
from llmcli.settings.window import WindowOptions
from llmcli.tokens.tokenizer import decode
from tests.models import CHATML, make_model, make_recurrent_model

NO_END = ((480, -float("inf")), (482, -float("inf")))
SAMPLING = SamplingOptions(logit_bias=NO_END, predict=12, seed=1, grammar="root ::= [a-z ]+")
"""A reply of 12 tokens in plain letters: the model can't end it."""

ASKED = "the quick brown fox jumps over the lazy dog"

REQUEST_SIZE, NEW_MESSAGE = 60, 40
"""At most so many tokens are a request for a summary and a short message, with what the template writes."""

Talk = Callable[..., Conversation]


@pytest.fixture
def talk(tiny_model: Path) -> Iterator[Talk]:
    """Makes conversations, each on an engine of its own."""
    engines = []

    def make(
        policy: str = "drop",
        refill: str = "auto",
        sampling: SamplingOptions = SAMPLING,
        model: Path = tiny_model,
        template: str = CHATML,
        ctx_size: int | None = None,
        **more: int,
    ) -> Conversation:
        engine = LlamaEngine.load(model, EngineOptions(threads=1, ctx_size=ctx_size))
        engines.append(engine)
        compiled = ChatTemplate.from_source(template, name="test", bos="", eos="")
        options = WindowOptions(overflow=policy, refill=refill, **more)
        return Conversation(engine, compiled, sampling, AbortFlag(), window_options=options)

    yield make
    for engine in engines:
        engine.close()


def asked(conversation: Conversation, text: str = ASKED) -> tuple[list[Dropped], Reply]:
    """What left at a turn, and the reply."""
    events: list[Event] = list(conversation.ask(text))
    reply = events[-1]
    assert isinstance(reply, Reply)
    return [event for event in events if isinstance(event, Dropped)], reply


def until_cut(conversation: Conversation) -> tuple[Dropped, Reply]:
    """Talk until something leaves the window."""
    for number in range(40):
        dropped, reply = asked(conversation, f"{number} {ASKED}")
        if dropped:
            return dropped[0], reply
    raise AssertionError("the window never fills")


def seen(conversation: Conversation) -> str:
    """What the model sees: the text in its cache."""
    return decode(conversation.engine.tokenizer, list(conversation.engine.cached)).decode("utf-8", "replace")


class TestCuts:
    """What a cut leaves."""

    @pytest.mark.parametrize("policy", ["drop", "middle", "shift"])
    def test_the_model_sees_what_the_window_says(self, talk: Talk, policy: str) -> None:
        """After a cut the cache holds the messages inside and no others; all stay in the conversation."""
        conversation = talk(policy)
        dropped, reply = until_cut(conversation)
        outside = conversation.window.outside(conversation.messages)
        text = seen(conversation)
        for i, message in enumerate(conversation.messages[:-2:2]):
            if 2 * i in outside:
                assert f"user\n{message.content}" not in text
        assert reply.outside.messages_now == dropped.messages == len(outside)
        assert len(conversation.messages) == 2 * sum(m.role == "user" for m in conversation.messages)

    @pytest.mark.parametrize("spelling", ["as read", "letter by letter"])
    def test_a_shift_evaluates_the_new_message_alone(self, talk: Talk, spelling: str) -> None:
        """Also where the replies in the cache would read back as other tokens."""
        conversation = talk()
        tokenizer = conversation.engine.tokenizer
        if spelling == "letter by letter":
            longer = [(i, -float("inf")) for i in range(485) if len(tokenizer.piece(i)) > 1]
            conversation.sampling = replace(SAMPLING, logit_bias=(*NO_END, *longer))
        _, reply = until_cut(conversation)
        new = len(tokenizer.encode(f"99 {ASKED}<|im_end|>\n<|im_start|>user\n<|im_end|>\n".encode())) + 10
        assert reply.usage.evaluated_tokens <= new + 8

    def test_pinned_turns_stay_and_shift_with_the_rest(self, talk: Talk) -> None:
        """A short pinned turn between two cuts does not keep what follows from moving up."""
        conversation = talk()
        asked(conversation)
        asked(conversation, "remember: blue")
        assert conversation.pin(2)
        for _ in range(2):
            _, reply = until_cut(conversation)
            assert reply.usage.evaluated_tokens < 70
        assert "remember: blue" in seen(conversation)
        assert 0 in conversation.window.outside(conversation.messages)

    def test_a_turn_that_comes_to_nothing_leaves_the_window_as_it_was(self, talk: Talk) -> None:
        """A message that can't fit is refused with its size, and nothing has left."""
        conversation = talk()
        asked(conversation)
        before = seen(conversation)
        with pytest.raises(WindowFullError, match=r"the message has .* there is room for"):
            asked(conversation, "word " * 600)
        assert seen(conversation) == before
        assert not conversation.window.outside(conversation.messages)

    def test_undo_brings_back_what_left(self, talk: Talk) -> None:
        """Stepping back before a cut has everything in the window again."""
        conversation = talk()
        until_cut(conversation)
        conversation.messages = conversation.messages[:-4]
        assert not conversation.window.outside(conversation.messages)

    def test_a_template_that_rewrites_the_past_is_evaluated_from_there(self, talk: Talk) -> None:
        """Between cuts, no more than what it changed."""
        template = CHATML.replace(
            "message['content']",
            "(message['content'][:4] if message['role'] == 'assistant' and not loop.last else "
            "message['content'])",
        )
        conversation = talk(template=template)
        for _ in range(5):
            dropped, reply = asked(conversation)
            assert not dropped
        assert reply.usage.evaluated_tokens < 60

    def test_little_room_for_the_reply_is_said(self, talk: Talk) -> None:
        """A message that fits, but leaves less than the reserve, is answered."""
        conversation = talk(sampling=replace(SAMPLING, predict=-1))
        events = list(conversation.ask("a b " * 230))
        assert any(isinstance(e, Notice) and "tokens of the window for the reply" in e.text for e in events)
        assert isinstance(events[-1], Reply)


class TestSummaries:
    """--overflow summarize, with the small model that ships with llmcli."""

    def test_a_summary_takes_the_place_of_old_turns(self, talk: Talk) -> None:
        """It is shown, the model sees it, and undoing it brings the turns back."""
        sampling = SamplingOptions(temp=0, predict=30, seed=1)
        conversation = talk("summarize", sampling=sampling, model=BUNDLED_FILE)
        dropped, reply = until_cut(conversation)
        assert dropped.text.startswith("summarized turns 1-")
        summary = dropped.text.partition(": ")[2]
        assert f"Summary of the conversation so far:\n{summary}" in seen(conversation)
        assert f"user\n0 {ASKED}<" not in seen(conversation)
        assert reply.context_used <= reply.context_size
        assert conversation.window.take_back(conversation.messages)
        assert not conversation.window.outside(conversation.messages)

    @pytest.mark.parametrize("predict", [30, -1])
    def test_what_stays_is_not_evaluated_again(self, talk: Talk, predict: int) -> None:
        """A cut costs the request and twice the summary beside what any turn does; also in a full window."""
        sampling = SamplingOptions(temp=0, predict=predict, seed=1)
        conversation = talk("summarize", "shift", sampling=sampling, model=BUNDLED_FILE, ctx_size=768)
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

    def test_ctrl_c_while_it_is_written(self, talk: Talk) -> None:
        """Nothing has left, the conversation in the cache is there again, and the next turn does it anew."""
        conversation = talk("summarize", sampling=SamplingOptions(temp=0), model=BUNDLED_FILE, ctx_size=768)
        engine = conversation.engine
        for number in range(20):
            cached, messages = list(engine.cached), conversation.messages
            events = conversation.ask(f"{number}: what is a token?", on_prefill=lambda done: None)
            if "summarizing" in str(next(events)):
                break
            list(events)
        events.close()
        interrupted = conversation.ask("and now?", on_prefill=partial(setattr, conversation.abort, "is_set"))
        with pytest.raises(InterruptedByUser):
            list(interrupted)
        assert list(engine.cached) == cached
        assert conversation.messages == messages
        assert not conversation.window.outside(messages)
        dropped, _ = asked(conversation, "and now?")
        assert dropped[0].text.startswith("summarized")

    @pytest.mark.parametrize("kind", ["sliding window", "recurrent"])
    def test_where_nothing_can_be_put_aside(self, talk: Talk, kind: str, tmp_path: Path) -> None:
        """The cut is made all the same, and what stays is evaluated anew."""
        path = tmp_path / "model.gguf"
        make_recurrent_model(path) if kind == "recurrent" else make_model(path, window=64)
        conversation = talk("summarize", model=path, sampling=replace(SAMPLING, logit_bias=()))
        _, reply = until_cut(conversation)
        assert reply.usage.evaluated_tokens > 200
        outside = conversation.window.outside(conversation.messages)
        assert outside
        assert conversation.window.take_back(conversation.messages)
        dropped, _ = asked(conversation)
        assert dropped

    def test_an_empty_summary_is_a_drop(self, talk: Talk) -> None:
        """A model that says nothing when asked to summarize loses no turn in silence."""
        conversation = talk("summarize")
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

    def test_compact(self, talk: Talk) -> None:
        """At any time: all turns but the last; where there is nothing to sum up, it says so."""
        conversation = talk(sampling=SamplingOptions(temp=0, predict=30), model=BUNDLED_FILE)
        asked(conversation, "what is a token?")
        with pytest.raises(UsageError, match="nothing to summarize"):
            list(conversation.compact())
        for text in ("what is top-k?", "what is top-p?", "and min-p?", "thank you"):
            asked(conversation, text)
        notices = list(conversation.compact())
        assert isinstance(notices[-1], Dropped)
        assert conversation.window.outside(conversation.messages) == frozenset(range(8))

    def test_compact_without_room_for_the_summary(self, talk: Talk) -> None:
        """Turns that do not fit into the window, as after a change of models, are not summed up."""
        conversation = talk()
        said = [Message("user", "the quick brown fox " * 40), Message("assistant", "yes")]
        conversation.messages = [*said * 5, *said]
        with pytest.raises(UsageError, match="nothing was changed"):
            list(conversation.compact())
        assert not conversation.window.outside(conversation.messages)


class TestGoOn:
    """A reply that met its limit."""

    def test_it_goes_on_where_it_ended(self, talk: Talk) -> None:
        """In the same message, and greedily with the same words as in one go."""
        greedy = replace(SAMPLING, temp=0.0)
        conversation, other = talk(sampling=greedy), talk(sampling=replace(greedy, predict=24))
        asked(conversation)
        *_, reply = conversation.go_on()
        assert isinstance(reply, Reply)
        assert reply.usage.evaluated_tokens == 1
        _, whole = asked(other)
        assert conversation.messages == [Message("user", ASKED), reply.message]
        assert reply.message == whole.message

    def test_within_a_character(self, talk: Talk) -> None:
        """Bytes of a character that the limit cut in two come out whole."""
        grammar = 'root ::= "한국어 문장을 토큰으로"'
        sampling = SamplingOptions(grammar=grammar, predict=2, seed=1)
        conversation = talk(sampling=sampling)
        asked(conversation)
        conversation.sampling = SamplingOptions(predict=40, logit_bias=NO_END, temp=0.0)
        *_, reply = conversation.go_on()
        assert isinstance(reply, Reply)
        ids = list(reply.ids)
        text = decode(conversation.engine.tokenizer, ids).decode("utf-8", "replace")
        assert text.endswith(reply.message.content)

    def test_at_the_window_s_end(self, talk: Talk) -> None:
        """Old turns make room for the rest of the reply."""
        conversation = talk()
        for _ in range(4):
            asked(conversation)
        conversation.sampling = replace(SAMPLING, predict=-1)
        _, full = asked(conversation)
        assert (full.finish_reason, full.context_used) == ("length", 512)
        events = list(conversation.go_on())
        assert any(isinstance(event, Dropped) for event in events)
        reply = events[-1]
        assert isinstance(reply, Reply)
        assert reply.message.content.startswith(full.message.content)
        assert len(reply.message.content) > len(full.message.content)

    def test_a_reply_that_fills_the_window_alone(self, talk: Talk) -> None:
        """Nothing can leave: an error, and the reply stays."""
        conversation = talk(sampling=replace(SAMPLING, predict=-1))
        asked(conversation)
        before = list(conversation.messages)
        with pytest.raises(WindowFullError, match="the reply fills the window of 512 tokens"):
            list(conversation.go_on())
        assert conversation.messages == before

    def test_without_a_reply(self, talk: Talk) -> None:
        with pytest.raises(UsageError, match="no reply to go on with"):
            list(talk().go_on())


class TestLookingAhead:
    """Between two turns: the cut that is due is made, and evaluated while the user types."""

    def ahead(self, conversation: Conversation) -> tuple[list[Dropped], Ahead]:
        *notices, ahead = conversation.look_ahead()
        assert isinstance(ahead, Ahead)
        return [event for event in notices if isinstance(event, Dropped)], ahead

    @pytest.mark.parametrize("refill", ["auto", "exact"])
    def test_a_turn_after_a_cut_costs_what_any_turn_does(self, talk: Talk, refill: str) -> None:
        """With time enough in between, no turn evaluates more than its own message."""
        conversation = talk(refill=refill)
        background = Refill(conversation.engine)
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

    def test_the_next_message_is_expected_to_be_as_long_as_the_last(self, talk: Talk) -> None:
        """Longer than half of the spare part, and still no cut has to wait for it."""
        conversation = talk(sampling=replace(SAMPLING, predict=8))
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

    def test_stopped_in_the_middle(self, talk: Talk) -> None:
        """What was evaluated stays, and the next turn does the rest: nothing is lost, nothing done twice."""
        conversation = talk(refill="exact")
        background = Refill(conversation.engine)
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

    def test_what_the_next_turn_refuses_is_left_to_it(self, talk: Talk) -> None:
        """A conversation that may lose nothing is not touched ahead of time."""
        conversation = talk("stop")
        for number in range(40):
            try:
                asked(conversation, f"{number} {ASKED}")
            except WindowFullError:
                break
        assert list(conversation.look_ahead()) == []


@pytest.mark.parametrize("name", ["chatml", "llama3", "gemma", "vicuna"])
def test_any_template(talk: Talk, name: str) -> None:
    """Cuts are made, and prompts fit, in templates with and without special tokens or a system role."""
    template = load_template(name, bos="", eos="")
    conversation = talk(template=template.source)
    conversation.system = "be nice"
    _, reply = until_cut(conversation)
    assert reply.context_used <= 512
    assert "be nice" in seen(conversation)


def test_a_sliding_window_is_evaluated_anew(talk: Talk, tmp_path: Path) -> None:
    """A model that can't shift gets the same window, evaluated."""
    conversation = talk(model=make_model(tmp_path / "sliding.gguf", window=64))
    _, reply = until_cut(conversation)
    assert reply.usage.cached_tokens < 20
