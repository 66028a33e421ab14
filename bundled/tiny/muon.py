"""Muon: momentum whose update is made orthogonal, for the matrices between the embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
WEIGHT_DECAY = 0.02
NEWTON_SCHULZ_STEPS = 5
# Coefficients of the quintic iteration from Keller Jordan's description of Muon.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon:
    """Updates matrices of one shape together."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        self.groups: dict[torch.Size, list[nn.Parameter]] = {}
        for matrix in matrices:
            self.groups.setdefault(matrix.shape, []).append(matrix)
        self.momenta = {size: torch.zeros(len(group), *size) for size, group in self.groups.items()}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Moves every matrix along its orthogonalized momentum."""
        for size, group in self.groups.items():
            gradients = torch.stack([matrix.grad for matrix in group])
            momentum = self.momenta[size]
            momentum.lerp_(gradients, 1 - MOMENTUM)
            updates = orthogonal(gradients.lerp(momentum, MOMENTUM))
            scale = max(1.0, size[0] / size[1]) ** 0.5
            for matrix, update in zip(group, updates, strict=True):
                matrix.mul_(1 - learning_rate * WEIGHT_DECAY)
                matrix.add_(update, alpha=-learning_rate * scale)


def orthogonal(matrices: Tensor) -> Tensor:
    """Returns matrices with singular values near one, by a Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    x = matrices
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x
