"""What the explorer shows: the text so far, the candidates as bars, the samplers and the keys.

A pure function from the state and the terminal's size to what stands on the screen.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prompt_toolkit.utils import get_cwidth

from llmcli.probs.distribution import Candidate
from llmcli.render.bars import EIGHTHS, percent
from llmcli.render.safe import safe
from llmcli.render.tokens import visible_piece
from llmcli.settings.sampling import SamplingOptions

Fragments = list[tuple[str, str]]
"""Stretches of text, each with prompt-toolkit's style."""

WIDE = 64
"""From so many cells on there is room for the model's own probability beside what is drawn from."""

KEYS = ("↑↓ choose", "→ append", "← back", "1-9 take", "g write on", "q leave")


@dataclass
class State:
    """What is on the screen. `busy`: the engine is at work; `writing`: it writes on until it is stopped."""

    prompt: bytes
    chosen: list[bytes] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)
    ends: set[int] = field(default_factory=set)
    cursor: int = 0
    sampling: SamplingOptions = SamplingOptions()
    entropy_bits: float = 0.0
    message: str = ""
    busy: bool = False
    writing: bool = False


def frame(state: State, columns: int, rows: int) -> Fragments:
    """The whole screen, exactly `rows` lines of at most `columns` cells."""
    footer = _footer(state, columns)
    room = max(1, rows - len(footer))
    lines = _text_lines(state, columns)[-max(1, room // 3) :]
    lines.append([("", "")])
    lines += _candidate_lines(state, columns, room - len(lines))
    lines = [*lines[:room], *[[("", "")]] * (room - len(lines)), *footer]
    return [fragment for line in lines[:rows] for fragment in [*line, ("", "\n")]][:-1]


def _text_lines(state: State, columns: int) -> list[Fragments]:
    """The text so far, folded: the prompt plain, what was chosen bold, its last token underlined."""
    # A character that begins in the prompt and ends in what was chosen counts as chosen.
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    prompt = decoder.decode(state.prompt)
    last = state.chosen[-1].decode("utf-8", "surrogateescape") if state.chosen else ""
    written = decoder.decode(b"".join(state.chosen), True)
    middle = written[: len(written) - len(last)] if written.endswith(last) else written
    stretches = [("", prompt), ("bold", middle), ("bold underline", written[len(middle) :])]
    return _folded([(style, safe(text)) for style, text in stretches], columns)


def _folded(stretches: Sequence[tuple[str, str]], columns: int) -> list[Fragments]:
    """Text in lines of at most `columns` cells."""
    lines: list[Fragments] = [[]]
    used = 0
    for style, text in stretches:
        for character in text.expandtabs(4):
            width = get_cwidth(character)
            if character == "\n" or used + width > columns:
                lines.append([])
                used = 0
            if character != "\n":
                lines[-1].append((style, character))
                used += width
    return [line or [("", "")] for line in lines]


def _candidate_lines(state: State, columns: int, room: int) -> list[Fragments]:
    """The candidates around the cursor, one a line."""
    if room < 1:
        return []
    first = max(0, min(state.cursor - room + 1, len(state.candidates) - room))
    if state.cursor < room:
        first = 0
    shown = state.candidates[first : first + room]
    widest = max((get_cwidth(visible_piece(c.piece)) for c in shown), default=0)
    name_width = min(max(6, widest), max(6, columns // 3))
    return [
        list(_candidate_line(state, first + at, candidate, columns, name_width))
        for at, candidate in enumerate(shown)
    ]


def _candidate_line(
    state: State, index: int, candidate: Candidate, columns: int, name_width: int
) -> Iterator[tuple[str, str]]:
    at_cursor = index == state.cursor
    dropped = candidate.sampled_prob == 0
    style = "reverse" if at_cursor else "fg:ansibrightblack" if dropped else ""
    digit = str(index + 1) if index < 9 else " "
    tried = "•" if candidate.id in state.tried else " "
    name = visible_piece(candidate.piece) + (" (end)" if candidate.id in state.ends else "")
    head = f"{'>' if at_cursor else ' '}{digit}{tried}{_cut(name, name_width)}"
    drawn = "dropped" if dropped else percent(candidate.sampled_prob)
    raw = f" {percent(candidate.prob):>10}" if columns >= WIDE else ""
    figures = f"{raw} {drawn:>9} "
    yield style, head
    yield "", figures
    width = columns - get_cwidth(head) - get_cwidth(figures)
    full, pale = _two_bars(candidate.sampled_prob, candidate.prob, max(0, width))
    yield "fg:ansicyan", full
    yield "fg:ansibrightblack", pale


def _two_bars(drawn: float, prob: float, width: int) -> tuple[str, str]:
    """A bar for what is drawn from, and what of the model's own probability reaches further."""
    eighths = round(drawn * width * 8)
    full = "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
    return full, "░" * max(0, round(prob * width) - len(full))


def _cut(text: str, width: int) -> str:
    """Text in exactly `width` cells, cut with … where it is longer."""
    if get_cwidth(text) > width:
        kept = ""
        for character in text:
            if get_cwidth(kept + character) > width - 1:
                break
            kept += character
        text = kept + "…"
    return text + " " * (width - get_cwidth(text))


def _footer(state: State, columns: int) -> list[Fragments]:
    """The samplers with the keys that change them, the other keys, and what there is to say."""
    s = state.sampling
    top_k = "all" if s.top_k == 0 else str(s.top_k)
    settings = (f"t/T temp {s.temp:g}", f"k/K top-k {top_k}", f"p/P top-p {s.top_p:g}", f"min-p {s.min_p:g}")
    said = state.message or (
        "writing... any key stops" if state.writing else f"{state.entropy_bits:.2f} bits"
    )
    lines = [*_packed(settings, columns), *_packed(KEYS, columns)]
    shown: list[Fragments] = [
        [("bold" if state.message else "fg:ansibrightblack", _cut(safe(said), columns))]
    ]
    return shown + [[("reverse", _cut(line, columns))] for line in lines]


def _packed(words: Sequence[str], columns: int) -> list[str]:
    """As many words a line as fit, two spaces apart."""
    lines = [""]
    for word in words:
        joined = f"{lines[-1]}  {word}" if lines[-1] else word
        if get_cwidth(joined) > columns and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines
