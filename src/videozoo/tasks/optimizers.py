"""The one optimizer PyTorch lacks, and which parameters each recipe decays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from videozoo.errors import VideozooError


class CenteredRMSProp(torch.optim.Optimizer):
    """RMSProp with centred second moments and eps inside the root, as in PaddlePaddle Fluid.

    With gradient g (weight decay added): ms = rho ms + (1 - rho) g^2, mg = rho mg + (1 - rho) g,
    step = momentum * step + lr * g / sqrt(ms - mg^2 + eps). torch.optim.RMSprop adds eps outside
    the root, which is another optimizer: 1 % off after five steps. A. Graves: "Generating Sequences
    With Recurrent Neural Networks", 2013, equations 38 to 41.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        rho: decay of the running means.
        eps: added under the root.
        momentum: share of the last step that is repeated.
        weight_decay: L2 penalty's factor.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        rho: float = 0.95,
        eps: float = 1e-6,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or not 0 <= rho < 1 or eps <= 0 or momentum < 0 or weight_decay < 0:
            raise ValueError("lr, momentum and weight_decay are >= 0, 0 <= rho < 1, eps > 0")
        super().__init__(
            params,
            {"lr": lr, "rho": rho, "eps": eps, "momentum": momentum, "weight_decay": weight_decay},
        )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Makes one step; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(params, group)
        return loss

    def _step_group(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            state = self.state[p]
            if not state:
                state["mean_square"] = torch.zeros_like(p)
                state["mean_grad"] = torch.zeros_like(p)
                if group["momentum"]:
                    state["last_step"] = torch.zeros_like(p)
        rho = group["rho"]
        grads = [p.grad for p in params if p.grad is not None]
        if group["weight_decay"]:
            grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
        squares = [self.state[p]["mean_square"] for p in params]
        means = [self.state[p]["mean_grad"] for p in params]
        torch._foreach_mul_(squares, rho)
        torch._foreach_addcmul_(squares, grads, grads, 1 - rho)
        torch._foreach_mul_(means, rho)
        torch._foreach_add_(means, grads, alpha=1 - rho)
        roots = list(torch._foreach_addcmul(squares, means, means, -1))
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_sqrt_(roots)
        if not group["momentum"]:
            torch._foreach_addcdiv_(params, grads, roots, -group["lr"])
            return
        steps = [self.state[p]["last_step"] for p in params]
        torch._foreach_mul_(steps, group["momentum"])
        torch._foreach_addcdiv_(steps, grads, roots, group["lr"])
        torch._foreach_sub_(params, steps)


def weight_decay_split(
    model_name: str, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Splits a model's parameters into those its recipe decays and the others.

    AttentionCluster decays nothing; AttentionLSTM all weights and the LSTMs' own bias vectors, not
    the biases of linear layers; NeXtVLAD the classifier alone; StNet and TSN everything.

    Args:
        model_name: as in videozoo.specs.SPECS, in any case.
        named_parameters: of that model.

    Returns:
        The decayed and the plain parameters, in their order.

    Raises:
        VideozooError: there is no recipe for this model.
    """
    rules: dict[str, Callable[[str], bool]] = {
        "attentioncluster": lambda name: False,
        "attentionlstm": lambda name: name.endswith((".weight", "_lstm.bias")),
        "nextvlad": lambda name: name.startswith("classifier."),
        "stnet": lambda name: True,
        "tsn": lambda name: True,
    }
    decays = rules.get(model_name.lower())
    if decays is None:
        raise VideozooError(f"no recipe says which weights of the model '{model_name}' decay")
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in named_parameters:
        (decayed if decays(name) else plain).append(parameter)
    return decayed, plain
