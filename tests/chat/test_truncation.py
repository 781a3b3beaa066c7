"""A conversation in a full window, with a real model: what leaves it, how it is cut, how a reply goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmcli.chat.builtin_templates import load_template
from llmcli.chat.conversation import MUCH
from llmcli.chat.messages import Message
from llmcli.chat.reply import Dropped, Notice, Reply
from llmcli.errors import UsageError, WindowFullError
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import decode
from tests.chat.crowding import ASKED, NO_END, SAMPLING, asked, seen, until_cut
from tests.chat.talking import Talk
from tests.models import CHATML, make_model


class TestCuts:
    """What a cut leaves."""

    @pytest.mark.parametrize("policy", ["drop", "middle", "shift"])
    def test_the_model_sees_what_the_window_says(self, crowded: Talk, policy: str) -> None:
        """After a cut the cache holds the messages inside and no others; all stay in the conversation."""
        conversation = crowded(policy)
        dropped, reply = until_cut(conversation)
        outside = conversation.window.outside(conversation.messages)
        text = seen(conversation)
        for i, message in enumerate(conversation.messages[:-2:2]):
            if 2 * i in outside:
                assert f"user\n{message.content}" not in text
        assert reply.outside.messages_now == dropped.messages == len(outside)
        assert len(conversation.messages) == 2 * sum(m.role == "user" for m in conversation.messages)

    def test_a_shift_leaves_a_message_that_begins_like_the_one_it_cuts_through(self, crowded: Talk) -> None:
        """The cut is made before that message is known, and is not mistaken for a part of it."""
        conversation = crowded("shift", ctx_size=256)
        for number in range(4):
            message = f"{ASKED}, {number} times: {'a word and another one ' * 11}"
            asked(conversation, message)
            assert f"<|im_start|>user\n{message}<|im_end|>" in seen(conversation)
            list(conversation.look_ahead())
            n = len(conversation.messages)
            assert conversation.window.cut(conversation.messages).part == (n - 2, n - 1)

    def test_a_turn_that_is_cut_through_counts_with_what_is_left_of_it(self, crowded: Talk) -> None:
        """However long it was: the window is full, but not over."""
        conversation = crowded("shift")
        for number in range(2):
            assert asked(conversation, f"{number}{' weather' * 300}")[1].message.content
        size, tally = conversation.window.size, conversation.tally()
        assert conversation.window.cut(conversation.messages).part == (0, 1)
        assert tally.used <= size < sum(len(m.content) for m in conversation.messages) / MUCH
        assert not conversation.is_far_over

    def test_far_more_than_a_window(self, crowded: Talk) -> None:
        """It is known before all is counted, and no longer so once the first turn has made room."""
        conversation = crowded()
        said = [Message(role, f"{n}{' weather' * 60}") for n in range(9) for role in ("user", "assistant")]
        found = []
        for messages in (said[:8], said):
            conversation.messages = messages
            found.append(conversation.is_far_over)
        asked(conversation)
        assert [*found, conversation.is_far_over] == [False, True, False]

    @pytest.mark.parametrize("spelling", ["as read", "letter by letter"])
    def test_a_shift_evaluates_the_new_message_alone(self, crowded: Talk, spelling: str) -> None:
        """Also where the replies in the cache would read back as other tokens."""
        conversation = crowded()
        tokenizer = conversation.engine.tokenizer
        if spelling == "letter by letter":
            longer = [(i, -float("inf")) for i in range(485) if len(tokenizer.piece(i)) > 1]
            conversation.sampling = replace(SAMPLING, logit_bias=(*NO_END, *longer))
        _, reply = until_cut(conversation)
        new = len(tokenizer.encode(f"99 {ASKED}<|im_end|>\n<|im_start|>user\n<|im_end|>\n".encode())) + 10
        assert reply.usage.evaluated_tokens <= new + 8

    def test_pinned_turns_stay_and_shift_with_the_rest(self, crowded: Talk) -> None:
        """A short pinned turn between two cuts does not keep what follows from moving up."""
        conversation = crowded()
        asked(conversation)
        asked(conversation, "remember: blue")
        assert conversation.pin(2)
        for _ in range(2):
            _, reply = until_cut(conversation)
            assert reply.usage.evaluated_tokens < 70
        assert "remember: blue" in seen(conversation)
        assert 0 in conversation.window.outside(conversation.messages)

    def test_a_turn_that_comes_to_nothing_leaves_the_window_as_it_was(self, crowded: Talk) -> None:
        """A message that can't fit is refused with its size, and nothing has left."""
        conversation = crowded()
        asked(conversation)
        before = seen(conversation)
        with pytest.raises(WindowFullError, match=r"the message has .* there is room for"):
            asked(conversation, "word " * 600)
        assert seen(conversation) == before
        assert not conversation.window.outside(conversation.messages)

    def test_undo_brings_back_what_left(self, crowded: Talk) -> None:
        """Stepping back before a cut has everything in the window again."""
        conversation = crowded()
        until_cut(conversation)
        conversation.messages = conversation.messages[:-4]
        assert not conversation.window.outside(conversation.messages)

    def test_a_template_that_rewrites_the_past_is_evaluated_from_there(self, crowded: Talk) -> None:
        """Between cuts, no more than what it changed."""
        template = CHATML.replace(
            "message['content']",
            "(message['content'][:4] if message['role'] == 'assistant' and not loop.last else "
            "message['content'])",
        )
        conversation = crowded(template=template)
        for _ in range(5):
            dropped, reply = asked(conversation)
            assert not dropped
        assert reply.usage.evaluated_tokens < 60

    def test_little_room_for_the_reply_is_said(self, crowded: Talk) -> None:
        """A message that fits, but leaves less than the reserve, is answered."""
        conversation = crowded(sampling=replace(SAMPLING, predict=-1))
        events = list(conversation.ask("a b " * 230))
        assert any(isinstance(e, Notice) and "tokens of the window for the reply" in e.text for e in events)
        assert isinstance(events[-1], Reply)


class TestGoOn:
    """A reply that met its limit."""

    def test_it_goes_on_where_it_ended(self, crowded: Talk) -> None:
        """In the same message, and greedily with the same words as in one go."""
        greedy = replace(SAMPLING, temp=0.0)
        conversation, other = crowded(sampling=greedy), crowded(sampling=replace(greedy, predict=24))
        asked(conversation)
        *_, reply = conversation.go_on()
        assert isinstance(reply, Reply)
        assert reply.usage.evaluated_tokens == 1
        _, whole = asked(other)
        assert conversation.messages == [Message("user", ASKED), reply.message]
        assert reply.message == whole.message

    def test_within_a_character(self, crowded: Talk) -> None:
        """Bytes of a character that the limit cut in two come out whole."""
        grammar = 'root ::= "한국어 문장을 토큰으로"'
        sampling = SamplingOptions(grammar=grammar, predict=2, seed=1)
        conversation = crowded(sampling=sampling)
        asked(conversation)
        conversation.sampling = SamplingOptions(predict=40, logit_bias=NO_END, temp=0.0)
        *_, reply = conversation.go_on()
        assert isinstance(reply, Reply)
        ids = list(reply.ids)
        text = decode(conversation.engine.tokenizer, ids).decode("utf-8", "replace")
        assert text.endswith(reply.message.content)

    def test_at_the_window_s_end(self, crowded: Talk) -> None:
        """Old turns make room for the rest of the reply."""
        conversation = crowded()
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

    def test_a_reply_that_fills_the_window_alone(self, crowded: Talk) -> None:
        """Nothing can leave: an error, and the reply stays."""
        conversation = crowded(sampling=replace(SAMPLING, predict=-1))
        asked(conversation)
        before = list(conversation.messages)
        with pytest.raises(WindowFullError, match="the reply fills the window of 512 tokens"):
            list(conversation.go_on())
        assert conversation.messages == before

    def test_without_a_reply(self, crowded: Talk) -> None:
        with pytest.raises(UsageError, match="no reply to go on with"):
            list(crowded().go_on())


@pytest.mark.parametrize("name", ["chatml", "llama3", "gemma", "vicuna"])
def test_any_template(crowded: Talk, name: str) -> None:
    """Cuts are made, and prompts fit, in templates with and without special tokens or a system role."""
    template = load_template(name, bos="", eos="")
    conversation = crowded(template=template.source)
    conversation.system = "be nice"
    _, reply = until_cut(conversation)
    assert reply.context_used <= 512
    assert "be nice" in seen(conversation)


def test_a_sliding_window_is_evaluated_anew(crowded: Talk, tmp_path: Path) -> None:
    """A model that can't shift gets the same window, evaluated."""
    conversation = crowded(model=make_model(tmp_path / "sliding.gguf", window=64))
    _, reply = until_cut(conversation)
    assert reply.usage.cached_tokens < 20
