"""Training: fresh conversations, loss on the replies alone, on a CPU with two cores or on a GPU."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from corpus import Maker, load_subjects
from model import Llama, Shape
from tokenizer import encode
from tokenizers import Tokenizer
from torch.nn import functional

BATCH_TOKENS = 6144
POOL = 512
"""Conversations made at once and sorted by length, so that a batch holds little padding."""
PEAK_RATE, WARMUP, COOL_DOWN = 2e-3, 100, 0.3
"""The learning rate: steps until its peak, and the last part of the training in which it falls to zero."""
MUON_RATE = 0.02
"""Muon's own: its steps have a length of their own, scaled by each matrix's shape."""


Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def batches(tokenizer: Tokenizer, seed: int, context: int) -> Iterator[Batch]:
    """Endless batches (rows, length): ids, the ids that follow them, and how much each of those counts."""
    maker = Maker(load_subjects(), seed)
    shuffle = random.Random(seed)
    while True:
        pool = [encode(tokenizer, maker.conversation()) for _ in range(POOL)]
        pool = sorted((ids[: context + 1], learn[: context + 1]) for ids, learn in pool)
        pool.sort(key=lambda item: len(item[0]))
        groups = []
        while pool:
            longest = len(pool[-1][0])
            rows = max(1, BATCH_TOKENS // longest)
            groups.append(pool[-rows:])
            del pool[-rows:]
        shuffle.shuffle(groups)
        for group in groups:
            length = max(len(ids) for ids, _ in group) - 1
            inputs = torch.zeros(len(group), length, dtype=torch.long)
            targets = torch.zeros(len(group), length, dtype=torch.long)
            weights = torch.zeros(len(group), length)
            for row, (ids, learn) in enumerate(group):
                inputs[row, : len(ids) - 1] = torch.tensor(ids[:-1])
                targets[row, : len(ids) - 1] = torch.tensor(ids[1:])
                weights[row, : len(ids) - 1] = torch.tensor(learn[1:])
            yield inputs, targets, weights


def rate(done: float, step: int) -> float:
    """The share of the peak learning rate: a short warm-up, a long plain, then straight down to zero."""
    return min((step + 1) / WARMUP, 1.0, max(0.0, (1 - done) / COOL_DOWN))


def optimizers(model: Llama) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    layers = [p for p in model.blk.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if not any(p is q for q in layers)]
    return [
        torch.optim.Muon(layers, lr=MUON_RATE, weight_decay=0.05, momentum=0.95),
        torch.optim.AdamW(others, lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def main() -> None:
    """Train, and write the weights. What was written on the way can be taken up again with --resume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, default=12.5e6)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of --out")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    shape = Shape(tokenizer.get_vocab_size())
    model = Llama(shape).to(device)
    for block in model.blk:
        block.compile(dynamic=True)  # a fifth faster on a CPU, after a minute
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters on {device}", flush=True)
    steppers = optimizers(model)
    peaks = [stepper.param_groups[0]["lr"] for stepper in steppers]
    first, seen = 0, 0
    if args.resume:
        saved = torch.load(args.out, weights_only=True, map_location=device)
        model.load_state_dict(saved["weights"])
        for stepper, state in zip(steppers, saved["steppers"], strict=True):
            stepper.load_state_dict(state)
        first, seen = saved["step"] + 1, saved["seen"]
    started, before, losses = time.time(), seen, []
    # A resumed training meets conversations of its own, not those of the beginning once more.
    for step, batch in enumerate(batches(tokenizer, args.seed + seen, shape.context), first):
        for stepper, peak in zip(steppers, peaks, strict=True):
            stepper.param_groups[0]["lr"] = peak * rate(seen / args.tokens, step)
        inputs, targets, weights = (each.to(device) for each in batch)
        learnt = weights.flatten() > 0
        weights, targets = weights.flatten()[learnt], targets.flatten()[learnt]
        with torch.autocast(device, torch.bfloat16):
            hidden = model(inputs).flatten(0, 1)[learnt]
            logits = model.logits(hidden)
        each = functional.cross_entropy(logits.float(), targets, reduction="none")
        loss = (each * weights).sum() / weights.sum()
        said = each.detach()[weights == 1].mean()
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
        seen += inputs.numel()
        losses.append(said.item())
        over = seen >= args.tokens
        if step % 50 == 0 or over:
            mean = sum(losses[-50:]) / len(losses[-50:])
            speed = (seen - before) / (time.time() - started)
            print(
                f"step {step:6} {seen / 1e6:7.2f} M tokens  loss {mean:.4f}  {speed:,.0f} tokens/s",
                flush=True,
            )
        if (step % 250 == 0 and step > first) or over:
            state = {"shape": shape.__dict__, "weights": model.state_dict(), "step": step, "seen": seen}
            torch.save(state | {"steppers": [s.state_dict() for s in steppers]}, args.out)
        if over:
            break


if __name__ == "__main__":
    main()
