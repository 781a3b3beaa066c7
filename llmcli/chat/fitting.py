"""Making a conversation fit into its window: carries out what a policy plans, and says so."""

from __future__ import annotations

from collections.abc import Generator as Events
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

from llmcli.chat.messages import USER, Message
from llmcli.chat.policies import Budget, Plan
from llmcli.chat.reply import Dropped, Notice, Outside
from llmcli.chat.spelling import Spelling
from llmcli.chat.summary import write_summary
from llmcli.chat.window import Cut, Window, split
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.protocol import Generator, Progress
from llmcli.errors import UsageError
from llmcli.settings.sampling import SamplingOptions
from llmcli.tokens.tokenizer import to_bytes


@dataclass(frozen=True)
class Fitted:
    """What the model is to read, the cut that makes it fit, and what is outside of the window with it."""

    ids: list[int]
    cut: Cut
    outside: Outside
    may_shift: bool


@dataclass
class Fitting:
    """A window, and the engine that it belongs to."""

    window: Window
    engine: Generator
    abort: AbortFlag
    held: Cut = field(default_factory=Cut)
    """The cut that the cache was filled with; after another one, what stays is found elsewhere in it."""
    _seen: Sequence[Message] = ()
    """The messages that the cache was filled with."""
    _untold: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = self.window.options
        if options.overflow == "shift" and not self.engine.can_shift:
            self.window.policy = "drop"
            self._untold.append(
                "the cache of this model can't be shifted: when the window is full, the oldest turns are "
                "left out whole (--overflow drop)"
            )
        if options.refill == "shift" and not self.engine.can_shift:
            self._untold.append(
                "the cache of this model can't be shifted: after a cut, the window is evaluated anew "
                "(--refill exact)"
            )

    @property
    def shifts(self) -> bool:
        """Whether what stays after a cut is moved within the cache."""
        return self.window.options.refill != "exact" and self.engine.can_shift

    def fit(
        self,
        messages: Sequence[Message],
        spelling: Spelling,
        sampling: SamplingOptions,
        *,
        budget: Budget | None = None,
        on_prefill: Progress | None = None,
    ) -> Events[Notice, None, Fitted]:
        """Find what of the messages the model is to read; notices say what left, the result comes last.

        Nothing is kept of it: `keep` does that, once the turn has come to something. Raises
        TemplateError, WindowFullError, and InterruptedByUser while a summary is written.
        """
        yield from map(Notice, self._untold)
        self._untold.clear()
        window = self.window
        budget = budget or window.budget(sampling.predict)
        before = window.cut(messages)
        plan = window.plan(messages, spelling, budget)
        cut = before
        if plan.action == "summarize":
            yield Notice(f"the window is full: summarizing {_turn_names(messages, plan.dropped)}")
            cut, told = self.summarized(messages, plan, spelling, sampling, on_prefill)
            if len(window.ids(messages, cut, spelling)) <= budget.room:
                yield told
            else:
                cut = before
                yield Notice("the summary is empty or no shorter: the oldest turns are left out instead")
                plan = window.plan(messages, spelling, budget, "drop")
        if cut is before and plan.action != "nothing":
            cut = window.after(messages, plan, spelling)
            yield _dropped(messages, before, cut)
        ids = window.ids(messages, cut, spelling)
        if plan.tokens > budget.room:
            left = window.size - len(ids)
            yield Notice(f"the message leaves only {left:,} tokens of the window for the reply")
        # What stands in the cache behind words that were taken back was read after them: it must not move.
        may_shift = self.shifts and cut != self.held and self._goes_on(messages)
        return Fitted(ids, cut, self._outside(before, cut), may_shift)

    def keep(self, cut: Cut, messages: Sequence[Message]) -> None:
        """From now on this cut holds, and the cache is filled with these messages, cut so."""
        self.window.keep(cut, messages)
        self.fill(cut, messages)

    def fill(self, cut: Cut, messages: Sequence[Message]) -> None:
        """The cache is about to be filled with these messages, cut so; the turn may still come to nothing."""
        self.held, self._seen = cut, messages

    def begin_anew(self, messages: Sequence[Message]) -> None:
        """These messages are others than those in the cache: nothing that was moved in it stays."""
        self.engine.forget_moved()
        self.held = self.window.cut(messages)

    def resume(self, messages: Sequence[Message]) -> None:
        """The cache was filled by an earlier process: with these messages, and nobody knows which cut."""
        self.held, self._seen = Cut(), messages

    def was_filled_with(self, messages: Sequence[Message]) -> bool:
        """Whether all that the cache was filled with stands at the beginning of these messages."""
        return len(self._seen) <= len(messages) and self._goes_on(messages)

    def compact(
        self,
        messages: Sequence[Message],
        spelling: Spelling,
        sampling: SamplingOptions,
        on_prefill: Progress | None = None,
    ) -> Events[Notice, None, None]:
        """Put a summary in the place of all turns that may leave, and keep that.

        Raises UsageError where there is none, or the summary is no shorter.
        """
        window, before = self.window, self.window.cut(messages)
        measured = window.measured(messages, before, spelling)
        leaving = frozenset(i for turn in measured.turns for i in turn)
        gone = measured.gone | leaving
        now, then = measured.tokens(measured.gone), measured.tokens(gone)
        if not leaving or now is None or then is None:
            raise UsageError("there is nothing to summarize", hint="the last turn always stays as it is")
        kept = tuple(i for i in range(measured.n_messages) if i not in gone)
        plan = Plan("summarize", kept, tuple(sorted(leaving)), then, now - then)
        yield Notice(f"summarizing {_turn_names(messages, plan.dropped)}")
        cut, told = self.summarized(messages, plan, spelling, sampling, on_prefill)
        if cut == before:
            raise UsageError(
                "the summary is empty, no shorter, or found no room to be written: nothing was changed"
            )
        window.keep(cut, messages)
        yield told

    def summarized(
        self,
        messages: Sequence[Message],
        plan: Plan,
        spelling: Spelling,
        sampling: SamplingOptions,
        on_prefill: Progress | None = None,
    ) -> tuple[Cut, Dropped]:
        """The cut with a summary in place of what the plan drops, and what to tell about it.

        It is the cut as it was where the model's summary is empty or no shorter.
        """
        window, before = self.window, self.window.cut(messages)
        leaving = [message for i, message in enumerate(split(messages)[1]) if i in plan.dropped]
        asked = [*window.head(messages, before), *leaving]
        limit = window.budget().summary
        reply = write_summary(
            self.engine, asked, spelling, sampling, limit, self.abort, on_prefill, keeps_cache=self.shifts
        )
        text = reply.message.content.strip() if reply else ""
        cut = window.after(messages, plan, spelling, text)
        was, now = (len(window.ids(messages, c, spelling)) for c in (before, cut))
        shorter = bool(text) and now < was
        turns = _turn_names(messages, plan.dropped)
        size = len(self.engine.tokenizer.encode(to_bytes(text), bos=False, eos=False))
        told = f"summarized {turns}, {plan.lost:,} tokens, in {size:,}: {text}"
        return cut if shorter else before, Dropped(told, len(plan.dropped), plan.lost)

    def _goes_on(self, messages: Sequence[Message]) -> bool:
        """Whether nothing was taken back of the messages in the cache, but at their end."""
        return all(message == seen for message, seen in zip(messages, self._seen, strict=False))

    def _outside(self, before: Cut, cut: Cut) -> Outside:
        return Outside(
            self.window.policy,
            len(cut.gone),
            cut.tokens,
            len(cut.gone - before.gone),
            cut.tokens - before.tokens,
        )


def _dropped(messages: Sequence[Message], before: Cut, cut: Cut) -> Dropped:
    """What to tell about a cut: `dropped turns 2-5, 1,234 tokens`."""
    left = sorted(cut.gone - before.gone)
    names = [_turn_names(messages, left)] if left else []
    if cut.part:
        names.append(f"the beginning of {_turn_names(messages, cut.part)}")
    tokens = cut.tokens - before.tokens
    return Dropped(f"dropped {' and '.join(names)}, {tokens:,} tokens", len(left), tokens)


def _turn_names(messages: Sequence[Message], indices: Sequence[int]) -> str:
    """The turns of these messages, by number: `turn 3`, `turns 2-5, 7`."""
    _, body = split(messages)
    turn_of = list(accumulate(message.role == USER for message in body))
    numbers = sorted({max(1, turn_of[i]) for i in indices})
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    spelled = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"turn{'s' if len(numbers) > 1 else ''} {spelled}"
