"""Changing one value of the config file leaves everything else as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcli.errors import UsageError
from llmcli.settings.config_edit import raw_value, with_value, without_value
from llmcli.settings.keys import key_named
from llmcli.settings.toml_text import parse

FILE = """\
# my settings

# the model
model = "a"  # best
[sampling] # calm
temp = 0.2 # low
  "top_k" = 3
stop = ["a", "b#"] # two
# end

[aliases]
"a.b" = "x"
"""


def changed(text: str, name: str, *values: str) -> str:
    """The text with a key set."""
    key = key_named(name)
    return with_value(text, key, raw_value(key, values))


@pytest.mark.parametrize(
    ("name", "values", "before", "after"),
    [
        ("model", ["7"], 'model = "a"  # best', 'model = "7"  # best'),
        ("sampling.temp", ["0.7"], "temp = 0.2 # low", "temp = 0.7 # low"),
        ("sampling.top-k", ["9"], '  "top_k" = 3', '  "top_k" = 9'),
        ("sampling.stop", ["7", 'c"\n'], '["a", "b#"] # two', '["7", "c\\"\\n"] # two'),
        ("sampling.min_p", ["0"], '"b#"] # two\n', '"b#"] # two\nmin-p = 0\n'),
        ("aliases.a.b", ["y"], '"a.b" = "x"', '"a.b" = "y"'),
        ("aliases.c d", ["~/e"], '"a.b" = "x"\n', '"a.b" = "x"\n"c d" = "~/e"\n'),
        ("engine.mlock", ["on"], '"a.b" = "x"\n', '"a.b" = "x"\n\n[engine]\nmlock = true\n'),
        ("chat.stats", ["no"], '"a.b" = "x"\n', '"a.b" = "x"\n\n[chat]\nstats = false\n'),
    ],
)
def test_one_value_changes(name: str, values: list[str], before: str, after: str) -> None:
    """Comments, order, spelling and blank lines stay."""
    assert changed(FILE, name, *values) == FILE.replace(before, after)


def test_an_empty_file_begins_with_the_table() -> None:
    """A key of no table stands above all tables, below what the file begins with."""
    text = changed("", "sampling.temp", "1")
    assert text == "[sampling]\ntemp = 1\n"
    assert changed(text, "model", "tiny") == f'model = "tiny"\n\n{text}'
    assert changed(f"# mine\n\n{text}", "model", "tiny") == f'# mine\n\nmodel = "tiny"\n\n{text}'


def test_lines_of_windows_stay() -> None:
    """Where lines end with a carriage return and a newline, new ones do."""
    text = "[sampling]\r\ntemp = 1\r\n"
    assert changed(text, "sampling.temp", "2") == "[sampling]\r\ntemp = 2\r\n"
    assert changed(text, "sampling.top-k", "2") == "[sampling]\r\ntemp = 1\r\ntop-k = 2\r\n"


def test_a_value_is_taken_out() -> None:
    """With its line; what is not there needs nothing."""
    assert without_value(FILE, key_named("sampling.temp")) == FILE.replace("temp = 0.2 # low\n", "")
    assert without_value(FILE, key_named("sampling.seed")) == FILE


@pytest.mark.parametrize("text", ["sampling = {temp = 1}", "[sampling\n", "sampling = {}\n"])
def test_what_can_t_be_changed_is_refused(text: str) -> None:
    """Rather than written as something else."""
    with pytest.raises(UsageError) as caught:
        changed(text, "sampling.temp", "0.5")
    assert "by hand" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("sampling.temp", ["hot"], "sampling.temp hot: must be 0 or a number from 1e-06 up"),
        ("sampling.temp", ["1", "2"], "sampling.temp 1 2: takes one value"),
        ("engine.mlock", ["2"], "engine.mlock 2: must be true or false"),
        ("sampling.stop", [""], "sampling.stop '': must not be empty"),
        ("model", ["\udcff"], "model: the value is not UTF-8"),
    ],
)
def test_a_wrong_value_is_refused_as_the_flag_s_is(name: str, values: list[str], words: str) -> None:
    """In the same words."""
    with pytest.raises(UsageError) as caught:
        raw_value(key_named(name), values)
    assert caught.value.message == words


@pytest.mark.parametrize("name", ["temp", "aliases", "aliases.", "engine", "", "a.b.c", "sampling.grammar"])
def test_an_unknown_key_is_refused(name: str) -> None:
    """Whatever it looks like."""
    with pytest.raises(UsageError, match="there is no such setting"):
        key_named(name)


@given(
    name=st.sampled_from(["model", "aliases.x", "aliases.a b", "sampling.stop"]),
    values=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1),
)
def test_any_text_comes_back(name: str, values: list[str]) -> None:
    """What is set is what the file then says, and taking it out leaves the file as it was."""
    key = key_named(name)
    given_values = values if key.option.repeatable else values[:1]
    text = changed(FILE, name, *given_values)
    found: Any = parse(text)
    for part in key.path:
        found = found[part]
    assert found == (given_values if key.option.repeatable else given_values[0])
    if name.startswith("aliases"):
        assert without_value(text, key) == FILE


@given(st.floats(0.1, 100))
def test_numbers_come_back(value: float) -> None:
    """As numbers."""
    assert parse(changed(FILE, "sampling.temp", repr(value)))["sampling"]["temp"] == value
