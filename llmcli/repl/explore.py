"""`llmcli probs -i`: walk through what the model might say, on the whole screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prompt_toolkit import Application
from prompt_toolkit.application import get_app
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth

from llmcli.engine.interrupt import AbortFlag
from llmcli.errors import InterruptedByUser, LlmcliError
from llmcli.probs.distribution import Candidate
from llmcli.probs.explorer import Explorer
from llmcli.repl.explore_view import Fragments, State, frame

LISTED = 100
"""How many candidates can be reached with the arrow keys."""

TOP_KS = (0, 1, 2, 3, 5, 10, 20, 40, 80, 160, 320)


@dataclass(frozen=True)
class Left:
    """The text as it stood when the user left, and whether they left by Ctrl-C."""

    text: bytes
    by_interrupt: bool


def explore(explorer: Explorer, abort: AbortFlag, prompt: bytes, *, colors: bool) -> Left:
    """Let the user walk until they leave. The terminal is as it was before, however it ends."""
    screen = _Screen(explorer, abort, State(prompt=prompt))
    screen.look()
    screen.run(colors=colors)
    return Left(screen.text, screen.is_interrupted)


@dataclass
class _Screen:
    """The walk, what the screen shows of it, and what a key does. Engine work runs beside the screen."""

    explorer: Explorer
    abort: AbortFlag
    state: State
    is_interrupted: bool = False
    _redraw: Callable[[], None] = field(default=lambda: None, init=False)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def run(self, *, colors: bool) -> None:
        """Take over the screen until the user leaves."""
        control = FormattedTextControl(lambda: list(self._frame()), show_cursor=False)
        app: Application[None] = Application(
            layout=Layout(Window(control, wrap_lines=False)),
            key_bindings=_keys(self),
            full_screen=True,
            color_depth=None if colors else ColorDepth.DEPTH_1_BIT,
            min_redraw_interval=0.05,
        )
        # Held here: beside the screen nobody knows which program is on it.
        self._redraw = app.invalidate
        app.run()

    @property
    def text(self) -> bytes:
        """The prompt and everything chosen; a vocabulary's own space before a text is none of it."""
        explorer, tokenizer = self.explorer, self.explorer.engine.tokenizer
        written = b"".join(tokenizer.piece(i) for i in explorer.path if not tokenizer.is_special(i))
        if tokenizer.adds_space_prefix and not self.state.prompt:
            written = written.removeprefix(b" ")
        return self.state.prompt + written

    def look(self, at: int | None = None) -> None:
        """Show what comes next here, the cursor on the token `at` or on the most probable."""
        state, explorer = self.state, self.explorer
        state.candidates = explorer.top(LISTED)
        ids = [candidate.id for candidate in state.candidates]
        state.cursor = ids.index(at) if at in ids else 0
        state.chosen = explorer.pieces()
        state.tried = set(explorer.tried)
        state.sampling = explorer.sampling
        state.entropy_bits = explorer.distribution.entropy_bits
        ends = explorer.engine.ends_reply
        state.ends = {candidate.id for candidate in state.candidates if ends(candidate.id)}

    def forth(self, candidate: Candidate) -> None:
        """Append a token; a branch that was taken here before opens where it was left."""
        self.explorer.choose(candidate.id)
        self.look(self.explorer.tried[-1] if self.explorer.tried else None)

    def back(self) -> None:
        """Take the last token back; the cursor stays on it."""
        self.look(self.explorer.back())

    def move(self, by: int) -> None:
        """Move the cursor over the candidates."""
        self.state.cursor = min(max(0, self.state.cursor + by), len(self.state.candidates) - 1)

    def set(self, name: str, value: float) -> None:
        """Change a sampler, with the cursor where it is."""
        self.explorer.set(**{name: value})
        self.look(self.state.candidates[self.state.cursor].id)

    async def work(self, task: Callable[[], None]) -> None:
        """Do something that may take the engine long, beside the screen; one thing after the other."""
        async with self._one_at_a_time:
            self.state.busy, self.state.message = True, ""
            try:
                await asyncio.get_running_loop().run_in_executor(None, task)
            except InterruptedByUser:
                self.state.message = "stopped"
            except LlmcliError as error:
                self.state.message = error.message
            finally:
                self.state.busy = self.abort.is_set = False
                self._redraw()

    async def leave(self, leave: Callable[[], None]) -> None:
        """Leave when everything that was asked for before is done."""
        async with self._one_at_a_time:
            leave()

    def generate(self) -> None:
        """Write on until the model ends the text or a key is pressed."""
        self.state.writing = True
        try:
            for n, _token_id in enumerate(self.explorer.generate(), 1):
                self.state.chosen = self.explorer.pieces()
                self._redraw()
                if not self.state.writing or n == self.explorer.sampling.predict:
                    break
            else:
                self.state.message = "the model ends the text here"
        finally:
            self.state.writing = self.abort.is_set = False
            self.look()

    def stop(self) -> None:
        """End what the engine is doing."""
        self.state.writing = False
        self.abort.is_set = True

    def _frame(self) -> Fragments:
        size = get_app().output.get_size()
        return frame(self.state, size.columns, size.rows)


def _keys(screen: _Screen) -> KeyBindings:
    """Every key; while the engine writes on, any of them stops it."""
    keys = KeyBindings()
    state = screen.state

    def bind(*names: str, task: Callable[[], None]) -> None:
        def pressed(event: KeyPressEvent) -> None:
            if state.writing:
                screen.stop()
            else:
                event.app.create_background_task(screen.work(task))

        for name in names:
            keys.add(name)(pressed)

    def pick(number: int) -> Callable[[], None]:
        return lambda: screen.forth(state.candidates[number]) if number < len(state.candidates) else None

    @keys.add("<any>")
    def _stop(_event: KeyPressEvent) -> None:
        if state.writing:
            screen.stop()

    @keys.add("q")
    def _leave(event: KeyPressEvent) -> None:
        if state.writing:
            screen.stop()
        else:
            event.app.create_background_task(screen.leave(event.app.exit))

    @keys.add("c-c")
    @keys.add("c-d")
    @keys.add("<sigint>")
    def _interrupt(event: KeyPressEvent) -> None:
        was_writing = state.writing
        if state.busy:
            screen.stop()
        if not was_writing:
            screen.is_interrupted = event.key_sequence[0].key != Keys.ControlD
            event.app.create_background_task(screen.leave(event.app.exit))

    for name, by in (("up", -1), ("down", 1), ("pageup", -10), ("pagedown", 10)):
        bind(name, task=partial(screen.move, by))
    bind("right", "enter", task=lambda: screen.forth(state.candidates[state.cursor]))
    bind("left", "backspace", task=screen.back)
    bind("g", task=screen.generate)
    for digit in range(1, 10):
        bind(str(digit), task=pick(digit - 1))
    for less, more, name, change in _SETTINGS:
        bind(less, task=partial(_set, screen, name, change, -1))
        bind(more, task=partial(_set, screen, name, change, 1))
    return keys


def _set(screen: _Screen, name: str, change: Callable[[Any, int], Any], by: int) -> None:
    screen.set(name, change(getattr(screen.explorer.sampling, name), by))


def _temp(now: float, by: int) -> float:
    return max(0.0, round(now + 0.1 * by, 6))


def _top_p(now: float, by: int) -> float:
    return min(1.0, max(0.0, round(now + 0.05 * by, 6)))


def _top_k(now: int, by: int) -> int:
    """The next larger or smaller top-k; 0, all of them, lies beyond both ends."""
    others = [k for k in TOP_KS if (k > now if by > 0 else 0 < k < now)] if now else list(TOP_KS[1:])
    if not others:
        return 0
    return min(others) if by > 0 else max(others)


_SETTINGS: tuple[tuple[str, str, str, Callable[[Any, int], Any]], ...] = (
    ("t", "T", "temp", _temp),
    ("-", "+", "temp", _temp),
    ("k", "K", "top_k", _top_k),
    ("p", "P", "top_p", _top_p),
)
"""The keys for less and more, the sampling option, and what less and more mean."""
