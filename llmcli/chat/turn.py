"""One turn: a prompt is evaluated, and a reply written token by token, until something ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from llmcli.chat.messages import ASSISTANT, Message
from llmcli.chat.reply import NOT_BEGUN, Begun, FinishReason, Generated, Reply, Timings, Usage
from llmcli.chat.thinking import ThinkingSplitter
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.plan import plan
from llmcli.engine.protocol import Generator, Progress
from llmcli.errors import InterruptedByUser, UsageError, WindowFullError
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.stream import TextStream


def take_turn(
    engine: Generator,
    prompt: Sequence[int],
    options: SamplingOptions,
    abort: AbortFlag,
    *,
    thinking_opened: bool = False,
    may_shift: bool = False,
    begun: Begun = NOT_BEGUN,
    on_prefill: Progress | None = None,
) -> Iterator[Generated | Reply]:
    """Evaluate `prompt` and write a reply: each token as it comes, and the Reply last.

    What the cache holds of the prompt is not evaluated again; with `may_shift`, also what stands further back
    in it. Ctrl-C ends the turn with what there is. `thinking_opened`: the prompt ends inside a `<think>`. A
    reply that has `begun` goes on; the prompt ends with its ids. Before anything is evaluated, raises
    WindowFullError for a prompt that leaves no room for a reply, UsageError where the grammar does not allow
    ids that were not said yet.
    """
    if len(prompt) >= engine.context_size:
        raise WindowFullError(
            f"the conversation has {len(prompt):,} tokens and leaves no room for a reply "
            f"in the window of {engine.context_size:,}",
            hint="begin a new conversation, shorten the message, or ask for a larger window with -c",
        )
    with abort.deferred():
        turn = _Turn(engine, prompt, options, abort, thinking_opened, begun)
        yield from turn.run(on_prefill, may_shift)


class _Turn:
    """The state of a turn while it runs."""

    def __init__(
        self,
        engine: Generator,
        prompt: Sequence[int],
        options: SamplingOptions,
        abort: AbortFlag,
        thinking_opened: bool,
        begun: Begun,
    ) -> None:
        self.engine, self.prompt, self.options, self.abort = engine, prompt, options, abort
        self.tokenizer = engine.tokenizer
        self.begun, said = begun, begun.said
        self.unsaid = begun.ids if said is None else ()
        self.stream = TextStream(options.stop)
        self.splitter = ThinkingSplitter(opened=thinking_opened, begun=said is not None)
        self.answer = [said.content] if said else []
        self.thoughts = [said.reasoning] if said else []
        self.ids: list[int] = []
        self.finish_reason: FinishReason = "cancelled"

    def run(self, on_prefill: Progress | None, may_shift: bool) -> Iterator[Generated | Reply]:
        wanted = self.prompt
        may_shift = may_shift and self.engine.can_shift
        steps = plan(self.engine.cached, wanted, may_shift)
        sampler = self.engine.sampler(self.options, wanted)
        started = time.perf_counter()
        prefilled = first_token = 0.0
        try:
            if not sampler.take_up(self.begun.ids) and self.unsaid:
                raise UsageError("the grammar does not allow that token there", hint="take another one")
            evaluated = self.engine.ready(wanted, may_shift=may_shift, on_progress=on_prefill)
            prefilled = time.perf_counter() - started
            yield from (self._generated(i) for i in self.unsaid if not self.engine.ends_reply(i))
            goes_on = self._goes_on()
            while goes_on and not self._is_over(token_id := sampler.sample()):
                first_token = first_token or time.perf_counter() - started
                yield self._generated(token_id)
                if self._has_ended():
                    break
                self.engine.feed(token_id)
        except InterruptedByUser:
            evaluated = evaluated if prefilled else steps.fed(len(self.engine.cached))
        finally:
            sampler.close()
        begins = len(wanted) - len(self.unsaid)
        decode = time.perf_counter() - started - prefilled
        if rest := self._sorted(self.stream.finish(), final=True):
            yield Generated(None, b"", rest)
        yield Reply(
            message=Message(ASSISTANT, "".join(self.answer), "".join(self.thoughts)),
            finish_reason=self.finish_reason,
            usage=Usage(len(wanted), evaluated, max(0, len(self.ids) - len(self.unsaid))),
            timings=Timings(prefilled, first_token, decode),
            seed=sampler.seed,
            ids=(*wanted[:begins], *self.ids),
            begins=begins,
            context_size=self.engine.context_size,
            context_used=len(self.engine.cached),
        )

    def _goes_on(self) -> bool:
        """Whether there is anything to write after what has begun."""
        if self.unsaid and self._is_over(self.unsaid[-1]):
            return False
        if 0 <= self.options.predict <= len(self.unsaid):
            self.finish_reason = "length"
            return False
        return True

    def _is_over(self, token_id: int) -> bool:
        """Whether the model says with this token that it has finished."""
        if self.engine.ends_reply(token_id):
            self.finish_reason = "stop"
            return True
        return False

    def _generated(self, token_id: int) -> Generated:
        """Count a token of the reply, and sort out what can be shown after it."""
        self.ids.append(token_id)
        piece = self.tokenizer.piece(token_id)
        return Generated(token_id, piece, self._sorted(self.stream.push(self._said(token_id, piece))))

    def _said(self, token_id: int, piece: bytes) -> bytes:
        """What the newest token adds to the reply's text."""
        # A control token in the middle of a reply says something to a program, not to the reader.
        if self.tokenizer.is_special(token_id):
            return b""
        # As decoding does: where the vocabulary puts a space before a text, it belongs to no text.
        first = len(self.ids) == 1 and self.begun.said is None
        return piece.removeprefix(b" ") if first and self.tokenizer.adds_space_prefix else piece

    def _has_ended(self) -> bool:
        """Whether something other than the model ends the reply here."""
        if self.stream.stopped is not None:
            self.finish_reason = "stop"
        elif len(self.ids) == self.options.predict or len(self.engine.cached) >= self.engine.context_size:
            self.finish_reason = "length"
        elif self.abort.is_set:
            self.abort.is_set = False
        else:
            return False
        return True

    def _sorted(self, text: str, *, final: bool = False) -> tuple[tuple[str, bool], ...]:
        """New text as stretches of answer and thinking."""
        stretches = self.splitter.push(text)
        if final:
            stretches += self.splitter.finish()
        for stretch, thinking in stretches:
            (self.thoughts if thinking else self.answer).append(stretch)
        return tuple(stretches)
