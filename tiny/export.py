"""From PyTorch's weights to a GGUF file, and from F16 to the quantized one that ships."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from llama_cpp import llama_cpp as lib
from model import Shape
from tokenizer import CHAT_TEMPLATE, END, END_OF_TEXT, SPECIAL

NAME = "tiny"
DESCRIPTION = (
    "A demonstration chat model that knows about language models and llmcli and little else. "
    "It ships with llmcli and was trained on a corpus written for it."
)


def write_f16(weights: Path, tokenizer: Path, out: Path) -> None:
    """Write the weights as a GGUF of the llama architecture in F16."""
    saved = torch.load(weights, weights_only=True, map_location="cpu")
    shape = Shape(**saved["shape"])
    writer = gguf.GGUFWriter(out, "llama")
    _add_description(writer, shape)
    _add_vocabulary(writer, tokenizer)
    for name, tensor in saved["mean"].items():
        values = tensor.float().numpy()
        # llama.cpp wants vectors in F32; the matrices are F16 until they are quantized.
        kind = np.float32 if values.ndim == 1 else np.float16
        writer.add_tensor(name, np.ascontiguousarray(values.astype(kind)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(f16: Path, out: Path) -> None:
    """Quantize with llama.cpp's own quantizer, to Q8_0."""
    params = lib.llama_model_quantize_default_params()
    params.ftype = lib.LLAMA_FTYPE_MOSTLY_Q8_0
    if lib.llama_model_quantize(str(f16).encode(), str(out).encode(), params) != 0:
        raise RuntimeError("llama.cpp could not quantize the model")


def _add_description(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("MIT")
    writer.add_author("The llmcli authors")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_F16))


def _add_vocabulary(writer: gguf.GGUFWriter, path: Path) -> None:
    bpe = json.loads(path.read_text("utf-8"))["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in bpe["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokens.index(END))
    writer.add_eot_token_id(tokens.index(END))
    writer.add_pad_token_id(tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--f16", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write_f16(args.weights, args.tokenizer, args.f16)
    quantize(args.f16, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
