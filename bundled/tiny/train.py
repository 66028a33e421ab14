#!/usr/bin/env python3
"""Trains impetus-tiny on generated documents for a given wall time, from given weights or none.

Each rank is a process of one thread that draws its own documents; gradients are summed over the
ranks. The learning rate follows the wall time, so that a busy machine makes a shorter leg, not a
later one.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional

import shape
from data.document import Documents
from model import TinyModel
from muon import Muon

MATRIX_RATE = 0.02
OTHER_RATE = 3e-3
LEAST_RATE = 0.002
WARM_UP_STEPS = 30
FLAT_UNTIL = 0.15
SAVE_EVERY_S = 300.0
LOG_EVERY_STEPS = 10


@dataclass(frozen=True)
class Stage:
    """Sizes used until this share of the wall time is over, per rank and step."""

    until: float
    rows: int
    row_tokens: int
    longest_count: int


STAGES = (Stage(0.9, 2, 1024, 120), Stage(1.0, 1, 2048, 150))


def main() -> None:
    """Parses the command line and starts the ranks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, required=True, help="wall time of the leg")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (safetensors)")
    parser.add_argument("--init", type=Path, help="weights to start from; none starts from scratch")
    parser.add_argument(
        "--seed", type=int, default=10_000, help="seed of the first rank's documents"
    )
    parser.add_argument("--peak", type=float, default=0.8, help="factor on the learning rates")
    parser.add_argument("--ranks", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--port", type=int, default=29_523, help="loopback port the ranks meet at")
    args = parser.parse_args()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(args.port),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    multiprocessing.spawn(run_rank, args=(args,), nprocs=args.ranks)


def run_rank(rank: int, args: argparse.Namespace) -> None:
    """Runs one rank from its first step to the saved weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=args.ranks)
    Leg(rank, args).run()
    distributed.destroy_process_group()


class Leg:
    """One rank's part of a training leg."""

    def __init__(self, rank: int, args: argparse.Namespace) -> None:
        self.rank = rank
        self.args = args
        self.tokenizer = Tokenizer.from_file(str(shape.TOKENIZER))
        self.documents = Documents(args.seed + rank)
        self.model = TinyModel()
        if args.init:
            self.model.load_state_dict(load_file(args.init))
        self.hidden = torch.compile(self.model.model, dynamic=False)
        self.parameters = list(self.model.parameters())
        matrices = [p for n, p in self.model.named_parameters() if n.endswith("_proj.weight")]
        self.others = [
            p for n, p in self.model.named_parameters() if not n.endswith("_proj.weight")
        ]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(self.others, betas=(0.9, 0.98), weight_decay=0.0, eps=1e-10)
        self.started = time.monotonic()
        self.step = self.n_tokens = self.n_targets = 0

    def run(self) -> None:
        """Steps until the wall time is over; the first rank writes the log and the weights."""
        log = self.args.out.with_suffix(".csv").open("w", newline="") if self.rank == 0 else None
        writer = csv.writer(log) if log else None
        if writer:
            writer.writerow(["step", "seconds", "tokens", "targets", "loss", "rate"])
        progress = 0.0
        smooth = None
        next_save = SAVE_EVERY_S
        while progress < 1.0:
            stage = next(stage for stage in STAGES if progress < stage.until)
            rate = self.rate(progress)
            loss, progress = self.train_step(stage, rate)
            smooth = loss if smooth is None else 0.96 * smooth + 0.04 * loss
            seconds = time.monotonic() - self.started
            if writer and self.step % LOG_EVERY_STEPS == 0:
                counts = (self.step, int(seconds), self.n_tokens, self.n_targets)
                writer.writerow([*counts, f"{smooth:.4f}", f"{rate:.4f}"])
                log.flush()
            if self.rank == 0 and seconds > next_save:
                next_save += SAVE_EVERY_S
                self.save()
        if self.rank == 0:
            self.save()
            log.close()
        distributed.barrier()

    def rate(self, progress: float) -> float:
        """Returns the factor on the learning rates: a warm-up, a plateau, a line down to zero."""
        warm = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        fall = 1.0 if progress < FLAT_UNTIL else (1.0 - progress) / (1.0 - FLAT_UNTIL)
        return warm * self.args.peak * fall + LEAST_RATE

    def train_step(self, stage: Stage, rate: float) -> tuple[float, float]:
        """Takes one step; returns the mean loss per weight, and the ranks' mean progress."""
        self.documents.longest_count = stage.longest_count
        tokens, weights = self.rows(stage)
        targets, weight = tokens[:, 1:], weights[:, 1:]
        learned = weight > 0
        hidden = self.hidden(tokens[:, :-1].contiguous())[learned]
        losses = functional.cross_entropy(
            self.model.logits(hidden), targets[learned], reduction="none"
        )
        loss = (losses * weight[learned]).sum()
        loss.backward()

        share = (time.monotonic() - self.started) / (self.args.minutes * 60)
        totals = [loss.item(), float(weight.sum()), float(learned.sum()), share]
        flat = torch.cat([p.grad.flatten() for p in self.parameters] + [torch.tensor(totals)])
        distributed.all_reduce(flat)
        total_loss, total_weight, n_targets, share = flat[-4:].tolist()
        self.apply(flat[:-4] / max(total_weight, 1.0), rate)

        self.step += 1
        self.n_tokens += stage.rows * stage.row_tokens * self.args.ranks
        self.n_targets += int(n_targets)
        return total_loss / max(total_weight, 1.0), share / self.args.ranks

    def apply(self, gradients: torch.Tensor, rate: float) -> None:
        """Updates the parameters with the gradients that all ranks agreed on."""
        offset = 0
        for parameter in self.parameters:
            part = gradients[offset : offset + parameter.numel()]
            parameter.grad.copy_(part.view_as(parameter))
            offset += parameter.numel()
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        self.muon.step(MATRIX_RATE * rate)
        for group in self.adam.param_groups:
            group["lr"] = OTHER_RATE * rate
        self.adam.step()
        self.model.zero_grad(set_to_none=True)

    def rows(self, stage: Stage) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns rows of packed documents and the weight of each token, one token longer."""
        length = stage.row_tokens + 1
        tokens = np.zeros((stage.rows, length), np.int64)
        weights = np.zeros((stage.rows, length), np.float32)
        for row in range(stage.rows):
            filled = 0
            while filled < length:
                ids, weight = self.encode(stage.row_tokens)
                n = min(len(ids), length - filled)
                tokens[row, filled : filled + n] = ids[:n]
                weights[row, filled : filled + n] = weight[:n]
                filled += n
        return torch.from_numpy(tokens), torch.from_numpy(weights)

    def encode(self, budget_tokens: int) -> tuple[list[int], list[float]]:
        """Returns one document as tokens with their weights."""
        spans = self.documents.next(budget_tokens)
        texts = [span.text for span in spans]
        ids: list[int] = []
        weights: list[float] = []
        for span, encoded in zip(
            spans, self.tokenizer.encode_batch(texts, add_special_tokens=False), strict=True
        ):
            ids += encoded.ids
            weights += [span.weight] * len(encoded.ids)
        return ids, weights

    def save(self) -> None:
        """Writes the weights, whole or not at all."""
        partial = self.args.out.with_suffix(".partial")
        save_file(self.model.state_dict(), partial, metadata={"format": "pt"})
        partial.replace(self.args.out)


if __name__ == "__main__":
    main()
