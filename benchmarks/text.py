"""Text that does not repeat itself: prose in five scripts and Python code, as much as is asked for.

A tokenizer that keeps words it has seen is flattered by a file that repeats; real text has ever new ones.
Words are made of syllables and drawn as in natural text (a few often, most hardly ever), and the lines of
code are the standard library's with names put in.
"""

from __future__ import annotations

import random
import sysconfig
from itertools import accumulate
from pathlib import Path

SYLLABLES = {
    "latin": [
        "ba",
        "con",
        "de",
        "er",
        "fi",
        "gra",
        "ho",
        "in",
        "ka",
        "lin",
        "mer",
        "pre",
        "sta",
        "tion",
        "un",
    ],
    "cyrillic": ["ба", "ве", "го", "ди", "ен", "жи", "зна", "ка", "ло", "ми", "но", "от", "при", "ро", "ста"],
    "hangul": [chr(0xAC00 + 37 * n) for n in range(280)],
    "kana": [chr(0x3042 + n) for n in range(80)],
    "han": [chr(0x4E00 + 13 * n) for n in range(1500)],
}
_SHARES = {"latin": 0.6, "cyrillic": 0.1, "hangul": 0.1, "kana": 0.05, "han": 0.15}


def write_text(path: Path, n_bytes: int, seed: int = 1) -> None:
    """Write `n_bytes` of text to `path`; the same for the same seed and Python."""
    rng = random.Random(seed)
    words = {script: _words(rng, syllables) for script, syllables in SYLLABLES.items()}
    weights = list(accumulate(1 / rank for rank in range(1, 100_001)))
    code = _code_lines()
    left = n_bytes
    with path.open("wb") as file:
        while left > 0:
            parts = []
            for script, share in _SHARES.items():
                drawn = rng.choices(words[script], cum_weights=weights, k=int(2000 * share))
                parts.append(_prose(rng, drawn, "" if script in ("han", "kana") else " "))
            names = rng.choices(words["latin"], cum_weights=weights, k=300)
            parts += [
                line.replace("self", name) for line, name in zip(rng.choices(code, k=300), names, strict=True)
            ]
            rng.shuffle(parts)
            data = "".join(parts).encode()[:left]
            if len(data) == left:  # the last one: no half character at its end
                data = data.decode("utf-8", "ignore").encode()
                left = len(data)
            left -= file.write(data)


def _words(rng: random.Random, syllables: list[str]) -> list[str]:
    return ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(100_000)]


def _prose(rng: random.Random, words: list[str], space: str) -> str:
    """Sentences of the words, with commas, numbers and paragraphs."""
    out = []
    for word in words:
        chance = rng.random()
        if chance < 0.05:
            out.append(word + rng.choice([".\n", ". ", ".\n\n"]))
        elif chance < 0.1:
            out.append(f"{word}, {rng.randint(0, 99999)}{space}")
        else:
            out.append(word + space)
    return "".join(out) + "\n"


def _code_lines() -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(library.glob("*.py"))[:120]
    return [line + "\n" for file in files for line in file.read_text("utf-8", "replace").splitlines() if line]
