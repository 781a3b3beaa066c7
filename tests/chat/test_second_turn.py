"""A second turn with a real model: only what is new is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmcli.chat.builtin_templates import load_template
from llmcli.chat.conversation import Conversation
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import decode
from tests.chat.talking import ENDLESS, LETTERS, Talk, last, said
from tests.models import CHATML


class TestSecondTurn:
    """Only what is new is evaluated."""

    @pytest.mark.parametrize("seed", range(5))
    def test_only_the_new_tokens(self, talk: Talk, seed: int) -> None:
        """After a reply that reads back as other ids, only what follows it is evaluated.

        The prompt of the second turn keeps every id of the first turn's prompt and reply.
        """
        conversation = talk(replace(LETTERS, seed=seed, predict=30))
        tokenizer = conversation.engine.tokenizer
        # The model spells letter by letter what the tokenizer reads back as longer tokens.
        longer = [(i, -float("inf")) for i in range(485) if len(tokenizer.piece(i)) > 1]
        conversation.sampling = replace(conversation.sampling, logit_bias=tuple(longer))
        first = last(conversation.ask("hello"))
        written = list(first.ids[first.usage.prompt_tokens :])
        assert tokenizer.encode(said(first).encode()) != written, "the reply reads back as it was written"
        in_cache = list(conversation.engine.cached)
        second = last(conversation.ask("and now?"))
        assert second.ids[: len(first.ids)] == first.ids
        assert second.usage.evaluated_tokens == second.usage.prompt_tokens - len(in_cache)
        after = tokenizer.encode(b"<|im_end|>\n<|im_start|>user\nand now?<|im_end|>\n<|im_start|>assistant\n")
        assert second.usage.prompt_tokens == len(first.ids) + len(after)
        # A reply that met its limit has its last token not in the cache yet.
        assert second.usage.evaluated_tokens == len(after) + 1

    @pytest.mark.parametrize("seed", range(3))
    def test_when_the_reply_is_no_utf_8(self, talk: Talk, seed: int) -> None:
        """The same for a reply of random bytes, whose text has U+FFFD in it."""
        conversation = talk(replace(ENDLESS, seed=seed, predict=30))
        first = last(conversation.ask("안녕"))
        assert "\ufffd" in said(first)
        second = last(conversation.ask("x"))
        assert second.ids[: len(first.ids)] == first.ids
        assert second.usage.evaluated_tokens < 30

    def test_when_the_model_ended_the_reply(self, talk: Talk) -> None:
        """After <|im_end|> drawn by the model, it and what follows are new."""
        conversation = talk(SamplingOptions(grammar='root ::= "the other dog"', temp=5.0, seed=3))
        first = last(conversation.ask("hello"))
        assert first.finish_reason == "stop"
        after = conversation.engine.tokenizer.encode(
            b"<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
        )
        assert last(conversation.ask("x")).usage.evaluated_tokens == len(after)

    def test_when_a_stop_string_cut_the_reply(self, talk: Talk) -> None:
        """What stands before the stop string stays; the rest of the reply leaves the cache."""
        conversation = talk(
            SamplingOptions(grammar='root ::= "one, two, three, four"', stop=(" three",), seed=3)
        )
        first = last(conversation.ask("hello"))
        assert said(first) == "one, two,"
        second = last(conversation.ask("x"))
        assert second.usage.cached_tokens >= first.usage.prompt_tokens + 1
        assert b"three" not in decode(conversation.engine.tokenizer, second.ids[: second.usage.prompt_tokens])

    def test_many_turns(self, talk: Talk) -> None:
        """Over five turns each evaluates its own message and no more."""
        conversation = talk(replace(LETTERS, predict=8))
        for number in range(5):
            before = len(conversation.engine.cached)
            reply = last(conversation.ask(f"message {number}"))
            assert reply.usage.cached_tokens == before
        assert len(conversation.messages) == 10

    def test_a_retry_evaluates_one_token(self, talk: Talk) -> None:
        """The prompt is the same: only its last token is fed again, for the logits."""
        conversation = talk()
        last(conversation.ask("hello"))
        assert last(conversation.retry()).usage.evaluated_tokens == 1

    def test_a_template_that_rewrites_the_past(self, talk: Talk) -> None:
        """Where the template leaves something out of an earlier reply, it is evaluated again from there."""
        template = CHATML.replace(
            "message['content']",
            "(message['content'][:4] if message['role'] == 'assistant' else message['content'])",
        )
        conversation = talk(template=template)
        first = last(conversation.ask("one"))
        second = last(conversation.ask("two"))
        assert second.usage.cached_tokens <= first.usage.prompt_tokens + 4
        assert second.usage.cached_tokens >= first.usage.prompt_tokens


class TestStories:
    """A trained model with a SentencePiece vocabulary, which puts a space before every text."""

    @pytest.mark.parametrize("name", ["chatml", "llama2", "vicuna"])
    def test_second_turn(self, stories: Path, abort: AbortFlag, name: str) -> None:
        """Also there a conversation's second turn keeps the first one's ids, whatever the template."""
        with LlamaEngine.load(stories, EngineOptions(threads=1), abort=abort) as engine:
            template = load_template(name, bos="<s>", eos="</s>")
            sampling = SamplingOptions(predict=20, seed=3)
            conversation = Conversation(engine, template, sampling, abort)
            first = last(conversation.ask("Once upon a time"))
            assert said(first)
            assert first.ids[0] == 1
            assert first.ids[1] != 1
            second = last(conversation.ask("And then?"))
            kept = sum(1 for _ in _while_equal(second.ids, first.ids))
            assert kept >= len(first.ids) - 1, "only the last token's border may change"
            assert second.usage.evaluated_tokens <= second.usage.prompt_tokens - kept + 1


def _while_equal(a: tuple[int, ...], b: tuple[int, ...]) -> Iterator[int]:
    for x, y in zip(a, b, strict=False):
        if x != y:
            return
        yield x
