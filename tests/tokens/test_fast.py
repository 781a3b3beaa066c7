"""What the fast way rests on: a token comes from one pair, and a definition that is kept is the right one."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcli.engine.llama.model import LlamaModel
from llmcli.gguf.header import Header, read_header
from llmcli.tokens import backend
from llmcli.tokens.bulk import gguf_bulk_encoder
from llmcli.tokens.definition import definition
from llmcli.tokens.kept import MOST_FILES, kept
from llmcli.tokens.merges import own_merges
from llmcli.tokens.records import Source, separated
from llmcli.tokens.ways import ways_of
from tests.tokens.conftest import Vocabularies

SPACE = "\u2581"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def write_sentence_piece(path: Path, scores: dict[str, float], *, puts_space: bool = True) -> Path:
    """A SentencePiece vocabulary without weights: these tokens and those of the bytes."""
    out = gguf.GGUFWriter(path, "llama")
    out.add_tokenizer_model("llama")
    out.add_token_list(["<unk>", "<s>", "</s>", *BYTES, *scores])
    out.add_token_scores([0.0] * (3 + len(BYTES)) + list(scores.values()))
    types = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * len(BYTES)]
    out.add_token_types(types + [gguf.TokenType.NORMAL] * len(scores))
    out.add_add_space_prefix(puts_space)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.close()
    return path


def random_scores(seed: int) -> dict[str, float]:
    """Tokens of a few characters with scores in no order, and runs of spaces of one score."""
    rng = random.Random(seed)
    pieces = {"".join(rng.choices(f"ab한{SPACE}", k=rng.randint(2, 5))) for _ in range(60)}
    runs = {SPACE * n: -50.0 for n in range(2, rng.randint(2, 7))}
    tokens = [*f"ab한{SPACE}", *sorted(pieces - {SPACE * n for n in range(9)})]
    scores = rng.sample(range(-100, -50), k=50) + rng.sample(range(-49, 0), k=49)
    return dict(zip(tokens, map(float, scores), strict=False)) | runs


@pytest.mark.parametrize("seed", range(12))
def test_sentence_piece_with_any_scores(seed: int, tmp_path: Path) -> None:
    """Vocabularies whose tokens come in no sensible order: the same ids as llama.cpp, or none."""
    path = write_sentence_piece(tmp_path / "v.gguf", random_scores(seed), puts_space=bool(seed % 2))
    with LlamaModel(path, vocab_only=True) as model:
        found = ways_of(model.vocabulary, parse_special=True).build_fast()
        assert found is not None

        @settings(max_examples=80, deadline=None, database=None)
        @given(st.text(f"aab한 {SPACE}\n\0c🦙", max_size=40).map(str.encode))
        def holds(text: bytes) -> None:
            assert found.knows(text)
            expected = model.vocabulary.encode(text, bos=False, eos=False)
            assert found.encode(text).tolist() == expected

        holds()


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param({"ab": -1.0, "ba": -1.0}, id="two tokens of one score"),
        pytest.param({SPACE * 2: -1.0, SPACE * 4: -1.0}, id="runs with a gap"),
        pytest.param({"ab": -1.0, "ac": -2.0}, id="a character that is no token"),
        pytest.param({"ab": float("nan")}, id="no score"),
    ],
)
def test_what_is_not_proven_is_left_to_llama_cpp(scores: dict[str, float], tmp_path: Path) -> None:
    """Where the order depends on more than the pairs, there is no fast way."""
    letters = {"a": -10.0, "b": -11.0, SPACE: -12.0}
    sound = write_sentence_piece(tmp_path / "sound.gguf", {**letters, "ab": -1.0})
    assert definition(read_header(sound), puts_space=True) is not None
    unsound = write_sentence_piece(tmp_path / "unsound.gguf", {**letters, **scores})
    assert definition(read_header(unsound), puts_space=True) is None


@pytest.mark.parametrize("seed", range(20))
def test_own_merges_change_nothing(seed: int) -> None:
    """Merging with all pairs, or with each token's own: the same parts, whatever the order of the list."""
    rng = random.Random(seed)
    tokens = {"".join(rng.choices("abc", k=rng.randint(1, 4))) for _ in range(40)} | set("abc")
    merges = [f"{t[:at]} {t[at:]}" for t in tokens for at in range(1, len(t)) if {t[:at], t[at:]} <= tokens]
    rng.shuffle(merges)
    own = own_merges(merges)
    assert len({merge.replace(" ", "") for merge in own}) == len(own) < len(merges)
    for _ in range(200):
        text = "".join(rng.choices("abc", k=12))
        assert merged(text, own) == merged(text, merges)


def merged(text: str, merges: list[str]) -> list[str]:
    """BPE as the textbook has it: the first merge of the list that is somewhere, at its leftmost place."""
    parts = list(text)
    while True:
        pairs = [" ".join(pair) for pair in pairwise(parts)]
        best = min((merges.index(pair) for pair in pairs if pair in merges), default=None)
        if best is None:
            return parts
        at = pairs.index(merges[best])
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def test_a_tokenizer_that_starts_anew(vocabularies: Vocabularies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was thrown away in between, the ids stay the same."""
    monkeypatch.setattr(backend, "MEMORY", 0)
    monkeypatch.setattr(backend, "LEAST_MEMORY", -(1 << 40))
    vocabulary = vocabularies["tiny"]
    found = ways_of(vocabulary, parse_special=True).build_fast()
    assert found is not None
    for text in (b"one two", b"one two three", b"one two"):
        before = found._backend._built
        assert found.encode(text).tolist() == vocabulary.encode(text)
        assert found._backend._built is not before


def test_lines_of_sentence_piece(vocabularies: Vocabularies) -> None:
    """Each line begins anew, with the space that the vocabulary puts before it."""
    vocabulary = vocabularies["llama-spm"]
    lines = [
        b"The quick  brown fox",
        b"",
        b" 12 dogs",
        "안녕하세요. 오늘".encode(),
        b"</s>",
        b"\xff",
        b"end",
    ] * 9
    encoder = gguf_bulk_encoder(vocabulary, parse_special=True, bos=False, eos=False)
    encoder.expect(1 << 30)
    for some in (lines[:4], lines):
        found = encoder.run(separated(Source(BytesIO(b"\n".join(some) + b"\n"), "x"), b"\n"), 2)
        rows = [ids.tolist() for part in found for _, _, ids in part.records()]
        assert rows == [vocabulary.encode(line, bos=False) for line in some]


class TestKept:
    """Definitions in the cache folder."""

    @pytest.fixture
    def header(self, tiny_model: Path) -> Header:
        """The tiny model's."""
        return read_header(tiny_model)

    @pytest.fixture
    def make(self) -> Callable[[], bytes]:
        """Gives another text each time it is asked."""
        texts = iter(range(100))
        return lambda: b"%d" % next(texts)

    def test_it_is_made_once(self, header: Header, make: Callable[[], bytes], tmp_path: Path) -> None:
        """The second time it comes from the folder; other settings have another file."""
        folder = tmp_path / "new" / "folder"
        assert [kept(folder, header, True, make) for _ in range(3)] == [b"0"] * 3
        assert kept(folder, header, False, make) == b"1"
        assert kept(None, header, True, make) == b"2"

    def test_another_vocabulary(self, header: Header, make: Callable[[], bytes], tmp_path: Path) -> None:
        """A file of the same name with other tokens is another vocabulary."""
        path = write_sentence_piece(tmp_path / "v.gguf", {"a": -1.0})
        assert kept(tmp_path, read_header(path), True, make) == b"0"
        write_sentence_piece(path, {"a": -2.0})
        assert kept(tmp_path, read_header(path), True, make) == b"1"
        assert kept(tmp_path, header, True, make) == b"2"

    @pytest.mark.parametrize("damage", [b"", b"0", b"x" * 40])
    def test_a_damaged_file_is_made_anew(
        self, header: Header, make: Callable[[], bytes], tmp_path: Path, damage: bytes
    ) -> None:
        """Cut short or altered: it is not believed."""
        kept(tmp_path, header, True, make)
        [file] = tmp_path.iterdir()
        file.write_bytes(damage)
        assert kept(tmp_path, header, True, make) == b"1"
        assert kept(tmp_path, header, True, make) == b"1"

    def test_a_folder_that_is_none(self, header: Header, make: Callable[[], bytes], tmp_path: Path) -> None:
        """Where nothing can be written, it is made each time."""
        (tmp_path / "file").write_bytes(b"")
        assert [kept(tmp_path / "file", header, True, make) for _ in range(2)] == [b"0", b"1"]

    def test_the_oldest_go(self, header: Header, make: Callable[[], bytes], tmp_path: Path) -> None:
        """The folder does not grow for ever."""
        for n in range(MOST_FILES + 3):
            kept(
                tmp_path, read_header(write_sentence_piece(tmp_path / "v.gguf", {"a": -float(n)})), True, make
            )
        assert len(list(tmp_path.glob("*.json"))) == MOST_FILES
