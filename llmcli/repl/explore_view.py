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
from llmcli.render.safe import INVISIBLE, safe, visible
from llmcli.render.tokens import visible_piece
from llmcli.settings.sampling import SamplingOptions

Fragments = list[tuple[str, str]]
"""Stretches of text, each with prompt-toolkit's style."""

WIDE = 64
"""From so many cells on there is room for the model's own probability beside what is drawn from."""

ROOM_FOR_HEADING = 10
"""From so many lines on the candidates can spare one for what stands above their columns."""

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
    footer = _footer(state, columns)[: max(1, rows // 2)]
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
        for character in _seen(text.expandtabs(4)):
            width = get_cwidth(character)
            if character == "\n" or used + width > columns:
                lines.append([])
                used = 0
            if character != "\n":
                lines[-1].append((style, character))
                used += width
    return [line or [("", "")] for line in lines]


def _seen(text: str) -> str:
    """Text without characters that terminals give different widths, or none: they are spelled."""
    return INVISIBLE.sub(lambda found: found[0] if found[0].isspace() else visible(found[0]), text)


def _candidate_lines(state: State, columns: int, room: int) -> list[Fragments]:
    """The candidates around the cursor, one a line."""
    if room < 1:
        return []
    has_heading = room >= ROOM_FOR_HEADING
    room -= has_heading
    first = max(0, min(state.cursor - room + 1, len(state.candidates) - room))
    if state.cursor < room:
        first = 0
    shown = state.candidates[first : first + room]
    names = [_name(state, candidate) for candidate in shown]
    name_width = min(max(6, *map(get_cwidth, names)), max(6, columns // 3))
    lines = [
        list(_candidate_line(state, first + at, candidate, columns, _cut(name, name_width)))
        for at, (candidate, name) in enumerate(zip(shown, names, strict=True))
    ]
    return [_heading(columns, name_width), *lines] if has_heading else lines


def _heading(columns: int, name_width: int) -> Fragments:
    raw = f" {'prob':>10}" if columns >= WIDE else ""
    return [("fg:ansibrightblack", _cut(f"   {_cut('token', name_width)}{raw} {'sampled':>9}", columns))]


def _name(state: State, candidate: Candidate) -> str:
    return visible_piece(candidate.piece) + (" (end)" if candidate.id in state.ends else "")


def _candidate_line(
    state: State, index: int, candidate: Candidate, columns: int, name: str
) -> Iterator[tuple[str, str]]:
    at_cursor = index == state.cursor
    dropped = candidate.sampled_prob == 0
    style = "reverse" if at_cursor else "fg:ansibrightblack" if dropped else ""
    digit = str(index + 1) if index < 9 else " "
    tried = "•" if candidate.id in state.tried else " "
    head = f"{'>' if at_cursor else ' '}{digit}{tried}{name}"
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
