"""The model in PyTorch: a Llama whose parameters carry the names Hugging Face gives them.

Everything is F32: half-precision arithmetic is slower on a processor without support for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from shape import SHAPE


class Norm(nn.Module):
    """Root-mean-square normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(SHAPE.width))

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x` with a root mean square of one, scaled by the weight."""
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + SHAPE.norm_epsilon)
        return x * scale * self.weight


class Projection(nn.Module):
    """A linear map without bias."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, columns) * columns**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the product with the weight."""
        return functional.linear(x, self.weight)


class Attention(nn.Module):
    """Causal attention with rotary positions; two query heads share one key-value head."""

    def __init__(self) -> None:
        super().__init__()
        queries, keys = SHAPE.heads * SHAPE.head_width, SHAPE.kv_heads * SHAPE.head_width
        self.q_proj = Projection(queries, SHAPE.width)
        self.k_proj = Projection(keys, SHAPE.width)
        self.v_proj = Projection(keys, SHAPE.width)
        self.o_proj = Projection(SHAPE.width, queries)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Returns what each position gathers; `x` is [batch, position, width]."""
        batch, positions, _ = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, positions, -1, SHAPE.head_width).transpose(1, 2)

        q = rotated(heads(self.q_proj(x)), cosine, sine)
        k = rotated(heads(self.k_proj(x)), cosine, sine)
        v = heads(self.v_proj(x))
        shared = SHAPE.heads // SHAPE.kv_heads
        k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        gathered = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(gathered.transpose(1, 2).reshape(batch, positions, -1))


class FeedForward(nn.Module):
    """The gated feed-forward part."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = Projection(SHAPE.feed_forward, SHAPE.width)
        self.up_proj = Projection(SHAPE.feed_forward, SHAPE.width)
        self.down_proj = Projection(SHAPE.width, SHAPE.feed_forward)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the part's contribution at each position."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One layer: attention, then feed-forward, each normalized before and added after."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.mlp = FeedForward()
        self.input_layernorm = Norm()
        self.post_attention_layernorm = Norm()

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Returns the hidden states after this layer."""
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(SHAPE.vocabulary, SHAPE.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.04)
        self.layers = nn.ModuleList(Layer() for _ in range(SHAPE.layers))
        self.norm = Norm()
        frequencies = SHAPE.rope_base ** -(torch.arange(0, SHAPE.head_width, 2) / SHAPE.head_width)
        angles = torch.outer(torch.arange(SHAPE.context_tokens), frequencies)
        angles = torch.cat((angles, angles), -1)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns hidden states; `tokens` is [batch, position]."""
        n_positions = tokens.shape[1]
        x = self.embed_tokens(tokens)
        cosine, sine = self.cosine[:n_positions], self.sine[:n_positions]
        for layer in self.layers:
            x = layer(x, cosine, sine)
        return self.norm(x)


class TinyModel(nn.Module):
    """The whole model; the output layer is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Decoder()

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns logits over the vocabulary for hidden states."""
        return functional.linear(hidden, self.model.embed_tokens.weight)


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Returns queries or keys turned by their position, halves paired as Hugging Face does."""
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat((-second, first), -1) * sine
