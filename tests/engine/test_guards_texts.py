"""Texts that would end the process in a vocabulary's hands: bad bytes, and long ones without a break.

What is known to kill where a guard fails runs in a child process, so that the failure is a failing test.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import pytest

from tests.engine.child import in_child
from tests.engine.vocabularies import VOCABULARIES


@pytest.mark.parametrize("vocabulary", ["bert-bge", "falcon", "gpt-2", "llama-bpe", "llama-spm", "qwen2"])
def test_bytes_that_decode_to_no_character(shared: Path, vocabulary: str) -> None:
    """Four bytes that would be a character above U+10FFFF are four bad bytes, not an uncaught exception."""
    out = in_child(
        """
        import sys
        from pathlib import Path
        from llmcli.engine.llama.model import LlamaModel
        from llmcli.tokens.tokenizer import decode
        bad = "\\ufffd".encode()
        with LlamaModel(Path(sys.argv[1]), vocab_only=True) as model:
            vocabulary = model.vocabulary
            for lead, second in ((0xF4, 0x90), (0xF4, 0xBF), (0xF5, 0x80), (0xF6, 0xAA), (0xF7, 0xBF)):
                one = bytes([lead, second, 0x80, 0xBF])
                for text in (one, b"a" + one + b" b", one * 3, one[:3] + one, b"\\xff" + one + b"\\x80"):
                    ids = vocabulary.encode(text, bos=False, eos=False)
                    as_bad = vocabulary.encode(text.replace(one, bad * 4), bos=False, eos=False)
                    print(ids == as_bad, decode(vocabulary, ids) == text)
        """,
        shared / "vocabs" / f"ggml-vocab-{vocabulary}.gguf",
    )
    expected = "False True" if vocabulary == "llama-spm" else "True False"
    assert out.splitlines() == [expected] * 25


def test_a_space_in_more_bytes_than_it_needs(tmp_path: Path) -> None:
    """Where spaces are spelled as U+2581 (Gemma 4), a space in two to four bytes is so many bad bytes."""
    tokens = ["<bos>", "\u2581", "a", "\u2581a", "\ufffd", "\n", *(f"<0x{i:02X}>" for i in range(256))]
    writer = gguf.GGUFWriter(tmp_path / "gemma.gguf", "llama")
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 1, 1, 1, 1, 1] + [6] * 256)
    writer.add_token_merges(["\u2581 a"])
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out = in_child(
        """
        import sys
        from pathlib import Path
        from llmcli.engine.llama.model import LlamaModel
        with LlamaModel(Path(sys.argv[1]), vocab_only=True) as model:
            for text in ("20", "c0a0", "e080a0", "f08080a0", "f7bfbfbf"):
                ids = model.vocabulary.encode(bytes.fromhex(text) + b"a", bos=False, eos=False)
                print(*map(model.vocabulary.piece, ids), sep="|")
        """,
        tmp_path / "gemma.gguf",
    )
    bad = repr("\ufffd".encode())
    assert out.splitlines() == ["b' a'", *("|".join([bad] * n + ["b'a'"]) for n in (2, 3, 4, 4))]


UNBROKEN = {
    "letters": "a",
    "Hangul": "한",
    "Han": "漢",
    "dashes": "-",
    "hex": "a1f",
    "spaces": " ",
    "digits": "7",
    "newlines": "\n",
}


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_100_000_characters_without_a_break(shared: Path, vocabulary: str) -> None:
    """No vocabulary overflows the stack, and each that loses nothing gives the text back."""
    out = in_child(
        """
        import json, sys
        from pathlib import Path
        from llmcli.engine.llama.model import LlamaModel
        from llmcli.tokens.tokenizer import decode
        with LlamaModel(Path(sys.argv[1]), vocab_only=True) as model:
            vocabulary = model.vocabulary
            for name, unit in json.loads(sys.argv[2]).items():
                text = (unit * 100_000)[:100_000].encode()
                ids = vocabulary.encode(text, bos=False, eos=False)
                print(name, len(ids) > 0 and decode(vocabulary, ids) == text)
        """,
        shared / "vocabs" / f"ggml-vocab-{vocabulary}.gguf",
        json.dumps(UNBROKEN),
    )
    lossless = dict(line.rsplit(" ", 1) for line in out.splitlines())
    assert lossless.keys() == UNBROKEN.keys()
    if vocabulary != "bert-bge":
        assert set(lossless.values()) == {"True"}, lossless
