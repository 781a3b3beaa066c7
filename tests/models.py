"""A tiny GGUF model, made here: real llama.cpp runs it, with random weights and a vocabulary of its own.

Its weights say nothing, but what it does with them is a model's work: attention over the whole context, a
peaked distribution, replies that end at <|im_end|>. Its byte-level BPE vocabulary is trained on the texts
below, so that Korean and emoji take several tokens a character.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and then the other dog thinks about the weather.",
    "A language model is a loop: text becomes tokens, tokens become a distribution over the next token.",
    "안녕하세요. 오늘 날씨가 참 좋습니다. 한국어 문장을 토큰으로 나누는 것은 재미있는 일입니다.",
    "こんにちは。今日はとても良い天気ですね。日本語の文章をトークンに分けます。",
    "def main() -> None:\n    for i in range(10):\n        print(f'{i}: {i * i}')\n    return None\n",
    '{"name": "llama", "size": 12, "tags": ["a", "b", "c"], "ok": true}\n',
    "😀 😃 🦙 👩‍👩‍👧‍👦 🇰🇷 emoji 😀🦙",
]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
USER_DEFINED = ["<think>", "</think>"]
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make_model(
    path: Path,
    *,
    context: int = 512,
    width: int = 64,
    heads: int = 2,
    layers: int = 2,
    causal: bool = True,
    window: int = 0,
    tokenizer: str = "gpt2",
    pre: str = "gpt-2",
    template: str | None = CHATML,
    seed: int = 0,
    bos: bool = False,
    broken: bool = False,
) -> Path:
    """Write a llama model with random weights and ChatML's tokens to `path`; the same for the same seed.

    With `bos` its vocabulary asks for a BOS before a text; one that is `broken` computes no numbers.
    With a sliding `window` it is a gemma2 model, every other layer of which sees only that many tokens back.
    """
    n_vocab = len(trained_vocabulary()[0]) + len(CONTROL) + len(USER_DEFINED)
    out = gguf.GGUFWriter(path, "gemma2" if window else "llama")
    out.add_name("tiny")
    out.add_context_length(context)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(2 * width)
    out.add_head_count(heads)
    out.add_head_count_kv(1)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(width // heads)
    out.add_vocab_size(n_vocab)
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    if not causal:
        out.add_causal_attention(False)
    if window:
        out.add_sliding_window(window)
        out.add_attn_logit_softcapping(50.0)
        out.add_final_logit_softcapping(30.0)
    _add_vocabulary(out, tokenizer, pre, bos)
    if template is not None:
        out.add_chat_template(template)
    tensors = _weights(n_vocab, width, heads, layers, seed)
    if broken:
        tensors["output.weight"][7] = np.nan
    if window:
        del tensors["output.weight"]  # gemma2 takes the embedding for it
        for layer in range(layers):
            for name in ("post_attention_norm", "post_ffw_norm"):
                tensors[f"blk.{layer}.{name}.weight"] = np.ones(width, dtype=np.float32)
    return _written(out, path, tensors)


def make_recurrent_model(path: Path, *, context: int = 512, width: int = 64, layers: int = 2) -> Path:
    """Write a Mamba model, whose cache is a single state, with random weights and the same vocabulary."""
    n_vocab = len(trained_vocabulary()[0]) + len(CONTROL) + len(USER_DEFINED)
    inner, state, rank, conv = 2 * width, 16, 4, 4
    out = gguf.GGUFWriter(path, "mamba")
    out.add_name("recurrent")
    out.add_context_length(context)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(0)
    out.add_head_count(0)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_ssm_conv_kernel(conv)
    out.add_ssm_inner_size(inner)
    out.add_ssm_state_size(state)
    out.add_ssm_time_step_rank(rank)
    out.add_vocab_size(n_vocab)
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_vocabulary(out, "gpt2", "gpt-2", False)
    out.add_chat_template(CHATML)
    rng = np.random.default_rng(0)

    def matrix(rows: int, cols: int, scale: float = 1.0) -> np.ndarray:
        return np.asarray(rng.standard_normal((rows, cols)) * scale * cols**-0.5, np.float32)

    tensors = {
        "token_embd.weight": matrix(n_vocab, width, width**0.5),
        "output_norm.weight": np.ones(width, np.float32),
        "output.weight": matrix(n_vocab, width, 2.5),
    }
    for layer in range(layers):
        block = f"blk.{layer}."
        tensors |= {
            block + "attn_norm.weight": np.ones(width, np.float32),
            block + "ssm_in.weight": matrix(2 * inner, width, 2.0),
            block + "ssm_conv1d.weight": matrix(inner, conv, 2.0),
            block + "ssm_conv1d.bias": np.zeros(inner, np.float32),
            block + "ssm_x.weight": matrix(rank + 2 * state, inner, 2.0),
            block + "ssm_dt.weight": matrix(inner, rank),
            block + "ssm_dt.bias": np.full(inner, -2.0, np.float32),
            block + "ssm_a": -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1)),
            block + "ssm_d": np.ones(inner, np.float32),
            block + "ssm_out.weight": matrix(width, inner, 2.0),
        }
    return _written(out, path, tensors)


def trained_vocabulary(size: int = 480) -> tuple[list[str], list[str]]:
    """The tokens and merges of a byte-level BPE trained on TEXTS, in GPT-2's spelling."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False)
    with pytest.MonkeyPatch.context() as patch:
        # Once it has used threads, tokenizers writes a warning on stderr at every fork.
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        tokenizer.train_from_iterator(TEXTS * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return tokens, [" ".join(merge) for merge in model["merges"]]


def _weights(n_vocab: int, width: int, heads: int, layers: int, seed: int) -> dict[str, np.ndarray]:
    """Random tensors by name: embeddings as large as what the layers add, logits of a deviation of 2.5."""
    rng = np.random.default_rng(seed)
    head = width // heads

    def matrix(rows: int, cols: int, scale: float = 1.0) -> np.ndarray:
        values = rng.standard_normal((rows, cols), dtype=np.float32)
        values *= np.float32(scale * cols**-0.5)
        return values

    ones = np.ones(width, dtype=np.float32)
    weights = {
        "token_embd.weight": matrix(n_vocab, width, width**0.5),
        "output_norm.weight": ones,
        "output.weight": matrix(n_vocab, width, 2.5),
    }
    for layer in range(layers):
        block = f"blk.{layer}."
        weights |= {
            block + "attn_norm.weight": ones,
            block + "ffn_norm.weight": ones,
            block + "attn_q.weight": matrix(width, width, 2.0),
            block + "attn_k.weight": matrix(head, width, 2.0),
            block + "attn_v.weight": matrix(head, width, 2.0),
            block + "attn_output.weight": matrix(width, width, 2.0),
            block + "ffn_gate.weight": matrix(2 * width, width, 2.0),
            block + "ffn_up.weight": matrix(2 * width, width),
            block + "ffn_down.weight": matrix(width, 2 * width),
        }
    return weights


def _add_vocabulary(out: gguf.GGUFWriter, tokenizer: str, pre: str, bos: bool) -> None:
    tokens, merges = trained_vocabulary()
    names = [*tokens, *CONTROL, *USER_DEFINED]
    out.add_tokenizer_model(tokenizer)
    out.add_tokenizer_pre(pre)
    out.add_token_list(names)
    out.add_token_types(
        [gguf.TokenType.NORMAL] * len(tokens)
        + [gguf.TokenType.CONTROL] * len(CONTROL)
        + [gguf.TokenType.USER_DEFINED] * len(USER_DEFINED)
    )
    out.add_token_merges(merges)
    out.add_bos_token_id(names.index("<|endoftext|>"))
    out.add_eos_token_id(names.index("<|im_end|>"))
    out.add_eot_token_id(names.index("<|im_end|>"))
    out.add_add_bos_token(bos)


def _written(out: gguf.GGUFWriter, path: Path, tensors: dict[str, np.ndarray]) -> Path:
    for name, weights in tensors.items():
        out.add_tensor(name, weights)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path
