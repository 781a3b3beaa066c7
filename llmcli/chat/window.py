"""The window: which messages of a conversation the model sees.

A conversation keeps every message; a `Cut` says which of them are outside. It remembers what it was made
over, and holds only as long as the conversation still begins so: whoever steps back to before it, or takes
another branch, has those messages in the window again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import takewhile

from llmcli.chat.messages import SYSTEM, USER, Message
from llmcli.chat.policies import NOTHING_GONE, POLICIES, Budget, Measured, Plan, Turn
from llmcli.engine.plan import common_prefix
from llmcli.errors import TemplateError, UsageError, WindowFullError
from llmcli.settings.window import WindowOptions

LARGEST_RESERVE = 1024
SPARE_PART = 8
"""A cut makes an eighth of the window free, on top of the reply's reserve: so the next is not due at once."""

LARGEST_SUMMARY = 512
SUMMARY = "Summary of the conversation so far:"

Spell = Callable[[Sequence[Message]], list[int]]
"""The ids of the prompt that the model reads for these messages. Raises TemplateError."""


@dataclass(frozen=True)
class Cut:
    """Which messages are outside of the window. Indices do not count the leading system messages.

    `tokens` is how many tokens are outside, in all. A `summary` stands for what has gone. Of the turn `part`
    only the tokens in `rest` are inside, `back` tokens before the place where it is seen to be missing.
    """

    over: tuple[Message, ...] = ()
    gone: frozenset[int] = NOTHING_GONE
    tokens: int = 0
    summary: str = ""
    part: Turn = ()
    rest: tuple[int, ...] = ()
    back: int = 0


@dataclass
class Window:
    """A window of `size` tokens, and what is pinned in it."""

    size: int
    options: WindowOptions = field(default_factory=WindowOptions)
    policy: str = ""
    """The policy in force: what the options say, unless the model can't."""
    pinned: set[tuple[int, Message]] = field(default_factory=set)
    _cuts: list[Cut] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy = self.policy or self.options.overflow
        if (self.options.reserve or 0) >= self.size:
            raise UsageError(
                f"--reserve {self.options.reserve}: the window has only {self.size:,} tokens",
                hint="keep fewer free for a reply, or ask for a larger window with -c",
            )

    def budget(self, predict: int = -1) -> Budget:
        """What there is room for, with replies of at most `predict` tokens (-1: as many as they take)."""
        size, asked = self.size, self.options.reserve
        reserve = min(LARGEST_RESERVE, size // 4)
        if 0 <= predict < size:
            reserve = predict
        return Budget(
            size,
            reserve if asked is None else asked,
            spare=size // SPARE_PART,
            summary=min(LARGEST_SUMMARY, size // SPARE_PART),
            insistent=asked is not None,
        )

    def cut(self, messages: Sequence[Message]) -> Cut:
        """The cut that holds for this conversation."""
        cuts = self.cuts(messages)
        return cuts[-1] if cuts else Cut()

    def cuts(self, messages: Sequence[Message]) -> list[Cut]:
        """The cuts that hold for this conversation, each with the ones before it.

        Those that do not are not forgotten by that: a turn that steps back behind them may come to nothing.
        """
        body = tuple(split(messages)[1])
        n = len(self._cuts)
        while n and body[: len(self._cuts[n - 1].over)] != self._cuts[n - 1].over:
            n -= 1
        return self._cuts[:n]

    def replace_cuts(self, cuts: Iterable[Cut]) -> None:
        """Let these cuts be the ones that were made."""
        self._cuts = list(cuts)

    def keep(self, cut: Cut, messages: Sequence[Message]) -> None:
        """From now on this cut holds for this conversation, and no other that was made behind it."""
        self._cuts = self.cuts(messages)
        if cut.over and (not self._cuts or self._cuts[-1] is not cut):
            self._cuts.append(cut)

    def take_back(self, messages: Sequence[Message]) -> bool:
        """Undo the last cut; False where there is none."""
        cuts = self.cuts(messages)
        if cuts:
            self._cuts = cuts[:-1]
        return bool(cuts)

    def outside(self, messages: Sequence[Message], cut: Cut | None = None) -> frozenset[int]:
        """Which of the messages, counted without the leading system messages, are outside of the window."""
        _, body = split(messages)
        gone = (cut or self.cut(messages)).gone
        fixed = self._fixed(body) if gone else set()
        if not fixed:
            return gone
        back = [turn for turn in turns_of(body) if fixed & set(turn)]
        return gone.difference(*back)

    def view(self, messages: Sequence[Message], cut: Cut) -> list[Message]:
        """What of the messages is in the window, with the summary of what is not."""
        gone = self.outside(messages, cut)
        body = [message for i, message in enumerate(split(messages)[1]) if i not in gone]
        return [*self.head(messages, cut), *body]

    def head(self, messages: Sequence[Message], cut: Cut) -> list[Message]:
        """The system message that the model sees, with the summary of what is not in the window."""
        leading, _ = split(messages)
        if not cut.summary or not self.outside(messages, cut):
            return leading
        texts = [*(message.content for message in leading), f"{SUMMARY}\n{cut.summary}"]
        return [Message(SYSTEM, "\n\n".join(texts))]

    def ids(self, messages: Sequence[Message], cut: Cut, spell: Spell) -> list[int]:
        """What the model reads of the conversation, with this cut."""
        ids = spell(self.view(messages, cut))
        if not cut.part or set(cut.part) & (self.outside(messages, cut) | self._fixed(split(messages)[1])):
            return ids
        _, without, at = self._around(messages, cut, cut.part, spell)
        at = max(0, at - cut.back)
        return [*without[:at], *cut.rest, *without[at:]]

    def plan(self, messages: Sequence[Message], spell: Spell, budget: Budget, policy: str = "") -> Plan:
        """What has to leave so that a reply to the last of the messages fits.

        Raises TemplateError where the template refuses the conversation as it is, WindowFullError where
        what must stay leaves no room, or the policy refuses.
        """
        cut = self.cut(messages)
        self.ids(messages, cut, spell)
        measured = self.measured(messages, cut, spell)
        plan = POLICIES[policy or self.policy](measured, budget)
        if plan is not None and plan.action == "shift" and not self._comes_apart(messages, plan, spell):
            plan = POLICIES["drop"](measured, budget)
        if plan is None:
            raise self._too_large(messages, measured, spell, budget)
        return plan

    def measured(self, messages: Sequence[Message], cut: Cut, spell: Spell) -> Measured:
        """The conversation, as the policies see it."""

        @cache
        def tokens(gone: frozenset[int]) -> int | None:
            try:
                return len(self.ids(messages, replace(cut, gone=gone), spell))
            except TemplateError:
                return None

        _, body = split(messages)
        gone = self.outside(messages, cut)
        unmoved = gone | self._fixed(body)
        may_leave = [turn for turn in turns_of(body)[:-1] if unmoved.isdisjoint(turn)]
        return Measured(len(body), may_leave, tokens, gone)

    def after(self, messages: Sequence[Message], plan: Plan, spell: Spell, summary: str = "") -> Cut:
        """The cut that carries out a plan.

        It is made over what is before the last turn, so that another message may take that one's place; and
        over that one, too, where it has left.
        """
        _, body = split(messages)
        before = self.cut(messages)
        gone = frozenset(range(len(body))) - set(plan.kept)
        cut = Cut(
            tuple(body[: max(turns_of(body)[-1][0], max(gone, default=-1) + 1)]),
            gone,
            before.tokens + plan.lost,
            summary or before.summary,
        )
        if not plan.part:
            return cut
        if plan.part == before.part:
            return replace(cut, part=plan.part, rest=before.rest[plan.cut :], back=before.back)
        ids, without, at = self._around(messages, cut, plan.part, spell)
        start = at
        if not any(min(plan.dropped, default=plan.part[0]) < i < plan.part[0] for i in plan.kept):
            # Where the window begins to differ anyway, so that what follows can move up as one.
            start = common_prefix(self.ids(messages, before, spell), ids, at)
        rest = ids[start : start + len(ids) - len(without)]
        return replace(cut, part=plan.part, rest=tuple(rest[plan.cut :]), back=at - start)

    def _comes_apart(self, messages: Sequence[Message], plan: Plan, spell: Spell) -> bool:
        """Whether the template writes the same around the turn that is to be cut through, and without it."""
        cut = Cut(gone=frozenset(range(len(split(messages)[1]))) - set(plan.kept))
        ids, without, at = self._around(messages, cut, plan.part, spell)
        return ids[len(ids) - len(without) + at :] == without[at:]

    def _around(
        self, messages: Sequence[Message], cut: Cut, turn: Turn, spell: Spell
    ) -> tuple[list[int], list[int], int]:
        """The ids with a turn and without it, and how far both are the same.

        That is no further than to where the turn's own words begin: the next message may begin with the same
        ones, and is another one when the user has typed it.
        """
        ids = spell(self.view(messages, cut))
        without = spell(self.view(messages, replace(cut, gone=cut.gone | set(turn))))
        at = len(split(messages)[0]) + turn[0]
        probe = messages[at]._replace(content="b" if messages[at].content.startswith("a") else "a")
        other = spell(self.view([*messages[:at], probe, *messages[at + 1 :]], cut))
        return ids, without, min(common_prefix(ids, s, len(s)) for s in (without, other))

    def _fixed(self, body: Sequence[Message]) -> set[int]:
        """The messages that always stay."""
        pinned = {i for i, message in self.pinned if i < len(body) and body[i] == message}
        system = {i for i, message in enumerate(body) if message.role == SYSTEM}
        return pinned | system | set(range(min(self.options.keep_messages, len(body))))

    def _too_large(
        self, messages: Sequence[Message], measured: Measured, spell: Spell, budget: Budget
    ) -> WindowFullError:
        now = measured.tokens(measured.gone) or 0
        kept = f" ({budget.reserve:,} are kept for it)" if budget.reserve else ""
        if self.policy == "stop":
            return WindowFullError(
                f"the conversation has {now:,} tokens and leaves no room for a reply "
                f"in the window of {self.size:,}{kept}",
                hint="begin a new conversation, ask for a larger window with -c, or let old turns leave it "
                "with --overflow drop",
            )
        gone = measured.gone.union(*measured.turns)
        smallest = measured.tokens(gone) or now
        at = max(i for i, message in enumerate(messages) if message.role == USER)
        empty = [*messages[:at], messages[at]._replace(content=""), *messages[at + 1 :]]
        others = self.measured(empty, replace(self.cut(messages), gone=gone), spell).tokens(gone) or 0
        room = (budget.room if budget.insistent else budget.size - 1) - others
        if room <= 0:
            return WindowFullError(
                f"what must stay in the window (system, pinned and kept messages) has {others:,} tokens "
                f"and leaves no room for a reply in the window of {self.size:,}{kept}",
                hint="shorten the system message, /undo or unpin what is kept, or ask for a larger window "
                "with -c (--continue goes on with it)",
            )
        return WindowFullError(
            f"the message has {smallest - others:,} tokens and leaves no room for a reply "
            f"in the window of {self.size:,}: there is room for {room:,} beside what must stay",
            hint="shorten the message, or ask for a larger window with -c",
        )


def turns_of(body: Sequence[Message]) -> list[Turn]:
    """The turns of a conversation without its leading system messages: each begins with a user's message."""
    turns: list[list[int]] = []
    for i, message in enumerate(body):
        if message.role == USER or not turns:
            turns.append([])
        turns[-1].append(i)
    return [tuple(turn) for turn in turns]


def split(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The system messages that a conversation begins with, and the rest."""
    leading = list(takewhile(lambda message: message.role == SYSTEM, messages))
    return leading, list(messages[len(leading) :])
