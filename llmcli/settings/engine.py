"""How a model is loaded and its context made; names and defaults are llama.cpp's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmcli.settings.option import option, switch
from llmcli.settings.values import (
    choice,
    integer,
    lora_adapter,
    names,
    number,
    proportions,
)

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")

AUTO_LIMIT = 16384
"""The largest window that nobody has to ask for, in tokens."""


@dataclass(frozen=True)
class EngineOptions:
    """How a model is loaded and its context made."""

    ctx_size: int | None = option(
        None,
        "-c",
        "--ctx-size",
        metavar="N|auto",
        parse=integer(0, 2**31 - 256, auto=None),
        help="Size of the context window in tokens; 0 = the model's own, auto (default) = the model's own, "
        "but no more than 16384 or than fits in memory.",
    )
    n_gpu_layers: int | str = option(
        "auto",
        "-ngl",
        "--n-gpu-layers",
        metavar="N|auto|all",
        parse=integer(0, auto="auto", all="all"),
        help="Layers to put on the GPU, the output counted as one; auto = as many as fit.",
    )
    threads: int | None = option(
        None,
        "-t",
        "--threads",
        metavar="N",
        parse=integer(1, 512),
        help="Threads for generation (default: the processors this process may use).",
    )
    threads_batch: int | None = option(
        None,
        "-tb",
        "--threads-batch",
        metavar="N",
        parse=integer(1, 512),
        help="Threads for prompt processing (default: as --threads).",
    )
    batch_size: int = option(
        2048,
        "-b",
        "--batch-size",
        metavar="N",
        parse=integer(1),
        help="Tokens given to llama.cpp at once, at most.",
    )
    ubatch_size: int = option(
        512,
        "-ub",
        "--ubatch-size",
        metavar="N",
        parse=integer(1),
        help="Tokens computed at once, at most.",
    )
    flash_attn: str = option(
        "auto",
        "-fa",
        "--flash-attn",
        metavar="auto|on|off",
        parse=choice("auto", "on", "off"),
        help="Flash attention.",
    )
    cache_type_k: str = option(
        "f16",
        "-ctk",
        "--cache-type-k",
        metavar="TYPE",
        parse=choice(*CACHE_TYPES),
        help="Type of the keys in the KV cache.",
    )
    cache_type_v: str = option(
        "f16",
        "-ctv",
        "--cache-type-v",
        metavar="TYPE",
        parse=choice(*CACHE_TYPES),
        help="Type of the values in the KV cache; a quantized one needs flash attention.",
    )
    main_gpu: int = option(
        0,
        "-mg",
        "--main-gpu",
        metavar="N",
        parse=integer(0),
        help="The GPU that holds the whole model with --split-mode none.",
    )
    tensor_split: tuple[float, ...] = option(
        (),
        "-ts",
        "--tensor-split",
        metavar="N,N,...",
        parse=proportions,
        help="Share of the model for each GPU.",
    )
    split_mode: str = option(
        "layer",
        "-sm",
        "--split-mode",
        metavar="none|layer|row",
        parse=choice("none", "layer", "row"),
        help="How to split the model over several GPUs.",
    )
    device: tuple[str, ...] = option(
        (),
        "-dev",
        "--device",
        metavar="NAME,...",
        parse=names,
        help="The devices for the layers, by name ('llmcli doctor' lists them); none = the CPU alone.",
    )
    cpu_moe: bool = switch(
        False,
        "-cmoe",
        "--cpu-moe",
        help="Keep the weights of a mixture of experts on the CPU.",
    )
    rpc: tuple[str, ...] = option(
        (),
        "--rpc",
        metavar="HOST:PORT,...",
        parse=names,
        help="Use the devices of llama.cpp's RPC servers, where the build can.",
    )
    no_mmap: bool = switch(
        False,
        "--no-mmap",
        help="Read the model into memory instead of mapping the file.",
    )
    mlock: bool = switch(
        False,
        "--mlock",
        help="Keep the model from being swapped out.",
    )
    swa_full: bool = switch(
        False,
        "--swa-full",
        help="Keep the full cache of a sliding-window model.",
    )
    rope_scaling: str | None = option(
        None,
        "--rope-scaling",
        metavar="none|linear|yarn",
        parse=choice("none", "linear", "yarn"),
        help="RoPE scaling (default: the model's own).",
    )
    rope_freq_base: float = option(
        0.0,
        "--rope-freq-base",
        metavar="N",
        parse=number(0),
        help="RoPE base frequency; 0 = the model's.",
    )
    rope_freq_scale: float = option(
        0.0,
        "--rope-freq-scale",
        metavar="N",
        parse=number(0),
        help="RoPE frequency scale; 0 = the model's.",
    )
    yarn_orig_ctx: int = option(
        0,
        "--yarn-orig-ctx",
        metavar="N",
        parse=integer(0),
        help="YaRN: context size of the training.",
    )
    yarn_ext_factor: float = option(
        -1.0,
        "--yarn-ext-factor",
        metavar="N",
        parse=number(-1),
        help="YaRN: extrapolation mix; -1 = the model's.",
    )
    yarn_attn_factor: float = option(
        -1.0,
        "--yarn-attn-factor",
        metavar="N",
        parse=number(-1),
        help="YaRN: attention scale; -1 = the model's.",
    )
    yarn_beta_slow: float = option(
        -1.0,
        "--yarn-beta-slow",
        metavar="N",
        parse=number(-1),
        help="YaRN: high correction; -1 = the model's.",
    )
    yarn_beta_fast: float = option(
        -1.0,
        "--yarn-beta-fast",
        metavar="N",
        parse=number(-1),
        help="YaRN: low correction; -1 = the model's.",
    )
    lora: tuple[tuple[Path, float], ...] = option(
        (),
        "--lora",
        metavar="FILE[:SCALE]",
        parse=lora_adapter,
        repeatable=True,
        help="Apply a LoRA adapter (repeatable).",
    )
