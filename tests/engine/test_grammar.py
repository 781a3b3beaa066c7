"""Replies that keep to a grammar or a JSON schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmcli.engine.llama.engine import LlamaEngine
from llmcli.errors import InputError, UsageError
from llmcli.settings.sampling import SamplingOptions
from tests.engine.sampling import OFF, reply_of, text_of


class TestGrammar:
    """Replies that keep to a form."""

    @pytest.mark.parametrize("temp", [0.0, 0.8, 5.0])
    def test_gbnf(self, engine: LlamaEngine, temp: float) -> None:
        """Whatever the temperature, the reply is a sentence of the grammar."""
        grammar = 'root ::= ("yes" | "no") ", " [a-z]{3} [0-9]{2} "."'
        for seed in range(5):
            ids = reply_of(engine, SamplingOptions(grammar=grammar, temp=temp, seed=seed))
            assert re.fullmatch(r"(yes|no), [a-z]{3}[0-9]{2}\.", text_of(engine, ids))

    def test_beyond_ascii(self, engine: LlamaEngine) -> None:
        """Characters of several tokens are held to the grammar too."""
        ids = reply_of(engine, SamplingOptions(grammar='root ::= "한국어" "🦙"', seed=1))
        assert text_of(engine, ids) == "한국어🦙"

    def test_json_schema(self, engine: LlamaEngine) -> None:
        """A reply under a schema is JSON of that shape."""
        schema = {
            "type": "object",
            "properties": {"name": {"enum": ["kim", "lee"]}, "old": {"type": "boolean"}},
            "required": ["name", "old"],
        }
        ids = reply_of(engine, SamplingOptions(json_schema=json.dumps(schema), seed=4), 200)
        reply = json.loads(text_of(engine, ids))
        assert reply["name"] in ("kim", "lee")
        assert isinstance(reply["old"], bool)

    def test_the_first_stage_shows_it(self, loaded: LlamaEngine) -> None:
        """The stages begin with what the grammar allows: tokens that begin `yes`."""
        stages = loaded.sampler(SamplingOptions(**OFF, grammar='root ::= "yes"')).stages()
        assert [stage.name for stage in stages] == ["grammar"]
        assert {loaded.tokenizer.piece(int(i)) for i in stages[0].ids} <= {b"y", b"ye", b"yes"}

    def test_from_files(self, engine: LlamaEngine, tmp_path: Path) -> None:
        """Grammar and schema can stand in files."""
        gbnf, schema = tmp_path / "a.gbnf", tmp_path / "a.json"
        gbnf.write_text('root ::= "abc"')
        schema.write_text('{"const": "x"}')
        assert text_of(engine, reply_of(engine, SamplingOptions(grammar_file=gbnf))) == "abc"
        assert text_of(engine, reply_of(engine, SamplingOptions(json_schema_file=schema))) == '"x"'

    def test_files_that_can_not_be_read(self, loaded: LlamaEngine, tmp_path: Path) -> None:
        """A missing file and one that is no UTF-8 are named."""
        (tmp_path / "bytes").write_bytes(b"root ::= \xff")
        with pytest.raises(InputError, match="none: No such file"):
            loaded.sampler(SamplingOptions(grammar_file=tmp_path / "none"))
        with pytest.raises(InputError, match="bytes: not UTF-8 at byte 9"):
            loaded.sampler(SamplingOptions(grammar_file=tmp_path / "bytes"))

    @pytest.mark.parametrize(
        ("schema", "reason"),
        [
            ("{", "not JSON"),
            ("", "not JSON"),
            ("[1]", "no grammar"),
            ("3", "no grammar"),
            ('{"$ref": "#/nowhere"}', "no grammar"),
            ('{"type": "nonsense"}', "no grammar"),
        ],
    )
    def test_schemas_that_are_none(self, loaded: LlamaEngine, schema: str, reason: str) -> None:
        """What is no JSON, or no schema, is a usage error of its own option."""
        with pytest.raises(UsageError, match=f"--json-schema: .*{reason}"):
            loaded.sampler(SamplingOptions(json_schema=schema))

    def test_one_at_a_time(self, loaded: LlamaEngine) -> None:
        """Two of the four options together contradict each other."""
        with pytest.raises(UsageError, match="--grammar and --json-schema can't both be given"):
            loaded.sampler(SamplingOptions(grammar='root ::= "a"', json_schema="{}"))
