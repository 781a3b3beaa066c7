"""Training: fresh conversations, loss on the replies alone, on a CPU with two cores or on a GPU.

Two things are learnt at once. In whole conversations: to speak, and to remember. In openings, a question
and the first words of its answer: to understand what is asked; they are a third as long, so many more are
read in the same time. What understanding is, the model is also told outright: at the place where a reply
begins, a classifier on top of its middle layer must say which set of answers the reply will come from. It
is not part of the model that ships. What ships are not the last weights but a mean of the last ones: they
go to and fro between what the last batches taught, and the mean understands more questions than any of them.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from corpus import Maker, load_subjects
from model import Llama, Shape
from tokenizer import Encoded, encode
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

BATCH_TOKENS = 6144
POOL = 2048
"""Conversations and openings made at once and sorted by length, so that a batch holds little padding."""
OPENINGS = ((0.25, 0.85), (0.7, 0.4), (1.0, 0.65))
"""The share of openings among them, up to which part of the training. In the middle memory is learnt."""
OPENING = 8
"""How many tokens of an answer an opening holds."""
PEAK_RATE, WARMUP, COOL_DOWN = 2e-3, 100, 0.6
"""The learning rate: steps until its peak, and the last part of the training, in which it falls to zero."""
KEPT_OF_MEAN = 0.998
"""How much of the mean of the weights a step leaves: of what is in it, half is younger than 350 steps."""
MUON_RATE = 0.02
"""Muon's own: its steps have a length of their own, scaled by each matrix's shape."""


class Batch(NamedTuple):
    """Rows of one length: ids, the ids that follow them, and how much each of those counts.

    `places` are the places in the flattened rows where replies begin, `choices` the numbers of the sets of
    texts that these replies were chosen from.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    places: Tensor
    choices: Tensor


class Reader:
    """Makes batches without end, and gives every set of answers that it meets a number."""

    def __init__(self, tokenizer: Tokenizer, seed: int, context: int) -> None:
        self.tokenizer = tokenizer
        self.maker = Maker(load_subjects(), seed)
        self.random = random.Random(seed)
        self.context = context
        self.openings = OPENINGS[0][1]
        self.numbers = {choices: n for n, choices in enumerate(dict.fromkeys(self.maker.choices()))}

    def __iter__(self) -> Iterator[Batch]:
        while True:
            pool = sorted((self._row() for _ in range(POOL)), key=lambda row: len(row.ids))
            groups = []
            while pool:
                rows = max(1, BATCH_TOKENS // len(pool[-1].ids))
                groups.append(pool[-rows:])
                del pool[-rows:]
            self.random.shuffle(groups)
            yield from map(self._batch, groups)

    def _row(self) -> Encoded:
        if self.random.random() < self.openings:
            return encode(self.tokenizer, self.maker.exchange()[1], cut=OPENING)
        return encode(self.tokenizer, self.maker.conversation())

    def _batch(self, rows: list[Encoded]) -> Batch:
        length = min(self.context, max(len(row.ids) for row in rows) - 1)
        inputs = torch.zeros(len(rows), length, dtype=torch.long)
        targets = torch.zeros(len(rows), length, dtype=torch.long)
        weights = torch.zeros(len(rows), length)
        places, numbers = [], []
        for n, (ids, learn, choices) in enumerate(rows):
            n_ids = min(len(ids) - 1, length)
            inputs[n, :n_ids] = torch.tensor(ids[:n_ids])
            targets[n, :n_ids] = torch.tensor(ids[1 : n_ids + 1])
            weights[n, :n_ids] = torch.tensor(learn[1 : n_ids + 1])
            for place, texts in choices:
                if place < n_ids:
                    places.append(n * length + place)
                    numbers.append(self.numbers[texts])
        return Batch(inputs, targets, weights, torch.tensor(places), torch.tensor(numbers))


class Trainer:
    """The model, the classifier beside it, and their optimizers: Muon for matrices, AdamW for the rest."""

    def __init__(self, shape: Shape, n_choices: int, device: str) -> None:
        self.model = Llama(shape).to(device)
        self.classifier = nn.Sequential(
            nn.RMSNorm(shape.width, shape.eps), nn.Linear(shape.width, n_choices, bias=False)
        ).to(device)
        self.device = device
        layers = [p for p in self.model.blk.parameters() if p.dim() == 2]
        others = [p for p in self.model.parameters() if not any(p is q for q in layers)]
        others += self.classifier.parameters()
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(layers, lr=MUON_RATE, weight_decay=0.05, momentum=0.95),
            torch.optim.AdamW(others, lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.0),
        ]
        self.mean = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(KEPT_OF_MEAN))
        self.peaks = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        for block in self.model.blk:
            block.compile(dynamic=True)  # a fifth faster on a CPU, after a minute

    def step(self, batch: Batch, rate: float) -> dict[str, Tensor]:
        """Learn from a batch; what there is to see of it, as one figure for each case.

        The losses of the replies' tokens, which choices were known, and which repeated tokens were.
        """
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate
        inputs, targets, weights, places, choices = (each.to(self.device) for each in batch)
        learnt = weights.flatten() > 0
        weights, targets = weights.flatten()[learnt], targets.flatten()[learnt]
        with torch.autocast(self.device, torch.bfloat16):
            halfway, hidden = self.model(inputs)
            logits = self.model.logits(hidden.flatten(0, 1)[learnt])
            guesses = self.classifier(halfway.flatten(0, 1)[places])
        each = functional.cross_entropy(logits.float(), targets, reduction="none")
        loss = (each * weights).sum() / weights.sum() + functional.cross_entropy(guesses.float(), choices)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.mean.update_parameters(self.model)
        repeated = weights > 1
        return {
            "loss": each.detach()[weights >= 1],
            "known": (guesses.argmax(-1) == choices).float(),
            "repeated": (logits[repeated].argmax(-1) == targets[repeated]).float(),
        }

    def state(self) -> dict[str, object]:
        """All that a training needs to go on, and an export to be made."""
        return {
            "shape": asdict(self.model.shape),
            "weights": self.model.state_dict(),
            "mean": self.mean.module.state_dict(),
            "classifier": self.classifier.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load(self, state: dict[str, object]) -> None:
        """Take up what `state` gave."""
        self.model.load_state_dict(state["weights"])
        self.mean.module.load_state_dict(state["mean"])
        self.mean.n_averaged.fill_(1)
        self.classifier.load_state_dict(state["classifier"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def rate(done: float, step: int) -> float:
    """The share of the peak learning rate: a short warm-up, a plain, then straight down to zero."""
    return min((step + 1) / WARMUP, 1.0, max(0.0, (1 - done) / COOL_DOWN))


def main() -> None:
    """Train, and write the weights. What was written on the way can be taken up again with --resume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint of --out")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = Tokenizer.from_file(str(args.tokenizer))
    shape = Shape(tokenizer.get_vocab_size())
    saved = torch.load(args.out, weights_only=True, map_location=device) if args.resume else None
    step, seen = (saved["step"], saved["seen"]) if saved else (0, 0)
    # A resumed training meets conversations of its own, not those of the beginning once more.
    reader = Reader(tokenizer, args.seed + seen, shape.context)
    trainer = Trainer(shape, len(reader.numbers), device)
    if saved:
        trainer.load(saved)
    print(f"{sum(p.numel() for p in trainer.model.parameters()):,} parameters on {device}", flush=True)
    started, before = time.time(), seen
    lately: list[dict[str, Tensor]] = []
    for batch in reader:
        reader.openings = next(share for until, share in OPENINGS if seen <= until * args.tokens)
        lately.append(trainer.step(batch, rate(seen / args.tokens, step)))
        step += 1
        seen += batch.inputs.numel()
        over = seen >= args.tokens
        if step % 50 == 0 or over:
            loss, known, repeated = (
                torch.cat([figures[name] for figures in lately]).mean().item()
                for name in ("loss", "known", "repeated")
            )
            lately = []
            speed = (seen - before) / (time.time() - started)
            print(
                f"step {step:6} {seen / 1e6:7.2f} M tokens  loss {loss:.4f}  known {known:.1%}  "
                f"repeated {repeated:.1%}  {speed:,.0f} tokens/s",
                flush=True,
            )
        if step % 250 == 0 or over:
            torch.save(trainer.state() | {"step": step, "seen": seen}, args.out)
        if over:
            break


if __name__ == "__main__":
    main()
