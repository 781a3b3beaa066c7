"""Chat templates that can't be used: whose fault it is, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.models import make_model


@pytest.fixture(scope="session")
def no_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model without a chat template."""
    return make_model(tmp_path_factory.mktemp("models") / "plain.gguf", template=None)


class TestTemplate:
    """Chat templates that can't be used."""

    def test_a_model_without_one(self, llmcli: Program, no_template: Path) -> None:
        """The choice is the user's: the hint names the templates there are; with one of them it works."""
        ran = llmcli("chat", "-p", "x", "-m", no_template).failed(1, "plain.gguf has no chat template")
        assert "--chat-template" in ran.hint
        assert "chatml" in ran.hint
        llmcli("chat", "-p", "x", "-n", "1", "-m", no_template, "--chat-template", "chatml").succeeded()
        llmcli("tokenize", "x", "-m", no_template).succeeded()

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            (b"{% for", "line 1: "),
            (b"{{ messages[7].content }}", "UndefinedError"),
            (b"{{ raise_exception('I talk to nobody') }}", "I talk to nobody"),
            (b"hello", "it leaves the user message out"),
            (b"{{ ''.__class__.__mro__ }}{{ messages }}", "chat template of"),
            (b"\xff", "not UTF-8"),
            (b"{{ 2 ** 999999999 }}", "power too large"),
            (b"{{ 'x'|center(3000000000) }}", "number too large"),
            (b"{{ 'x'.ljust(3000000000) }}", "number too large"),
            (b"{{ 'x'|indent(3000000000) }}", "number too large"),
            (b"{{ '%3000000000d' % 1 }}", "format too wide"),
            (b"{{ '%3000000000d'|format(1) }}", "format too wide"),
            (b"{{ '{:3000000000}'.format(1) }}", "format too wide"),
            (b"{% set a = 'a' * 9000 %}{{ a.replace('a', a) }}", "text too long"),
        ],
    )
    def test_a_broken_one(self, llmcli: Program, source: bytes, words: str) -> None:
        """Its line, or its own words, are in the error."""
        path = llmcli.home / "broken.jinja"
        path.write_bytes(source)
        llmcli("chat", "-p", "x", "--chat-template", path).failed(1, words)

    def test_the_model_s_own_is_broken(self, llmcli: Program, tmp_path: Path) -> None:
        """What needs no template works all the same, and another one can be chosen."""
        model = make_model(tmp_path / "broken.gguf", template="{% if")
        llmcli("chat", "-p", "x", "-m", model).failed(1, "chat template of broken.gguf: line 1")
        llmcli("tokenize", "x", "-m", model).succeeded()
        llmcli("probs", "x", "-m", model).succeeded()
        llmcli("chat", "-p", "x", "-n", "1", "-m", model, "--chat-template", "chatml").succeeded()
