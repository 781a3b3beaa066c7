"""`tokenize` beyond the tokens, and `vocab`: what a user types, and what they see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.tokenizers import make_tiny_json, make_tokenizer_json

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " user <|im_end|>\n"}]


def written(folder: Path, data: object) -> Path:
    path = folder / "messages.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


class TestTokenizer:
    """--tokenizer in the model's place."""

    def test_the_same_vocabulary_gives_the_same_ids(self, llmcli: Program, tmp_path: Path) -> None:
        """A model's tokenizer.json, given as a file or a folder, is as good as the model."""
        path = make_tiny_json(tmp_path / "json")
        for given in (path, path.parent, llmcli.model):
            ran = Program(llmcli.home)("tokenize", "--tokenizer", given, "the dog 안녕").succeeded()
            assert ran.stdout == llmcli("tokenize", "the dog 안녕").stdout
            back = Program(llmcli.home)("detokenize", "--tokenizer", given, stdin=ran.stdout).succeeded()
            assert back.text == "the dog 안녕"

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"hello", "neither a tokenizer.json nor a GGUF file (it is text)"), (b"{}", 'no "model"')],
    )
    def test_no_tokenizer(self, llmcli: Program, tmp_path: Path, content: bytes, words: str) -> None:
        """What is no tokenizer.json is an error with a hint."""
        path = tmp_path / "tokenizer.json"
        path.write_bytes(content)
        assert llmcli("tokenize", "--tokenizer", path, "x").failed(1, words).hint

    def test_not_both(self, llmcli: Program) -> None:
        """A model and a tokenizer can't both be meant."""
        llmcli("tokenize", "-m", llmcli.model, "--tokenizer", llmcli.model, "x").failed(2, "can't both")


class TestExplain:
    """--explain."""

    def test_says_each_step(self, llmcli: Program) -> None:
        """Special tokens, words, merges with their ranks, and the tokens; without an escape in a pipe."""
        ran = llmcli("tokenize", "--explain", "the dog<|im_end|>").succeeded()
        for words in (
            "the·dog | <|im_end|>",
            'pre-tokenizer "gpt-2"',
            "the | Ġdog",
            "t + h",
            "rank",
            "-> the",
        ):
            assert words in ran.text
        assert "\x1b" not in ran.text

    def test_as_json(self, llmcli: Program) -> None:
        """The same, structured, and its ids are those of tokenize."""
        data = llmcli("tokenize", "--explain", "--json", "the dog").succeeded().json
        assert data["explained"]
        assert data["ids"] == [int(word) for word in llmcli("tokenize", "the dog").text.split()]
        (fragment,) = data["fragments"]
        words = fragment["words"]
        assert [word["text"] for word in words] == ["the", "Ġdog"]
        assert [token["id"] for word in words for token in word["tokens"]] == data["ids"]
        assert {"at", "left", "right", "rank"} == set(words[0]["merges"][0])

    def test_what_it_cannot_explain(self, llmcli: Program, tmp_path: Path) -> None:
        """A notice says why not, and the tokens are shown all the same."""
        path = make_tokenizer_json(tmp_path, "wordlevel")
        ran = Program(llmcli.home)("tokenize", "--tokenizer", path, "--explain", "dog").succeeded()
        assert "WordLevel' can't be explained yet" in ran.stderr
        assert "1 token" in ran.text


class TestVerifyAndCompare:
    """--verify and --compare."""

    def test_the_same(self, llmcli: Program, tmp_path: Path) -> None:
        """A vocabulary against its own tokenizer.json, both ways round."""
        path = make_tiny_json(tmp_path)
        assert llmcli("tokenize", "--verify", path).succeeded().text
        assert llmcli("tokenize", "--verify", path, "--json").succeeded().json["same"] is True
        Program(llmcli.home)("tokenize", "--tokenizer", path, "--verify", llmcli.model).succeeded()

    def test_another(self, llmcli: Program, tmp_path: Path) -> None:
        """Each difference on stdout, an error line, exit code 1."""
        ran = llmcli("tokenize", "--verify", make_tokenizer_json(tmp_path, "unigram"))
        assert ran.exit_status == 1
        assert "differs from" in ran.error
        assert {"size", "ids", "special tokens", "space prefix", "encoding"} <= {
            line.partition(":")[0] for line in ran.text.splitlines()
        }

    def test_compare(self, llmcli: Program, tmp_path: Path) -> None:
        """A row a tokenizer, and where they cut differently."""
        path = make_tokenizer_json(tmp_path, "unigram")
        ran = llmcli("tokenize", "--compare", path, "--compare", llmcli.model, "the fox thinks").succeeded()
        assert len([line for line in ran.text.splitlines() if line.startswith(("1 ", "2 ", "3 "))]) == 3
        data = llmcli("tokenize", "--compare", path, "the fox", "--json").succeeded().json
        assert data["tokenizers"][0]["name"] == "tiny.gguf"
        assert "".join(segment["text"] for segment in data["segments"]) == "the fox"

    @pytest.mark.parametrize("flag", ["--verify", "--compare"])
    def test_a_missing_file(self, llmcli: Program, flag: str) -> None:
        """It is named."""
        llmcli("tokenize", flag, "missing.gguf", "x").failed(1, "missing.gguf: no such file")

    def test_one_at_a_time(self, llmcli: Program) -> None:
        """Two views together are a usage error."""
        llmcli("tokenize", "--explain", "--verify", llmcli.model, "x").failed(2, "can't be given together")


class TestMessages:
    """--messages."""

    def test_each_token_knows_its_message(self, llmcli: Program, tmp_path: Path) -> None:
        """Also where a message says the same as the template; and none of its words becomes special."""
        data = llmcli("tokenize", "--messages", written(tmp_path, MESSAGES), "--json").succeeded().json
        tokens = data["tokens"]
        said = {owner: "".join(t["text"] for t in tokens if t["message"] == owner) for owner in (0, 1)}
        assert said == {0: "Be brief.", 1: "user <|im_end|>"}
        assert data["prompt"].count("<|im_end|>") == 3
        assert [t["text"] for t in tokens if t["special"]].count("<|im_end|>") == 2
        assert b"".join(bytes(t["bytes"]) for t in tokens).decode() == data["prompt"]

    def test_as_a_table(self, llmcli: Program, tmp_path: Path) -> None:
        """A column says whose each token is."""
        ran = llmcli("tokenize", "--messages", written(tmp_path, {"messages": MESSAGES})).succeeded()
        assert "0 system" in ran.text
        assert "1 user" in ran.text
        assert "template" in ran.text

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ("hello", "holds no messages"),
            ([], "holds no messages"),
            ({"messages": 1}, "holds no messages"),
            (["hello"], "message 1: not an object"),
            ([{"role": "wizard", "content": "x"}], "message 1: the role must be one of"),
            ([{"role": "user", "content": 3}], "message 1: its content is no text"),
        ],
    )
    def test_what_is_no_conversation(self, llmcli: Program, tmp_path: Path, data: object, words: str) -> None:
        """The message that is none is named."""
        llmcli("tokenize", "--messages", written(tmp_path, data)).failed(1, words)

    def test_not_json(self, llmcli: Program, tmp_path: Path) -> None:
        """Text is no conversation."""
        (tmp_path / "file").write_text("hello")
        llmcli("tokenize", "--messages", tmp_path / "file").failed(1, "invalid JSON")

    def test_without_a_template(self, llmcli: Program, tmp_path: Path) -> None:
        """A tokenizer without one needs a choice."""
        path = make_tiny_json(tmp_path / "json")
        messages = written(tmp_path, MESSAGES)
        bare = Program(llmcli.home)
        bare("tokenize", "--tokenizer", path, "--messages", messages).failed(1, "has no chat template")
        chosen = bare(
            "tokenize", "--tokenizer", path, "--messages", messages, "--chat-template", "chatml", "--json"
        )
        own = llmcli("tokenize", "--messages", messages, "--json")
        assert chosen.succeeded().json["ids"] == own.json["ids"]


class TestVocab:
    """vocab."""

    def test_in_a_pipe(self, llmcli: Program) -> None:
        """Tab-separated, a line a token: id, piece, bytes, kind, score."""
        assert llmcli("vocab", "482").succeeded().text == (
            "482\t<|im_end|>\t3c 7c 69 6d 5f 65 6e 64 7c 3e\tcontrol\t\n"
        )
        assert len(llmcli("vocab").succeeded().text.splitlines()) == 485

    def test_formats_agree(self, llmcli: Program) -> None:
        """JSON and JSONL hold the same."""
        assert (
            llmcli("vocab", "--special", "--json").json
            == llmcli("vocab", "--special", "--format", "jsonl").records
        )

    def test_nothing_found(self, llmcli: Program) -> None:
        """Exit code 1, and what to do."""
        assert "--grep" in llmcli("vocab", "no such thing").failed(1, "no such token").hint

    def test_a_bad_expression(self, llmcli: Program) -> None:
        """A usage error."""
        llmcli("vocab", "--grep", "(").failed(2, "not a regular expression")

    def test_a_closed_pipe(self, llmcli: Program) -> None:
        """Ends quietly."""
        ran = llmcli.process("vocab", shell='"$@" | head -1').succeeded()
        assert ran.text.count("\n") == 1
        assert not ran.stderr


@pytest.mark.parametrize("command", [("tokenize", "x"), ("vocab", "1")])
def test_two_formats_that_disagree(llmcli: Program, command: tuple[str, ...]) -> None:
    """--json with another --format is a usage error, with the same one it is not."""
    other = "table" if command[0] == "vocab" else "ids"
    llmcli(*command, "--json", "--format", other).failed(2, "disagree")
    llmcli(*command, "--json", "--format", "json").succeeded()
