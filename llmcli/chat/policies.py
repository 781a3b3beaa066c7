"""Which turns leave the window when it is full: a table of pure functions.

A policy is given what was measured and what there is room for, and returns a plan; None means that it
refuses. Whoever asks carries the plan out. Candidates are measured by the real template and tokenizer, each
as a whole: what a message costs depends on its neighbours, so sizes can't be added up.

    turns 1 2 3 4 5 and a new message, two turns too large:
    drop      3 4 5 +    the oldest leave
    middle    1 4 5 +    the first stays
    summarize S 3 4 5 +  the model puts the oldest in its own words
    shift     2' 3 4 5 + the oldest tokens leave, in the middle of a turn
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

Turn = tuple[int, ...]
"""The indices of a user message and the replies to it, ascending."""

Action = Literal["nothing", "drop", "summarize", "shift"]

NOTHING_GONE: frozenset[int] = frozenset()

SHORTEST_END = 16
"""The end of a turn with fewer tokens says nothing, or is but what the template writes between two turns."""


@dataclass(frozen=True)
class Budget:
    """The window's size in tokens, what of it a reply is to have, and how much more a cut makes free.

    Without the spare part the next turn would need the next cut. The reply gets its `reserve` as long as
    something can leave; an `insistent` reserve is kept in any case.
    """

    size: int
    reserve: int
    spare: int = 0
    summary: int = 0
    insistent: bool = False

    @property
    def room(self) -> int:
        """The tokens that a prompt may have: a reply needs at least one."""
        return self.size - max(1, self.reserve)

    def early(self, message: int = 0) -> Budget:
        """The same in the end, but a cut is due a little earlier: before the next message needs it.

        That one is taken to have half of the spare part, or as many tokens as `message` up to all of it.
        """
        early = min(self.spare, max(self.spare // 2, message))
        return replace(self, reserve=self.reserve + early, spare=self.spare - early, insistent=True)


@dataclass(frozen=True)
class Measured:
    """A conversation that ends with what is to be answered.

    `turns` are those in the window that may leave it, oldest first; `gone` are the messages that have left.
    `tokens(gone)` is the size of the prompt without those messages, None where the template refuses it.
    """

    n_messages: int
    turns: Sequence[Turn]
    tokens: Callable[[frozenset[int]], int | None]
    gone: frozenset[int] = NOTHING_GONE


@dataclass(frozen=True)
class Plan:
    """What the window is to hold, and what has to be done for it.

    `kept` and `dropped` are indices of messages: those inside, and those that leave now. The prompt will have
    `tokens` (with a summary: without it), `lost` less than before. With the action "shift" the first `cut`
    tokens of what the window has of the turn `part` leave as well.
    """

    action: Action
    kept: tuple[int, ...]
    dropped: tuple[int, ...] = ()
    tokens: int = 0
    lost: int = 0
    part: Turn = ()
    cut: int = 0


Policy = Callable[[Measured, Budget], Plan | None]


def drop(measured: Measured, budget: Budget) -> Plan | None:
    """Leave out the oldest turns."""
    return _fitting(measured, budget) or _left_out(measured, budget, measured.turns)


def middle(measured: Measured, budget: Budget) -> Plan | None:
    """Leave out the turns after the first, oldest first; the first one only where nothing else is left."""
    order = [*measured.turns[1:], *measured.turns[:1]]
    return _fitting(measured, budget) or _left_out(measured, budget, order)


def summarize(measured: Measured, budget: Budget) -> Plan | None:
    """Leave out the oldest turns and as much more as a summary of them takes."""
    if plan := _fitting(measured, budget):
        return plan
    smaller = replace(budget, size=budget.size - budget.summary)
    plan = _left_out(measured, smaller, measured.turns)
    return replace(plan, action="summarize") if plan and plan.dropped else drop(measured, budget)


def shift(measured: Measured, budget: Budget) -> Plan | None:
    """Leave out the oldest tokens, whoever's they are: of the last turn that leaves, the end may stay."""
    if plan := _fitting(measured, budget):
        return plan
    whole = _left_out(measured, budget, measured.turns)
    if whole is None or not whole.dropped:
        return whole
    dropped = frozenset(whole.dropped)
    *before, last = [turn for turn in measured.turns if dropped.issuperset(turn)]
    larger = measured.tokens(measured.gone.union(*before))
    excess = (larger or 0) - max(whole.tokens, _target(budget, whole.tokens))
    if larger is None or larger - excess < whole.tokens + SHORTEST_END:
        return whole
    gone = measured.gone.union(*before)
    return replace(
        whole,
        action="shift",
        kept=_others(measured, gone),
        dropped=tuple(i for turn in before for i in turn),
        tokens=larger - excess,
        lost=whole.lost - (larger - excess - whole.tokens),
        part=last,
        cut=excess,
    )


def stop(measured: Measured, budget: Budget) -> Plan | None:
    """Leave out nothing."""
    return _fitting(measured, budget)


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {"drop": drop, "middle": middle, "summarize": summarize, "shift": shift, "stop": stop}
)


def _fitting(measured: Measured, budget: Budget) -> Plan | None:
    """The plan to do nothing, where everything fits."""
    tokens = measured.tokens(measured.gone)
    if tokens is None or tokens > budget.room:
        return None
    return Plan("nothing", _others(measured, measured.gone), tokens=tokens)


def _left_out(measured: Measured, budget: Budget, order: Sequence[Turn]) -> Plan | None:
    """Leave out turns in this order: as few as make room for the reply and the spare part.

    Where even all of them don't, as few as make room for the reply. Where even that can't be, all of them,
    unless the reserve is insistent or there would be no room at all.
    """
    before = measured.tokens(measured.gone) or budget.size

    def gone(n: int) -> frozenset[int]:
        return measured.gone.union(*order[:n])

    def accepted(n: int) -> tuple[int, int] | None:
        """The first candidate from `n` on that the template accepts, and its size."""
        sizes = ((at, measured.tokens(gone(at))) for at in range(n, len(order) + 1))
        return next(((at, size) for at, size in sizes if size is not None), None)

    def fewest(target: int) -> tuple[int, int] | None:
        """The smallest number of turns to leave out for `target`, and the size then.

        Looked for where it would be if all turns were as large: each candidate costs a rendering.
        """
        low, low_size = 0, before
        found = accepted(len(order))
        if found and found[1] > target:
            return None
        high, tries = found[0] if found else len(order) + 1, 0
        while high - low > 1:
            tries += 1
            at = (low + high) // 2
            if found and tries % 3 and low_size > found[1]:
                at = low + -((target - low_size) * (high - low) // (low_size - found[1]))
                at = min(max(at, low + 1), high - 1)
            candidate = accepted(at)
            if candidate is None or candidate[1] <= target:
                found, high = candidate or found, at
            else:
                low, low_size = candidate
        return found

    found = fewest(budget.room - budget.spare) or fewest(budget.room)
    if found is None and not budget.insistent:
        found = next(filter(None, map(accepted, range(len(order), -1, -1))), None)
        found = found if found and found[1] < budget.size else None
    if found is None:
        return None
    n, tokens = found
    return Plan(
        "drop" if n else "nothing",
        _others(measured, gone(n)),
        dropped=tuple(sorted(gone(n) - measured.gone)),
        tokens=tokens,
        lost=before - tokens,
    )


def _target(budget: Budget, reached: int) -> int:
    """The size that a cut aimed at: with the spare part, where it was reached."""
    wanted = budget.room - budget.spare
    return wanted if reached <= wanted else budget.room


def _others(measured: Measured, gone: frozenset[int]) -> tuple[int, ...]:
    return tuple(i for i in range(measured.n_messages) if i not in gone)
