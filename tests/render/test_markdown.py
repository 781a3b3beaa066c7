"""Streamed Markdown: the blocks, and what is on the screen when they were drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmcli.render.code import CodeHighlighter
from llmcli.render.markdown import Block, BlockSplitter
from llmcli.render.markdown_view import MarkdownView

TEXT = """\
# A *title*
Some text with **bold words**, `code` and a [link](https://example.org/x).
It goes on here
and here.

1. first
2. second with

   a paragraph of its own
3. third
   ```sh
   echo nested
   ```

- a bullet
  - nested
- 안녕하세요 세계

| name | 크기 |
|------|-----:|
| a    | 1    |
| 한국 | 2    |

> a quote
> of two lines

```python
def f(x):
    \"\"\"Say

    # what\"\"\"
    return "```" + x
```
Setext
------
~~~
no language
~~~
***
The end <b>is</b> &#x202e;near
"""

LINES = [
    "word",
    "some more words here",
    "# heading",
    "- item",
    "  indented",
    "    far indented",
    "1. one",
    "2. two",
    "> quote",
    "```python",
    "```",
    "   ```",
    "~~~",
    "---",
    "===",
    "***",
    "| a | b |",
    "|---|---|",
    "x = 1  # code",
    "**bold** and `code`",
    "**open",
    "`open",
    "[link](http://a.b)",
    "[open",
    "_some emphasis_ and a snake_case_name",
    "_open",
    "~~gone~~",
    "a & b &amp; c",
    "안녕 세계",
    "",
    " ",
    "",
]
texts = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join)


def blocks(pieces: Sequence[str]) -> list[Block]:
    """The blocks of a text that comes in pieces."""
    splitter = BlockSplitter()
    return [block for piece in pieces for block in splitter.push(piece)] + splitter.end()


def cut(text: str, lengths: Sequence[int]) -> list[str]:
    """A text in pieces of these lengths, over and over."""
    pieces: list[str] = []
    at = 0
    for number in count():
        if at >= len(text):
            return pieces
        step = lengths[number % len(lengths)] if lengths else len(text)
        pieces.append(text[at : at + step])
        at += step
    return pieces


def screen(pieces: Sequence[str], columns: int = 40, rows: int = 10, *, clock: float = 1.0) -> list[str]:
    """What is on a terminal, and what has scrolled away above it, after a text came in pieces."""
    console = Console(force_terminal=True, color_system="standard", width=columns)
    times = count()
    view = MarkdownView(console, lambda: (columns, rows), lambda: next(times) * clock)
    shown = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.5)
    stream = pyte.Stream(shown)
    for out in [*map(view.push, pieces), view.end()]:
        stream.feed(out.replace("\n", "\r\n"))
    lines = [
        "".join(line[column].data for column in range(columns)).rstrip() for line in shown.history.top
    ] + [line.rstrip() for line in shown.display]
    return "\n".join(lines).rstrip().split("\n")


class TestBlocks:
    """What is finished, and what is alive."""

    def test_what_they_are(self) -> None:
        """Each block of a text, in order."""
        kinds = [block.kind for block in blocks([TEXT]) if block.kind != "code"]
        assert kinds == [
            *["heading", "text", "item", "item", "item", "item", "item", "table", "text"],
            *["opening", "closing", "text", "opening", "closing", "text", "text"],
        ]

    @given(texts, st.lists(st.integers(1, 7), max_size=5))
    def test_in_any_split(self, text: str, lengths: list[int]) -> None:
        """They are the same as at once, and joined they are the text."""
        assert blocks(cut(text, lengths)) == blocks([text])
        assert "".join(block.text for block in blocks([text])) == text

    @given(texts)
    def test_nothing_is_between_the_finished_and_the_alive(self, text: str) -> None:
        """At any time both together are what has come so far."""
        splitter, done = BlockSplitter(), ""
        for at, character in enumerate(text):
            done += "".join(block.text for block in splitter.push(character))
            assert done + splitter.alive.text == text[: at + 1]

    def test_a_paragraph_is_finished_at_the_blank_line(self) -> None:
        """Not later: nothing that follows can change it."""
        splitter = BlockSplitter()
        assert splitter.push("one\ntwo\n") == []
        assert splitter.push("\n") == [Block("text", "one\ntwo\n\n")]

    def test_code_is_finished_line_by_line(self) -> None:
        """So that a long block scrolls as it is written."""
        splitter = BlockSplitter()
        assert splitter.push("```py\na\nb") == [
            Block("opening", "```py\n", "py"),
            Block("code", "a\n", "py"),
        ]

    @pytest.mark.parametrize("begun", ["`", "``", "```py", "#", "-", "1.", "1", "| a", "> "])
    def test_a_mark_begun_is_not_shown(self, begun: str) -> None:
        """It does not stand there as text for a moment."""
        splitter = BlockSplitter()
        splitter.push("text\n\n" + begun)
        assert splitter.alive.text == begun
        assert splitter.shown.text == ""


class TestView:
    """What a person sees."""

    @settings(max_examples=50, deadline=None)
    @given(texts, st.lists(st.integers(1, 9), max_size=4), st.sampled_from([10, 24, 40]), st.integers(3, 12))
    def test_in_any_split(self, text: str, lengths: list[int], columns: int, rows: int) -> None:
        """However it came, the same stands there as if it had come at once, also above the screen."""
        pieces = cut(text, lengths)
        assert screen(pieces, columns, rows, clock=0) == screen([text], columns, rows)

    @settings(max_examples=50, deadline=None)
    @given(texts)
    @example("`open\n**bold** and `code`\n**bold** and `code`")
    def test_no_word_is_lost(self, text: str) -> None:
        """Every letter is shown, in its order; a code span ends without the blank before its mark."""
        source = re.sub(r"(?m)^ *(```|~~~).*$", "", text).replace("&amp;", "&")
        shown = " ".join(screen(list(text), 40, 6, clock=0)).replace("&amp;", "&")  # it stays so in code
        assert re.findall(r"[a-z가-힣]", shown.replace("python", "")) == re.findall(r"[a-z가-힣]", source)

    def test_a_whole_reply(self) -> None:
        """Title, list, table, code, quote: each in its form."""
        shown = screen(list(TEXT), 60, 60, clock=0)
        assert shown[0] == "A title"
        assert " • 안녕하세요 세계" in shown
        assert "── python ──────────────────────────────────────────────────" in shown
        assert '    return "```" + x' in shown
        assert "▌ a quote of two lines" in shown
        assert shown[-1] == r"The end <b>is</b> \u202enear"

    @pytest.mark.parametrize("columns", [20, 40])
    def test_a_paragraph_higher_than_the_screen(self, columns: int) -> None:
        """Its lines scroll away as they are written, each once."""
        words = " ".join(f"word{n}" for n in range(300))
        shown = screen(cut(words, [3]), columns, 8, clock=0)
        assert " ".join(shown).split() == words.split()

    def test_a_table_higher_than_the_screen(self) -> None:
        """Its end is shown while it grows; it is drawn once, whole, when it is finished."""
        rows = [f"| {n} | {'x' * (n % 9)}y |" for n in range(40)]
        text = "\n".join(["| n | x |", "|---|---|", *rows, "", "end"])
        shown = screen(cut(text, [4]), 40, 8, clock=0)
        assert [line.split()[0] for line in shown if line[:2].strip().isdecimal()] == [
            str(n) for n in range(40)
        ]

    def test_finished_lines_are_never_written_again(self) -> None:
        """A text that only grows is written as it comes: each word once."""
        console = Console(force_terminal=True, color_system="standard", width=40)
        view = MarkdownView(console, lambda: (40, 10), lambda: 0.0)
        words = [f"w{n:03} " for n in range(200)]
        out = "".join(map(view.push, words)) + view.end()
        assert all(out.count(word.strip()) <= 2 for word in words)
        assert len(out) < 2.5 * len("".join(words))

    def test_it_is_drawn_no_more_often_than_it_may_cost(self) -> None:
        """Where drawing takes long, many tokens are drawn at once."""
        console = Console(force_terminal=True, color_system="standard", width=40)
        times = count()
        view = MarkdownView(console, lambda: (40, 10), lambda: float(next(times)))
        outs = [view.push("word ") for _ in range(200)]
        assert 2 <= sum(map(bool, outs)) <= 4

    @pytest.mark.parametrize(
        "text",
        [
            "a\x1b]0;title\x07b",
            "[a\x1b[2J](http://x\x1b]8;;y)",
            "`\x9b2J`",
            "&#27;[2J &#x9b;2J &#x202e;",
            "```\x1b[2J\n\x1b[2J\n```",
            "| \x1b[2J | b |\n|---|---|\n| \x07 | \x1bc |\n",
            "https://x.y/\x1b]8;;evil\x07",
        ],
    )
    def test_nothing_drives_the_terminal(self, text: str) -> None:
        """Not in links, code, tables or entities: all that is written are colours and our own moves."""
        console = Console(force_terminal=True, color_system="standard", width=40)
        view = MarkdownView(console, lambda: (40, 10), lambda: 0.0)
        out = "".join(map(view.push, text)) + view.end()
        rest = re.sub(r"\x1b\[([0-9;]*m|\d*A|J|\?2026[hl])", "", out)
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", rest)
        assert "\x1b[2J" not in out


class TestCode:
    """Colours line by line."""

    @pytest.mark.parametrize(
        ("language", "begin", "end"), [("js", "/* a\n", "*/\n"), ("python", 'x = """a\n', '"""\n')]
    )
    def test_long_strings_and_comments(self, language: str, begin: str, end: str) -> None:
        """They have one colour throughout, and what follows has its own again."""
        code = CodeHighlighter(language)
        lines = ["let = 1\n"] * 99 + [begin] + ["for words in that\n"] * 99 + [end] + ["let = 1\n"] * 99
        drawn = [code.line(line) for line in lines]
        assert drawn[100:199] == [drawn[100]] * 99
        assert len(drawn[100]) == 1
        assert drawn[200:] == [drawn[0]] * 99
        assert len(drawn[0]) > 1

    def test_the_text_stays(self) -> None:
        """Whatever the language: known, unknown or none."""
        source = Path(__file__).read_text(encoding="utf-8")
        for language in ("python", "no such language", ""):
            code = CodeHighlighter(language)
            lines = [code.line(line) for line in source.splitlines(keepends=True)]
            assert "\n".join("".join(part.text for part in line) for line in lines) + "\n" == source
