"""A Hugging Face `tokenizer.json` as a Tokenizer: the other way into the road from text to ids.

The `tokenizers` library encodes. What it does not give are the bytes behind each id: its own decoding turns
part of a character into U+FFFD. They are spelled out here (`pieces.py`), so that tokens joined are the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmcli.errors import ModelError, UsageError
from llmcli.gguf.cursor import looks_like, read_bytes
from llmcli.settings.there import is_file, is_folder
from llmcli.tokens.pieces import Spelling
from llmcli.tokens.tokenizer import SpecialToken

if TYPE_CHECKING:
    from tokenizers import Encoding

FILE_NAME = "tokenizer.json"
LARGEST = 256 << 20
"""Bytes: several times the largest tokenizer.json in use."""

_HINT = f"a {FILE_NAME} is what Hugging Face's tokenizers library writes; most models' repositories hold one"
_LONE = re.compile("[\ud800-\udfff]")


class JsonTokenizer:
    """A tokenizer.json; `load_tokenizer_json` makes one.

    Text that is no UTF-8 has no characters to encode: each byte that is none counts as U+FFFD.
    """

    def __init__(self, source: str, definition: Mapping[str, Any], config: Mapping[str, Any], name: str):
        """`source` is the file's text and `definition` the same parsed; `config` is tokenizer_config.json's.

        Raises ModelError for what the library does not take.
        """
        self.name = name
        self.definition = definition
        self._config = config
        self._library = _from_source(source, name)
        # A file may ask for both, for training; here every text counts whole.
        self._library.no_truncation()
        self._library.no_padding()
        vocabulary = self._library.get_vocab(with_added_tokens=True)
        self.n_tokens = max(vocabulary.values(), default=-1) + 1
        self._tokens: dict[int, str] = {token_id: token for token, token_id in vocabulary.items()}
        self._added = self._library.get_added_tokens_decoder()
        self._control = {i for i, added in self._added.items() if added.special}
        self._control |= {vocabulary[t] for t in [_unknown_token(definition)] if t in vocabulary}
        self._spelling = Spelling.of(definition)
        self._begins, self._ends = self._template()
        self.bos = _one_of(self._begins, vocabulary.get(_token_name(config.get("bos_token"))))
        self.eos = _one_of(self._ends, vocabulary.get(_token_name(config.get("eos_token"))))
        self.adds_space_prefix = self._puts_space_before(b"")
        self._space_behind_added = self.adds_space_prefix and self._puts_space_behind_added()

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the chat template in tokenizer_config.json."""
        source = self._config.get("chat_template")
        return source if isinstance(source, str) else None

    def template_tokens(self) -> tuple[str, str]:
        """The texts of BOS and EOS, as chat templates write them; empty where there is none."""
        return _token_name(self._config.get("bos_token")), _token_name(self._config.get("eos_token"))

    @property
    def algorithm(self) -> str:
        """How it splits text: bpe, wordpiece, unigram, wordlevel, or other."""
        kind = str(self.definition["model"].get("type", "")).lower()
        return kind if kind in ("bpe", "wordpiece", "unigram", "wordlevel") else "other"

    def encode(
        self,
        text: bytes,
        *,
        parse_special: bool = True,
        bos: bool | None = None,
        eos: bool | None = None,
    ) -> list[int]:
        """The ids of `text`; see Tokenizer. BOS and EOS by default as the file's post-processor adds them.

        Raises UsageError where a BOS or EOS is asked for that the file does not name.
        """
        begins = self._around(self._begins, bos, self.bos, "BOS")
        ends = self._around(self._ends, eos, self.eos, "EOS")
        ids = self._encoding(text, parse_special).ids if text else []
        return [*begins, *ids, *ends]

    def piece(self, token_id: int) -> bytes:
        """The bytes of a token; of an added token its name. Raises UsageError for an id out of range."""
        self._check(token_id)
        token = self._tokens.get(token_id, "")
        if token_id in self._added or token_id in self._control:
            return token.encode()
        return self._spelling.piece(token)

    def is_special(self, token_id: int) -> bool:
        """Whether it is a special token. Raises UsageError for an id out of range."""
        self._check(token_id)
        return token_id in self._control

    def special_tokens(self) -> Sequence[SpecialToken]:
        """Every special token, the longest text first."""
        found = []
        for token_id in self._control:
            added = self._added.get(token_id)
            left, right = (added.lstrip, added.rstrip) if added else (False, False)
            found.append(SpecialToken(token_id, self.piece(token_id), left, right))
        return sorted(found, key=lambda token: (-len(token.text), token.id))

    def parsed_tokens(self, *, parse_special: bool) -> Sequence[SpecialToken]:
        """The tokens that are cut out of a text before anything else, the longest first."""
        found = [
            SpecialToken(token_id, added.content.encode(), added.lstrip, added.rstrip)
            for token_id, added in self._added.items()
            if parse_special or not added.special
        ]
        return sorted(found, key=lambda token: -len(token.text))

    def kind_of(self, token_id: int) -> str:
        """What sort of token it is: normal, control, user-defined, unknown, unused or byte."""
        self._check(token_id)
        if token_id in self._added:
            return "control" if token_id in self._control else "user-defined"
        if token_id in self._control:
            return "unknown"
        if token_id not in self._tokens:
            return "unused"
        return "byte" if self._spelling.is_byte(self._tokens[token_id]) else "normal"

    def score_of(self, token_id: int) -> float | None:
        """The token's score; None in a vocabulary that has none. Raises UsageError for an id out of range."""
        self._check(token_id)
        pieces = self.definition["model"].get("vocab")
        return float(pieces[token_id][1]) if isinstance(pieces, list) and token_id < len(pieces) else None

    def spelling(self, token_id: int) -> str:
        """The token as the vocabulary writes it (`Ġthe`, `▁the`, `##ing`)."""
        self._check(token_id)
        return self._tokens.get(token_id, "")

    def begins_anew(self, token_id: int) -> bool:
        """Whether the text behind this token gets a space before it, as at the beginning."""
        return self._space_behind_added and token_id in self._added

    def normalized(self, text: bytes) -> str:
        """A text as the file's normalizer leaves it."""
        characters = _characters(text)
        normalizer = self._library.normalizer
        return str(normalizer.normalize_str(characters)) if normalizer else characters

    def cut(self, normalized: str) -> list[str]:
        """A normalized text as the file's pre-tokenizer cuts it, in the vocabulary's spelling."""
        pre_tokenizer = self._library.pre_tokenizer
        if not pre_tokenizer:
            return [normalized] if normalized else []
        return [word for word, _ in pre_tokenizer.pre_tokenize_str(normalized)]

    def char_spans(self, text: bytes, ids: Sequence[int]) -> Sequence[tuple[int, int]] | None:
        """The characters of `text` that each of its `ids` stands for, as the library tells.

        A byte that is no UTF-8 is a character. None where `ids` is not what `encode` gives for it.
        """
        n_chars = len(_characters(text))
        for parse_special in (True, False):
            encoding = self._encoding(text, parse_special)
            for begins in (list(self._begins), [self.bos] if self.bos is not None else [], []):
                size = len(begins) + len(encoding.ids)
                if list(ids[:size]) == [*begins, *encoding.ids]:
                    behind = [(n_chars, n_chars)] * (len(ids) - size)
                    return [(0, 0)] * len(begins) + encoding.offsets + behind
        return None

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self.n_tokens:
            raise UsageError(
                f"token id {token_id} is not in the vocabulary of {self.name}",
                hint=f"its ids run from 0 to {self.n_tokens - 1}",
            )

    def _encoding(self, text: bytes, parse_special: bool) -> Encoding:
        characters = _characters(text)
        self._library.encode_special_tokens = not parse_special
        encoding: Encoding = self._library.encode(characters, add_special_tokens=False)
        return encoding

    def _around(
        self, template: Sequence[int], asked: bool | None, token_id: int | None, what: str
    ) -> Sequence[int]:
        if asked is False:
            return ()
        if asked and not template:
            if token_id is None:
                raise UsageError(
                    f"{self.name} names no {what} token",
                    hint="its post-processor adds none, and no tokenizer_config.json beside it names one",
                )
            return (token_id,)
        return template

    def _template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the post-processor puts before and behind every text."""
        encoding = self._library.encode("a", add_special_tokens=True)
        added = [part is None for part in encoding.sequence_ids]
        if all(added):
            return (), ()
        before = len(list(takewhile(bool, added)))
        behind = len(list(takewhile(bool, reversed(added))))
        ids = encoding.ids
        return tuple(ids[:before]), tuple(ids[len(ids) - behind :])

    def _puts_space_before(self, lead: bytes) -> bool:
        """Whether an `a` behind `lead` comes out as ` a`: found out by trying."""
        ids = self._encoding(lead + b"a", True).ids
        return b"".join(map(self.piece, ids)) == lead + b" a"

    def _puts_space_behind_added(self) -> bool:
        added = next((token for token in self.special_tokens() if token.id in self._added), None)
        return added is not None and self._puts_space_before(added.text)


def find_tokenizer_json(path: Path) -> Path | None:
    """The tokenizer.json that `path` is or holds; None for a GGUF file.

    Raises ModelError for a folder without one, and for a file that is neither.
    """
    if is_folder(path):
        inside = path / FILE_NAME
        if not is_file(inside):
            raise ModelError(f"{path}: no {FILE_NAME} in this folder", hint=_HINT)
        return inside
    start, _ = read_bytes(path, 0, 4096)
    if start.startswith(b"GGUF"):
        return None
    if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        kind = looks_like(start) if start else "it is empty"
        raise ModelError(f"{path}: neither a {FILE_NAME} nor a GGUF file ({kind})", hint=_HINT)
    return path


def load_tokenizer_json(path: Path) -> JsonTokenizer:
    """The tokenizer in the file at `path`, named after its folder and itself.

    Raises ModelError for a file that is no tokenizer.json.
    """
    data, size = read_bytes(path, 0, LARGEST)
    if size > LARGEST:
        raise ModelError(f"{path}: {size >> 20} MB is more than any {FILE_NAME} has")
    hint = _HINT
    try:
        source = data.decode("utf-8-sig")
        definition = json.loads(source)
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: not UTF-8 at byte {error.start}", hint=hint) from None
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}", hint=hint) from None
    except RecursionError:
        raise ModelError(f"{path}: JSON nested too deeply", hint=hint) from None
    if not isinstance(definition, dict) or not isinstance(definition.get("model"), dict):
        raise ModelError(f'{path}: JSON, but no {FILE_NAME} (it has no "model")', hint=hint)
    name = str(Path(path.parent.name) / path.name) if path.name == FILE_NAME else path.name
    return JsonTokenizer(source, definition, _config_beside(path), name)


def _from_source(source: str, name: str) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(source)
    except Exception as error:  # the library raises nothing more precise
        reason = str(error)
        raise ModelError(
            f"{name}: the tokenizers library can't read it: {reason[:300]}",
            hint=f"is it a whole {FILE_NAME}, and not newer than the library?",
        ) from None


def _characters(text: bytes) -> str:
    """A text for the library, which takes no bytes: U+FFFD for each that is no UTF-8."""
    return _LONE.sub("\ufffd", text.decode("utf-8", "surrogateescape"))


def _config_beside(path: Path) -> Mapping[str, Any]:
    """What tokenizer_config.json in the same folder says; nothing where there is none to read."""
    try:
        config = json.loads((path.parent / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _token_name(entry: Any) -> str:
    """A special token in tokenizer_config.json: its text, or an object with it."""
    text = entry.get("content") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else ""


def _unknown_token(definition: Mapping[str, Any]) -> str | None:
    """The token that stands for what the vocabulary can't spell."""
    model = definition["model"]
    if isinstance(unk := model.get("unk_id"), int) and isinstance(vocab := model.get("vocab"), list):
        return str(vocab[unk][0]) if 0 <= unk < len(vocab) else None
    unk = model.get("unk_token")
    return unk if isinstance(unk, str) else None


def _one_of(added: Sequence[int], named: int | None) -> int | None:
    """The BOS or EOS: the one that is added, or else the one that the configuration names."""
    return added[0] if added else named
