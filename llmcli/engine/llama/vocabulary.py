"""A GGUF's vocabulary, as llama.cpp reads it: the Tokenizer that everything else uses."""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llmcli.engine.llama.deep_stack import SHALLOW, call_deep, longest_unbroken
from llmcli.engine.llama.library import lib
from llmcli.errors import EngineError, InputError, ModelError, UsageError
from llmcli.tokens.tokenizer import SpecialToken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmcli.engine.llama.model import LlamaModel
    from llmcli.gguf.header import Header

Result = TypeVar("Result")

NO_TOKEN = -1
INT32_MIN = -(2**31)
CONTROL = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN
"""What llama.cpp parses only on request; user-defined tokens it always parses."""
PARSED = CONTROL | lib.LLAMA_TOKEN_ATTR_USER_DEFINED

ALGORITHMS = {
    lib.LLAMA_VOCAB_TYPE_SPM: "sentencepiece",
    lib.LLAMA_VOCAB_TYPE_BPE: "bpe",
    lib.LLAMA_VOCAB_TYPE_WPM: "wordpiece",
    lib.LLAMA_VOCAB_TYPE_UGM: "unigram",
    lib.LLAMA_VOCAB_TYPE_RWKV: "rwkv",
}
ROLES = (((False, False), (False, True)), ((True, False), (True, True)))
"""Whether a token is special, whether it ends a reply: held once for all tokens."""
KINDS = (
    (lib.LLAMA_TOKEN_ATTR_CONTROL, "control"),
    (lib.LLAMA_TOKEN_ATTR_UNKNOWN, "unknown"),
    (lib.LLAMA_TOKEN_ATTR_USER_DEFINED, "user-defined"),
    (lib.LLAMA_TOKEN_ATTR_UNUSED, "unused"),
    (lib.LLAMA_TOKEN_ATTR_BYTE, "byte"),
)
TAKES_BYTES = (lib.LLAMA_VOCAB_TYPE_SPM, lib.LLAMA_VOCAB_TYPE_UGM, lib.LLAMA_VOCAB_TYPE_RWKV)
"""Kinds of vocabularies that take a text's bytes as they are; the others take its characters."""

# llama.cpp writes U+FFFD for each byte that is no UTF-8, but these it takes for characters, and dies of them:
# above U+10FFFF, which it can decode but not encode; and, where spaces are spelled as U+2581, a space in
# more bytes than it needs.
_BEYOND_UNICODE = rb"(?:\xf4[\x90-\xbf]|[\xf5-\xf7][\x80-\xbf])[\x80-\xbf]{2}"
_LONG_SPACE = rb"\xc0\xa0|\xe0\x80\xa0|\xf0\x80\x80\xa0"
_DEADLY = re.compile(_BEYOND_UNICODE)
_DEADLY_WITH_SPACES = re.compile(_BEYOND_UNICODE + b"|" + _LONG_SPACE)
_REPLACEMENT, _SPELLED_SPACE = "\ufffd".encode(), "\u2581".encode()


class LlamaVocabulary:
    """Encodes and decodes; every id is checked before it reaches C."""

    def __init__(self, model: LlamaModel) -> None:
        # The model owns the C vocabulary: held here so that it lives as long.
        self._model = model
        vocab = lib.llama_model_get_vocab(model.pointer)
        if vocab is None:
            raise EngineError(f"{model.name} has no vocabulary")
        self.name = model.name
        self.n_tokens: int = lib.llama_vocab_n_tokens(vocab)
        self.kind: int = lib.llama_vocab_type(vocab)
        if self.kind == lib.LLAMA_VOCAB_TYPE_NONE:
            raise ModelError(f"{model.name} has no vocabulary", hint="llmcli needs a model of text")
        self.bos: int = lib.llama_vocab_bos(vocab)
        self.eos: int = lib.llama_vocab_eos(vocab)
        self.sep: int = lib.llama_vocab_sep(vocab)
        self.adds_bos = bool(lib.llama_vocab_get_add_bos(vocab))
        self.adds_eos = bool(lib.llama_vocab_get_add_eos(vocab))
        self._inside: set[int] = set()
        self._pieces: dict[int, bytes] = {}
        self._roles: dict[int, tuple[bool, bool]] = {}
        self._parsed: list[tuple[SpecialToken, int]] | None = None
        self._deadly = self._deadly_bytes()
        self.adds_space_prefix = self._puts_space_before()

    @property
    def in_use(self) -> bool:
        """Whether a thread is inside llama.cpp with it, as when Ctrl-C left one behind."""
        return bool(self._inside)

    @property
    def path(self) -> Path:
        """The GGUF file."""
        return self._model.path

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the model's own chat template."""
        return self._model.chat_template

    def template_tokens(self) -> tuple[str, str]:
        """The texts of BOS and EOS, as chat templates write them; empty where there is none."""
        return self._model.token_text(self.bos), self._model.token_text(self.eos)

    @property
    def algorithm(self) -> str:
        """How it splits text: bpe, sentencepiece, wordpiece, unigram, rwkv, or other."""
        return ALGORITHMS.get(self.kind, "other")

    @property
    def pointer(self) -> int:
        """The C vocabulary. Raises EngineError after the model was closed."""
        return int(lib.llama_model_get_vocab(self._model.pointer))

    def encode(
        self,
        text: bytes,
        *,
        parse_special: bool = True,
        bos: bool | None = None,
        eos: bool | None = None,
    ) -> list[int]:
        """The ids of `text`; see Tokenizer.

        Raises UsageError where a BOS or EOS is asked for that the vocabulary does not have, InputError for a
        text of 2 GB or one that would overflow every stack.
        """
        ids = self._encode(text, parse_special) if text else []
        # llama.cpp adds them itself on request, but aborts where the token does not exist.
        word_piece = self.kind == lib.LLAMA_VOCAB_TYPE_WPM
        if self._wanted(bos, self.adds_bos or word_piece, self.bos, "BOS"):
            ids.insert(0, self.bos)
        end = self.sep if word_piece else self.eos
        if self._wanted(eos, self.adds_eos or word_piece, end, "EOS"):
            ids.append(end)
        return ids

    def encode_array(self, text: bytes, *, parse_special: bool) -> NDArray[np.uint32]:
        """The text's own ids as an array: no BOS, no EOS. Errors as `encode`."""
        import numpy as np

        if not text:
            return np.empty(0, np.uint32)
        return self._encode_with(text, lambda made: self._tokenize_array(made, parse_special))

    def header(self) -> Header:
        """The header of the file that the vocabulary was read from."""
        return self._model.header

    def piece(self, token_id: int) -> bytes:
        """The bytes of a token; of a special token its name. Raises UsageError for an id out of range."""
        piece = self._pieces.get(token_id)
        if piece is None:
            piece = self._pieces[token_id] = self._read_piece(token_id)
        return piece

    def is_special(self, token_id: int) -> bool:
        """Whether it is a control token. Raises UsageError for an id out of range."""
        return (self._roles.get(token_id) or self._read_roles(token_id))[0]

    def begins_anew(self, token_id: int) -> bool:
        """Whether SentencePiece puts its space before the text behind this token, too."""
        return self.adds_space_prefix and bool(self.attributes(token_id) & PARSED)

    def attributes(self, token_id: int) -> int:
        """llama.cpp's LLAMA_TOKEN_ATTR_* bits. Raises UsageError for an id out of range."""
        self._check(token_id)
        return int(lib.llama_vocab_get_attr(self.pointer, token_id))

    def kind_of(self, token_id: int) -> str:
        """What sort of token it is: normal, control, user-defined, unknown, unused or byte."""
        attributes = self.attributes(token_id)
        return next((kind for bit, kind in KINDS if attributes & bit), "normal")

    def score_of(self, token_id: int) -> float | None:
        """The token's score; None in a vocabulary that has none. Raises UsageError for an id out of range."""
        self._check(token_id)
        if self.kind not in (lib.LLAMA_VOCAB_TYPE_SPM, lib.LLAMA_VOCAB_TYPE_UGM):
            return None
        return float(lib.llama_vocab_get_score(self.pointer, token_id))

    def spelling(self, token_id: int) -> str:
        """The token as the vocabulary writes it (`Ġthe`, `▁the`, `<0x0A>`)."""
        self._check(token_id)
        text: bytes = lib.llama_vocab_get_text(self.pointer, token_id)
        return text.decode("utf-8", "replace")

    def ends_reply(self, token_id: int) -> bool:
        """Whether the token ends a generation (EOS, EOT, ...). Raises UsageError for an id out of range."""
        return (self._roles.get(token_id) or self._read_roles(token_id))[1]

    def special_tokens(self) -> Sequence[SpecialToken]:
        """Every control token that has a text, the longest text first."""
        return [token for token, attributes in self._cut_out() if attributes & CONTROL]

    def parsed_tokens(self, *, parse_special: bool) -> Sequence[SpecialToken]:
        """The tokens that are cut out of a text before anything else, the longest first."""
        return [token for token, attributes in self._cut_out() if parse_special or not attributes & CONTROL]

    def _check(self, token_id: int) -> None:
        if not 0 <= token_id < self.n_tokens:
            raise UsageError(
                f"token id {token_id} is not in the vocabulary of {self.name}",
                hint=f"its ids run from 0 to {self.n_tokens - 1}",
            )

    def _cut_out(self) -> Sequence[tuple[SpecialToken, int]]:
        """Control and user-defined tokens that have a text, with their attributes, the longest text first."""
        if self._parsed is None:
            found = []
            with self._held() as pointer:
                for token_id in range(self.n_tokens):
                    attributes = lib.llama_vocab_get_attr(pointer, token_id)
                    if attributes & PARSED and (text := self.piece(token_id)):
                        left = bool(attributes & lib.LLAMA_TOKEN_ATTR_LSTRIP)
                        right = bool(attributes & lib.LLAMA_TOKEN_ATTR_RSTRIP)
                        found.append((SpecialToken(token_id, text, left, right), attributes))
            self._parsed = sorted(found, key=lambda entry: -len(entry[0].text))
        return self._parsed

    @contextmanager
    def _held(self) -> Iterator[int]:
        """The C vocabulary, for a thread that Ctrl-C may leave behind: within the block it is not freed."""
        thread = threading.get_ident()
        self._inside.add(thread)
        try:
            yield self.pointer
        finally:
            self._inside.discard(thread)

    def _wanted(self, asked: bool | None, default: bool, token_id: int, what: str) -> bool:
        if asked and token_id == NO_TOKEN:
            raise UsageError(f"the vocabulary of {self.name} has no {what} token")
        return (default if asked is None else asked) and token_id != NO_TOKEN

    def _encode(self, text: bytes, parse_special: bool) -> list[int]:
        return self._encode_with(text, lambda made: self._tokenize(made, parse_special))

    def _encode_with(self, text: bytes, tokenize: Callable[[bytes], Result]) -> Result:
        """What `tokenize` makes of the text, which can't end the process any more."""
        if self._deadly:
            text = self._deadly.sub(lambda found: _REPLACEMENT * len(found[0]), text)
        if len(text) >= 2**31 - 1:
            raise InputError("a text of 2 GB or more can't be tokenized as one", hint="split it into lines")
        depth = longest_unbroken(text) if len(text) > SHALLOW else len(text)
        try:
            return call_deep(lambda: tokenize(text), depth)
        except KeyboardInterrupt:
            # The thread with the deep stack may still be reading the vocabulary.
            self._model.keep_allocated()
            raise

    def _tokenize(self, text: bytes, parse_special: bool) -> list[int]:
        # Most tokens stand for several bytes; where they do not, llama.cpp says how many there are.
        room = len(text) // 2 + 16
        with self._held() as pointer:
            while True:
                buffer = (lib.llama_token * room)()
                n = lib.llama_tokenize(pointer, text, len(text), buffer, room, False, parse_special)
                if n >= 0:
                    return list(buffer[:n])
                if n == INT32_MIN:
                    raise InputError("the text has more than 2 billion tokens", hint="split it into lines")
                room = -n

    def _tokenize_array(self, text: bytes, parse_special: bool) -> NDArray[np.uint32]:
        """The same as `_tokenize` for many texts, from several threads: no list, and room for the worst."""
        import numpy as np

        ids = np.empty(len(text) + 16, np.int32)
        with self._held() as pointer:
            while True:
                buffer = ids.ctypes.data_as(ctypes.POINTER(lib.llama_token))
                n = lib.llama_tokenize(pointer, text, len(text), buffer, len(ids), False, parse_special)
                if n >= 0 or n == INT32_MIN:
                    break
                ids = np.empty(-n, np.int32)
        if n == INT32_MIN:
            raise InputError("the text has more than 2 billion tokens", hint="split it into lines")
        return ids[:n].astype(np.uint32)

    def _read_piece(self, token_id: int) -> bytes:
        self._check(token_id)
        room = 32
        while True:
            buffer = ctypes.create_string_buffer(room)
            n = lib.llama_token_to_piece(self.pointer, token_id, buffer, room, 0, True)
            if n >= 0:
                return buffer.raw[:n]
            room = -n

    def _read_roles(self, token_id: int) -> tuple[bool, bool]:
        """Whether a token is special, and whether it ends a reply: the four answers are one object each."""
        special = bool(self.attributes(token_id) & CONTROL)
        ends = bool(lib.llama_vocab_is_eog(self.pointer, token_id))
        self._roles[token_id] = roles = ROLES[special][ends]
        return roles

    def _deadly_bytes(self) -> re.Pattern[bytes] | None:
        """What in a text would end the process, if it reached llama.cpp's tokenizer."""
        if self.kind in TAKES_BYTES:
            return None
        space = self._tokenize(b" ", False)
        spelled = space and lib.llama_vocab_get_text(self.pointer, space[0]) == _SPELLED_SPACE
        return _DEADLY_WITH_SPACES if spelled else _DEADLY

    def _puts_space_before(self) -> bool:
        """Whether encoding puts a space before a text: found out by trying, as metadata may be silent."""
        ids = self._encode(b"a", False)
        return b"".join(map(self.piece, ids)) == b" a"
