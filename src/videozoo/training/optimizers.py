"""Optimizers by name, the one that PyTorch lacks, and which parameters decay or learn slowly."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from videozoo.config.keys import Settings
from videozoo.errors import VideozooError, did_you_mean
from videozoo.specs.spec import ModelSpec


class CenteredRMSProp(Optimizer):
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
            if group["momentum"] and "last_step" not in state:
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


def _adam(params: Iterable[Any], **numbers: Any) -> Optimizer:
    return Adam(params, fused=True, **numbers)


def _adamw(params: Iterable[Any], **numbers: Any) -> Optimizer:
    return AdamW(params, fused=True, **numbers)


OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], Callable[..., Optimizer]]] = {
    # the builder, and whose signature says which numbers there are
    "adam": (_adam, Adam),
    "adamw": (_adamw, AdamW),
    "centered_rmsprop": (CenteredRMSProp, CenteredRMSProp),
    "sgd": (SGD, SGD),
}
_NOT_NUMBERS = {"params", "lr", "fused", "foreach", "capturable", "differentiable", "maximize"}


def make_optimizer(model: nn.Module, spec: ModelSpec, settings: Settings) -> Optimizer:
    """Returns the optimizer of a training: the model's own, or the one of the key `optimizer`.

    A weight_decay among the key's `optimizer_options` counts for all weights of two dimensions or
    more, and for no bias and no norm, as is usual; without one the model's own rule holds.

    Args:
        model: whose parameters are to be learnt.
        spec: says what the model's own optimizer is, and which of its parameters decay.
        settings: of TRAIN.

    Raises:
        VideozooError: an option is none of the optimizer's, or layer_decay has no stages to go by.
    """
    name = settings.optimizer or spec.optimizer
    build, signature = OPTIMIZERS[name]
    options = {**(settings.optimizer_options or {})}
    known = set(inspect.signature(signature).parameters) - _NOT_NUMBERS
    for option in options:
        if option not in known:
            raise VideozooError(
                f"optimizer_options: {name} has no '{option}'{did_you_mean(option, known)}"
                f" (it has {', '.join(sorted(known))})"
            )
    if name == spec.optimizer:
        options = {**spec.optimizer_options(settings), **options}
    decay: float = spec.weight_decay(settings)
    decays: Callable[[str], bool] | None = spec.decays
    if "weight_decay" in options:
        decay, decays = options.pop("weight_decay"), None
    groups = parameter_groups(
        model,
        weight_decay=decay,
        decays=decays,
        layer_decay=getattr(settings, "layer_decay", None),
    )
    try:
        return build(groups, lr=settings.learning_rate, **options)
    except (ValueError, TypeError) as error:
        raise VideozooError(f"optimizer_options {options}: {name} says: {error}") from None


def parameter_groups(
    model: nn.Module,
    *,
    weight_decay: float,
    decays: Callable[[str], bool] | None,
    layer_decay: float | None = None,
) -> list[dict[str, Any]]:
    """Returns parameter groups by weight decay, and by stage of the trunk.

    With layer_decay, what belongs to no stage has the full rate, the last stage `layer_decay` times
    that, the one before `layer_decay` ** 2, and so on: the layer-wise rates of J. Howard, S. Ruder:
    "Universal Language Model Fine-tuning for Text Classification", ACL 2018, section 3.2.

    Args:
        model: whose parameters.
        weight_decay: of the parameters that decay.
        decays: says by a parameter's name whether it decays; None: those of two dimensions or more.
        layer_decay: see above; None: all have the same rate.

    Returns:
        For an optimizer: groups with `params`, `weight_decay` and `rate_scale`, the head first and
        what decays first.

    Raises:
        VideozooError: layer_decay is given and the model has no stages.
    """
    scales = rate_scales(model, layer_decay)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decayed = parameter.ndim > 1 if decays is None else decays(name)
        groups.setdefault((scales.get(name, 1.0), decayed), []).append(parameter)
    return [
        {"params": params, "weight_decay": weight_decay if decayed else 0.0, "rate_scale": scale}
        for (scale, decayed), params in sorted(groups.items(), key=lambda item: item[0])[::-1]
    ]


def rate_scales(model: nn.Module, layer_decay: float | None) -> Mapping[str, float]:
    """Returns the factor of the learning rate of every parameter that lies in a stage, by name."""
    if layer_decay is None:
        return {}
    stages = stages_of(model, f"layer_decay = {layer_decay}")
    name_of = {parameter: name for name, parameter in model.named_parameters()}
    return {
        name_of[parameter]: layer_decay ** (len(stages) - number)
        for number, modules in enumerate(stages)
        for module in modules
        for parameter in module.parameters()
    }


def freeze(model: nn.Module, stages: int) -> list[nn.Module]:
    """Takes the first stages of a model's trunk out of training.

    Args:
        model: a model with stages.
        stages: how many.

    Returns:
        Their modules: a step must begin with them in test mode, so that running statistics stay.

    Raises:
        VideozooError: the model has no stages, or fewer.
    """
    if not stages:
        return []
    found = stages_of(model, f"freeze_stages = {stages}")
    if stages > len(found):
        raise VideozooError(f"freeze_stages = {stages}: the model has {len(found)} stages")
    modules = [module for stage in found[:stages] for module in stage]
    for module in modules:
        module.requires_grad_(False)
    return modules


def stages_of(model: nn.Module, asked_by: str) -> list[list[nn.Module]]:
    """Returns the modules of each stage of a model's trunk, the one nearest the input first.

    What lies behind the trunk or between its stages (classifier, temporal blocks) belongs to none:
    it is new to every data set.

    Args:
        model: a model with a method `stages`.
        asked_by: begins the sentence where it has none: the key and its value.

    Raises:
        VideozooError: it has none.
    """
    stages = getattr(model, "stages", None)
    if stages is None:
        raise VideozooError(
            f"{asked_by}: {type(model).__name__} has no stages to go by; leave the key out"
        )
    found: list[list[nn.Module]] = stages()
    return found
