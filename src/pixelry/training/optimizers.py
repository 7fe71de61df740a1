"""The optimisers of recipes: SGD and AdamW as torch has them, and Muon, which treats a weight as the map that it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pixelry.config import Recipe

# An odd polynomial of degree 5, steep at 0, that ends with singular values between 0.7 and 1.2 (Jordan et al. 2024).
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ROUNDS = 5
# The root of the mean square of AdamW's updates, about; updates of that size let both share a learning rate (Liu et al.
# 2025, "Muon is Scalable for LLM Training", equation 4).
ADAMW_SIZE = 0.2


def make_optimizer(
    module: nn.Module, recipe: Recipe, *, fused: bool = True, dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """Return a recipe's optimiser; biases, norms and other vectors are not decayed.

    Args:
        module: Whose parameters it trains.
        recipe: Its name and numbers.
        fused: Use torch's fused kernels where there are some.
        dtype: In which Muon multiplies matrices.
    """
    embeddings = {id(p) for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    weights = [p for p in module.parameters() if p.ndim > 1]
    vectors = {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0}
    if recipe.optimizer == "sgd":
        groups = [{"params": weights, "weight_decay": recipe.weight_decay}, vectors]
        return torch.optim.SGD(
            groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused or None
        )
    betas = (recipe.momentum, recipe.beta2)
    if recipe.optimizer == "adamw":
        groups = [{"params": weights, "weight_decay": recipe.weight_decay}, vectors]
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, fused=fused or None)
    # The rows of an embedding are looked up one by one: together they are no map.
    maps = [p for p in weights if id(p) not in embeddings]
    groups = [
        {"params": maps, "weight_decay": recipe.weight_decay, "orthogonal": True},
        {"params": [p for p in weights if id(p) in embeddings], "weight_decay": recipe.weight_decay},
        vectors,
    ]
    return Muon([group for group in groups if group["params"]], lr=recipe.lr, betas=betas, fused=fused, dtype=dtype)


class Muon(torch.optim.AdamW):
    """Momentum whose updates are made orthogonal, for matrices and filters (Jordan et al. 2024); AdamW for the rest.

    Every direction in which a weight can change changes by as much, where a gradient has few large ones. torch's own
    takes matrices only, and one at a time: here a filter (out, in, h, w) is a matrix (out, in h w), and weights of one
    shape go together.

    Args:
        groups: Of parameters; those with "orthogonal" set are made orthogonal.
        lr: As for AdamW, since updates have the size of its updates.
        betas: The first is the momentum of both, the second AdamW's.
        fused: Use AdamW's fused kernel.
        dtype: Of the products of matrices, which bear bfloat16.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        fused: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, fused=fused or None)
        self.dtype = dtype

    # AdamW's method has an overload for each kind of closure.
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step, and return what the closure returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # AdamW leaves alone what has no gradient.
        taken: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            if group.get("orthogonal"):
                found = [(p, p.grad) for p in group["params"] if p.grad is not None]
                self._step_maps(found, group)
                taken += found
        for parameter, _ in taken:
            parameter.grad = None
        super().step()
        for parameter, gradient in taken:
            parameter.grad = gradient
        return loss

    @torch.no_grad()
    def _step_maps(self, found: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        momentum = group["betas"][0]
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor, Tensor]]] = {}
        for parameter, gradient in found:
            state = self.state[parameter]
            if "average" not in state:
                # AdamW, when it reads a checkpoint, looks for the step of all.
                state["average"], state["step"] = torch.zeros_like(parameter), torch.tensor(0.0)
            state["step"] += 1
            alike.setdefault(as_matrix(parameter, parameter).shape, []).append((parameter, gradient, state["average"]))
        for shape, items in alike.items():
            parameters, gradients, averages = (list(tensors) for tensors in zip(*items, strict=True))
            torch._foreach_lerp_(averages, gradients, 1 - momentum)
            nesterov = torch._foreach_lerp(gradients, averages, momentum)
            maps = torch.empty(len(items), *shape, dtype=self.dtype, device=parameters[0].device)
            torch._foreach_copy_(
                list(maps), [as_matrix(update, p) for update, p in zip(nesterov, parameters, strict=True)]
            )
            updates = zip(orthogonal(maps).to(parameters[0].dtype), parameters, strict=True)
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            rate = group["lr"] * ADAMW_SIZE * math.sqrt(max(shape))
            torch._foreach_add_(parameters, [as_filter(update, p) for update, p in updates], alpha=-rate)


def as_matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a tensor (out, ...) as a matrix (out, rest) whose columns stand as those of a weight lie in memory.

    What is orthogonal stays so in any order of the columns, and to bring filters in channels_last into another order
    takes longer than all that is computed here.
    """
    return (tensor.movedim(1, -1) if _channels_last(weight) else tensor).reshape(len(tensor), -1)


def as_filter(matrix: Tensor, weight: Tensor) -> Tensor:
    """Return what `as_matrix` made of a tensor, in the weight's shape."""
    if _channels_last(weight):
        return matrix.view(weight.movedim(1, -1).shape).movedim(-1, 1)
    return matrix.view(weight.shape)


def _channels_last(weight: Tensor) -> bool:
    return weight.ndim > 2 and not weight.is_contiguous()


def orthogonal(matrices: Tensor) -> Tensor:
    """Return U S V^T of matrices U Z V^T (N, A, B), with singular values S of about 1, by Newton-Schulz iteration."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=CUBIC, alpha=QUINTIC), x, beta=LINEAR)
    return x.mT if tall else x
