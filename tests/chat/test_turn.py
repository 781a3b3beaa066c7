"""A turn with a real model: what is evaluated, what ends a reply, what Ctrl-C leaves."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from llmcli.chat.conversation import prompt_ids
from llmcli.chat.messages import Message
from llmcli.chat.reply import Generated, Reply
from llmcli.chat.turn import take_turn
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import UsageError, WindowFullError
from llmcli.settings.sampling import SamplingOptions
from tests.chat.talking import END, ENDLESS, LETTERS, START, Talk, last, said
from tests.models import CHATML


class TestTurn:
    """One turn."""

    def test_events_make_up_the_reply(self, talk: Talk) -> None:
        """The stretches shown, joined, are the message; the tokens are counted; the reply comes last."""
        *tokens, reply = talk().ask("hello")
        assert isinstance(reply, Reply)
        generated = [event for event in tokens if isinstance(event, Generated)]
        assert tokens == generated
        assert "".join(text for event in generated for text, _ in event.shown) == said(reply)
        ids = [event.id for event in generated if event.id is not None]
        assert len(ids) == reply.usage.completion_tokens == 12
        assert reply.ids[-12:] == tuple(ids)
        assert reply.finish_reason == "length"

    def test_bytes_of_no_character_are_shown_as_such(self, talk: Talk) -> None:
        """Random tokens cut characters in two: the text has U+FFFD, and equals what Python decodes."""
        reply = last(talk(replace(ENDLESS, predict=40)).ask("안녕"))
        written = [i for i in reply.ids[-40:] if i not in (START,)]
        tokenizer = talk().engine.tokenizer
        assert said(reply) == b"".join(map(tokenizer.piece, written)).decode("utf-8", "replace")

    def test_the_usage_adds_up(self, talk: Talk) -> None:
        """The first turn evaluates all of the prompt; the window holds prompt and reply."""
        conversation = talk()
        reply = last(conversation.ask("hello"))
        prompt = prompt_ids(conversation.prompt([Message("user", "hello")]), conversation.engine.tokenizer)
        assert reply.usage.prompt_tokens == reply.usage.evaluated_tokens == len(prompt)
        assert reply.usage.cached_tokens == 0
        assert reply.context_size == 512
        assert len(prompt) + 11 <= reply.context_used <= len(prompt) + 12

    @pytest.mark.parametrize("n", [0, 1, 5])
    def test_ends_at_the_limit(self, talk: Talk, n: int) -> None:
        """--predict N writes N tokens, also for 0, and the reason is `length`."""
        reply = last(talk(replace(LETTERS, predict=n)).ask("hello"))
        assert (reply.finish_reason, reply.usage.completion_tokens) == ("length", n)

    def test_ends_where_the_model_ends(self, talk: Talk) -> None:
        """The end-of-turn token is no part of the reply, and the reason is `stop`."""
        reply = last(talk(SamplingOptions(grammar='root ::= "yes"')).ask("hello"))
        assert (said(reply), reply.finish_reason) == ("yes", "stop")
        assert END not in reply.ids[reply.usage.prompt_tokens :]

    def test_ends_at_a_stop_string(self, talk: Talk) -> None:
        """The reply ends before the stop string, which may lie in the middle of tokens."""
        options = SamplingOptions(grammar='root ::= "one two three four"')
        assert said(last(talk(options).ask("hello"))) == "one two three four"
        reply = last(talk(replace(options, stop=("xyz", "o thr"))).ask("hello"))
        assert (said(reply), reply.finish_reason) == ("one tw", "stop")

    def test_ends_with_the_window(self, talk: Talk) -> None:
        """At the end of the window the reply ends with `length`, and the window is full to the last token."""
        reply = last(talk(replace(LETTERS, predict=-1)).ask("hello"))
        assert reply.finish_reason == "length"
        assert reply.context_used == reply.context_size == 512
        assert 512 <= len(reply.ids) <= 513

    def test_a_prompt_that_leaves_no_room(self, engine: LlamaEngine, abort: AbortFlag) -> None:
        """511 tokens leave room for one; 512 are refused before anything is evaluated."""
        options = replace(LETTERS, predict=-1)
        reply = last(take_turn(engine, [5] * 511, options, abort))
        assert 1 <= reply.usage.completion_tokens <= 2
        cached = list(engine.cached)
        with pytest.raises(WindowFullError, match=r"has 512 tokens .* window of 512"):
            list(take_turn(engine, [6] * 512, options, abort))
        assert list(engine.cached) == cached

    def test_control_tokens_in_the_reply_are_not_shown(self, talk: Talk) -> None:
        """A control token that does not end the reply is counted, and no text."""
        biases = ((START, 1000.0), *ENDLESS.logit_bias)
        *tokens, reply = talk(replace(ENDLESS, logit_bias=biases, predict=3)).ask("hello")
        assert isinstance(reply, Reply)
        assert reply.ids[-3:] == (START,) * 3
        assert said(reply) == ""
        assert [event.piece for event in tokens if isinstance(event, Generated)] == [b"<|im_start|>"] * 3

    def test_thinking_is_kept_apart(self, talk: Talk) -> None:
        """What stands in <think> is the message's reasoning, and marked in the events."""
        grammar = 'root ::= "<think>\\nhm\\n</think>\\n\\nyes"'
        *tokens, reply = talk(SamplingOptions(grammar=grammar)).ask("hello")
        assert isinstance(reply, Reply)
        assert (reply.message.reasoning, said(reply)) == ("hm\n", "yes")
        shown = [stretch for event in tokens if isinstance(event, Generated) for stretch in event.shown]
        assert "".join(text for text, thinking in shown if thinking) == "hm\n"

    def test_a_prompt_that_opens_the_thinking(self, talk: Talk) -> None:
        """Where the template itself writes <think>, the reply begins inside of it."""
        options = SamplingOptions(grammar='root ::= "hm</think>yes"')
        reply = last(talk(options, CHATML + "<think>\n").ask("hello"))
        assert (reply.message.reasoning, said(reply)) == ("hm", "yes")

    def test_a_failure_to_make_the_sampler_evaluates_nothing(self, talk: Talk) -> None:
        """A bad grammar is found before the prompt is evaluated, and the conversation goes on."""
        conversation = talk(replace(LETTERS, grammar="nonsense"))
        with pytest.raises(UsageError, match="does not parse"):
            last(conversation.ask("hello"))
        assert list(conversation.engine.cached) == []
        assert conversation.messages == []


class TestCtrlC:
    """Ctrl-C, by real signals."""

    def test_in_the_middle_of_a_reply(self, talk: Talk) -> None:
        """What was said is kept, the reason is `cancelled`, and another turn works."""
        conversation = talk(replace(LETTERS, predict=100))
        reply = None
        seen = 0
        for event in conversation.ask("hello"):
            seen += isinstance(event, Generated)
            if seen == 5:
                signal.raise_signal(signal.SIGINT)
                seen += 1
            if isinstance(event, Reply):
                reply = event
        assert reply is not None
        assert reply.finish_reason == "cancelled"
        assert reply.usage.completion_tokens == 5
        assert len(said(reply)) >= 5
        assert conversation.messages == [Message("user", "hello"), reply.message]
        again = last(conversation.ask("go on"))
        assert again.ids[: len(reply.ids)] == reply.ids
        assert again.usage.completion_tokens == 100

    def test_while_the_prompt_is_evaluated(self, talk: Talk) -> None:
        """Nothing was said: the messages are as before, the reply is empty, and asking again works."""
        conversation = talk()
        last(conversation.ask("hello"))
        before = list(conversation.messages)
        reply = last(
            conversation.ask("a long " * 20, on_prefill=lambda _done: signal.raise_signal(signal.SIGINT))
        )
        assert (said(reply), reply.finish_reason) == ("", "cancelled")
        assert reply.usage.completion_tokens == 0
        assert conversation.messages == before
        assert last(conversation.ask("again")).usage.completion_tokens == 12

    def test_twice(self, talk: Talk) -> None:
        """A second Ctrl-C raises KeyboardInterrupt; the conversation can be asked again all the same."""
        conversation = talk()
        with pytest.raises(KeyboardInterrupt):
            for _ in conversation.ask("hello"):
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
        assert conversation.messages == []
        assert last(conversation.ask("hello")).usage.completion_tokens == 12

    def test_a_view_that_stops_listening(self, talk: Talk) -> None:
        """A consumer that breaks off in the middle leaves the messages as they were."""
        conversation = talk()
        for _ in conversation.ask("hello"):
            break
        assert conversation.messages == []
        assert last(conversation.ask("hello")).usage.completion_tokens == 12


class TestTaken:
    """A reply that begins with tokens somebody chose."""

    def test_they_are_its_first(self, talk: Talk) -> None:
        """Shown and counted apart from what the model wrote; no more is written than the limit says."""
        conversation = talk()
        last(conversation.ask("hello"))
        taken = conversation.engine.tokenizer.encode(b"xyz")
        *tokens, reply = conversation.retry(taken=taken)
        assert isinstance(reply, Reply)
        assert [event.id for event in tokens if isinstance(event, Generated)][: len(taken)] == taken
        assert said(reply).startswith("xyz")
        assert list(reply.ids[reply.begins :][: len(taken)]) == taken
        assert reply.usage.completion_tokens == 12 - len(taken)
        assert conversation.messages == [Message("user", "hello"), reply.message]

    def test_it_can_go_on_again(self, talk: Talk) -> None:
        """At its limit it ends with all of its ids, and goes on behind them."""
        conversation = talk()
        last(conversation.ask("hello"))
        first = last(conversation.retry(taken=conversation.engine.tokenizer.encode(b"xyz")))
        second = last(conversation.go_on())
        assert second.ids[: len(first.ids)] == first.ids
        assert said(second).startswith(said(first))

    def test_a_grammar_goes_on_behind_them(self, talk: Talk) -> None:
        """It stands where they have left it; the end may be taken where it allows the end."""
        conversation = talk(SamplingOptions(grammar='root ::= "no" | "yes" "!"?'))
        last(conversation.ask("hello"))
        tokenizer = conversation.engine.tokenizer
        for text, whole in [(b"n", ["no"]), (b"ye", ["yes", "yes!"])]:
            assert said(last(conversation.retry(taken=tokenizer.encode(text)))) in whole
        ended = last(conversation.retry(taken=[*tokenizer.encode(b"yes"), END]))
        assert (said(ended), ended.finish_reason) == ("yes", "stop")

    @pytest.mark.parametrize("text", [b"x", b"yo", b"yes!!"])
    def test_what_the_grammar_forbids_is_refused(self, talk: Talk, text: bytes) -> None:
        """Nothing is evaluated, and the reply stays."""
        conversation = talk(SamplingOptions(grammar='root ::= "no" | "yes" "!"?'))
        last(conversation.ask("hello"))
        messages, cached = list(conversation.messages), list(conversation.engine.cached)
        with pytest.raises(UsageError, match="the grammar does not allow that token"):
            last(conversation.retry(taken=conversation.engine.tokenizer.encode(text)))
        assert (conversation.messages, list(conversation.engine.cached)) == (messages, cached)
