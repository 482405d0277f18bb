"""Making any network tunable, looking at it at one omega, and folding it back.

``make_tunable`` keeps the source's module tree and stacks K kernels in front of every tensor it makes
tunable (same names, one leading dimension more). A call mixes the stacks and runs the source's own
``forward`` on *shells*: shallow copies of the modules that hold the mixed tensors. Nothing on the
network is written, so threads may use one network at different omegas; and whatever keeps a reference
to a shell, such as activation checkpointing recomputing in the backward pass, finds the kernels it
began with. ``torch.func.functional_call`` swaps tensors inside the shared module and gives neither.

Source: https://arxiv.org/abs/2304.00898.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models.bases import Basis, BasisName, make_basis
from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError, OmegaError
from tunable_models.mixing import CONVOLUTIONS, BatchMovedError, PerSampleConv, mix

TUNABLE_TYPES = (*CONVOLUTIONS, nn.Linear)
"""Layer types that ``make_tunable`` converts, subclasses included."""

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)

Mixed = dict[str, dict[str, Tensor]]
"""Mixed tensors by module path, then by name."""


def make_tunable(
    module: nn.Module, controls: ControlSpace | int, basis: BasisName = "delta"
) -> "TunableNetwork":
    """A tunable copy of any network with convolutions, transposed convolutions or linear layers.

    The copy starts as the source at every omega. Batch normalisation keeps its statistics frozen,
    because they would mix every omega seen in training.

    Args:
        module: the source; it is copied and left as it is.
        controls: the control space, or a number of unnamed box controls.
        basis: ``delta``, ``linear``, ``affine`` or ``multilinear``; see :mod:`tunable_models.bases`.

    Raises:
        ConversionError: nothing to convert, a basis that does not fit the space, or a module that is
            already tunable, scripted or re-parametrised.

    Example:
        >>> net = make_tunable(nn.Conv2d(3, 3, 3, padding=1), ControlSpace.box("denoise"))
        >>> net(torch.rand(2, 3, 8, 8), omega=net.space.omega(denoise=0.5)).shape
        torch.Size([2, 3, 8, 8])
    """
    return TunableNetwork(module, controls, basis)


class TunableNetwork(nn.Module):
    """A network that takes omega beside its inputs; made by :func:`make_tunable`.

    Attributes:
        space: the control space of omega.
        basis: name of the basis.
        network: the source's modules, with stacks (K, ...) where it had tensors. Not to be called.
    """

    def __init__(self, module: nn.Module, controls: ControlSpace | int, basis: BasisName = "delta") -> None:
        super().__init__()
        self.space = ControlSpace.of(controls)
        self.basis = basis
        _refuse(module)
        self.network = copy.deepcopy(module)
        self._paths = [path for path, _ in _layers(self.network)]
        if not self._paths:
            raise ConversionError(
                f"expected a convolution or linear layer in {type(module).__name__}, found none"
            )
        start = make_basis(basis, self.space)
        self._stack(start)
        # A basis that learns is each layer's own; the others have nothing to keep apart.
        learns = any(True for _ in start.parameters())
        mixers = {_mixer_name(path): copy.deepcopy(start) if learns else start for path in self._paths}
        self._mixers = nn.ModuleDict(mixers).to(self.device)
        self.train(module.training)

    def _stack(self, start: Basis) -> None:
        """Put stacks where the layers had tensors; a tied tensor becomes one tied stack."""
        stacks: dict[Tensor, nn.Parameter] = {}
        for _, layer in _layers(self.network):
            for name, source in _tensors(layer):
                if source not in stacks:
                    stacks[source] = nn.Parameter(start.initial(source), source.requires_grad)
                layer._parameters[name] = stacks[source]

    @property
    def device(self) -> torch.device:
        """Where the stacks are, and omega must be."""
        return next(iter(self._stacks(self._paths[0]).values())).device

    def train(self, mode: bool = True) -> "TunableNetwork":
        """Training mode for everything but batch normalisation, whose statistics stay frozen."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, _BATCH_NORMS):
                module.eval()
        return self

    def forward(self, *inputs: Any, omega: Tensor, **options: Any) -> Any:
        """The source's forward at omega.

        Args:
            *inputs: the source's own inputs; with one omega a sample, the batch is the first
                dimension of every tensor among them.
            omega: (P,) for the whole batch, or (B, P); on the network's device.
            **options: the source's own keyword arguments, the same for every sample.

        Returns:
            What the source returns.

        Raises:
            OmegaError: omega is not of this space, or its batch differs from the inputs'.
        """
        self.space.check(omega, device=self.device)
        if omega.dim() == 1:
            return self._bind(self.mixed(omega))(*inputs, **options)
        _check_batch(inputs, len(omega))
        groups = _groups(omega)
        if len(groups) == 1:
            return self._bind(self.mixed(omega[0]))(*inputs, **options)
        # Few omegas in a batch: plain operators on the groups are faster than grouped convolutions.
        if self._layerwise and 2 * len(groups) > len(omega):
            try:
                return self._bind(self.mixed(omega), per_sample=True)(*inputs, **options)
            except BatchMovedError:
                pass
        return self._by_groups(inputs, options, omega, groups)

    def at(self, omega: Tensor | Mapping[str, float] | None = None, /, **values: float) -> "View":
        """An immutable view at one setting, for inference: call it like the source.

        Args:
            omega: (P,), or native values by name.
            **values: native values by name; unset controls take their defaults.

        Raises:
            OmegaError: the setting is not of this space.
        """
        return View(self, self._omega(omega, values))

    def mixed(self, omega: Tensor) -> Mixed:
        """The effective tensors at omega (P,), or with a leading B at (B, P); differentiable."""
        with torch.autocast(omega.device.type, enabled=False):  # it would round a learned basis's omega
            coefficients = {mixer: mixer(omega) for mixer in set(self._mixers.values())}
        done: dict[Tensor, Tensor] = {}  # a tied stack is mixed once and stays tied
        result: Mixed = {path: {} for path in self._paths}
        for path, mixer in zip(self._paths, self._mixers.values(), strict=True):
            for name, stack in self._stacks(path).items():
                if stack not in done:
                    done[stack] = mix(stack, coefficients[mixer])
                result[path][name] = done[stack]
        return result

    def _omega(self, omega: Tensor | Mapping[str, float] | None, values: Mapping[str, float]) -> Tensor:
        if not isinstance(omega, Tensor):
            omega = self.space.omega(omega, **values).to(self.device)
        elif values:
            raise OmegaError(f"expected omega or values by name, got both ({', '.join(values)})")
        self.space.check(omega, device=self.device)
        if omega.dim() != 1:
            raise OmegaError(f"expected one omega of shape ({len(self.space)},), got {tuple(omega.shape)}")
        return omega

    @property
    def _layerwise(self) -> bool:
        return all(type(self.network.get_submodule(path)) in CONVOLUTIONS for path in self._paths)

    def _stacks(self, path: str) -> dict[str, Tensor]:
        return dict(_tensors(self.network.get_submodule(path)))

    def _bind(self, mixed: Mixed, per_sample: bool = False) -> nn.Module:
        return _shell(self.network, "", mixed, per_sample, {})

    def _by_groups(
        self, inputs: tuple[Any, ...], options: dict[str, Any], omega: Tensor, groups: list[Tensor]
    ) -> Any:
        """Run the samples of each group together, then put them back in order."""
        outputs = [
            self._bind(self.mixed(omega[group[0]]))(*_rows(inputs, group), **options) for group in groups
        ]
        return _join(outputs, groups)

    def extra_repr(self) -> str:
        """The space and basis, for printing."""
        return f"{self.space.kind}({', '.join(self.space.names)}), basis={self.basis!r}"


class View:
    """A network at one setting: the source's forward, nothing to turn, safe to share between threads.

    For inference: the kernels are mixed once, without gradients, so take a new view after training on.
    """

    def __init__(self, net: TunableNetwork, omega: Tensor) -> None:
        self.values = net.space.values(omega)
        with torch.no_grad():
            self._module = net._bind(net.mixed(omega))

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The source's forward."""
        return self._module(*inputs, **options)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:g}" for name, value in self.values.items())
        return f"View({values})"


def fold(net: nn.Module, omega: Tensor | Mapping[str, float] | None = None, /, **values: float) -> nn.Module:
    """The plain network at one setting: class, graph and state_dict keys of the source.

    In a hand-built network every explicit tunable layer is replaced by its plain layer, which ignores
    the omega that the network's own forward still hands it.

    Args:
        net: a tunable network or layer, or a hand-built network that contains tunable layers.
        omega: (P,), or native values by name.
        **values: native values by name; unset controls take their defaults.

    Returns:
        A new module that shares nothing with ``net``.

    Raises:
        ConversionError: nothing in ``net`` is tunable.
        OmegaError: the setting is not of its space.
    """
    if isinstance(net, TunableNetwork):
        return _fold(net, net._omega(omega, values))
    if not any(isinstance(module, TunableNetwork) for module in net.modules()):
        raise ConversionError(f"expected a tunable network or layers, found none in {type(net).__name__}")
    return _fold_layers(copy.deepcopy(net), omega, values, {})


def _fold(net: TunableNetwork, omega: Tensor) -> nn.Module:
    plain = copy.deepcopy(net.network)
    with torch.no_grad():
        mixed = net.mixed(omega)
    parameters: dict[Tensor, nn.Parameter] = {}
    for path, tensors in mixed.items():
        layer = plain.get_submodule(path)
        for name, tensor in tensors.items():
            trainable = layer._parameters[name].requires_grad  # type: ignore[union-attr]
            parameters.setdefault(tensor, nn.Parameter(tensor.clone(), trainable))
            layer._parameters[name] = parameters[tensor]
    return plain


def _fold_layers(
    module: nn.Module,
    omega: Tensor | Mapping[str, float] | None,
    values: Mapping[str, float],
    memo: dict[nn.Module, nn.Module],
) -> nn.Module:
    """Put plain layers in the place of tunable ones; a layer under several names stays one layer."""
    if module in memo:
        return memo[module]
    if isinstance(module, TunableNetwork):
        memo[module] = _fold(module, module._omega(omega, values))
        memo[module].register_forward_pre_hook(_drop_omega, with_kwargs=True)
        return memo[module]
    memo[module] = module
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _fold_layers(child, omega, values, memo)
    return module


def _drop_omega(
    _: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Take omega out of a call: the keyword of a tunable network, or the last input of a tunable layer."""
    if "omega" in options:
        return inputs, {name: value for name, value in options.items() if name != "omega"}
    return inputs[:1], options


def _shell(
    module: nn.Module, path: str, mixed: Mixed, per_sample: bool, memo: dict[nn.Module, nn.Module]
) -> nn.Module:
    """A shallow copy of the modules on the way to mixed tensors; everything else is shared."""
    if module in memo:
        return memo[module]
    tensors = mixed.get(path, {})
    children = {
        name: _shell(child, f"{path}.{name}" if path else name, mixed, per_sample, memo)
        for name, child in module._modules.items()
        if child is not None
    }
    if not tensors and all(child is module._modules[name] for name, child in children.items()):
        memo[module] = module
        return module
    if tensors and per_sample:
        shell: nn.Module = PerSampleConv(module)
    else:
        shell = object.__new__(type(module))
        shell.__dict__.update(module.__dict__)
    # Plain tensors, not Parameters, stand here on purpose: they carry the gradient to the stacks.
    shell.__dict__["_parameters"] = {**module._parameters, **tensors}
    shell.__dict__["_modules"] = {**module._modules, **children}
    memo[module] = shell
    return shell


def _layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Paths and layers to convert; a layer used twice counts once."""
    for path, layer in module.named_modules():
        if isinstance(layer, TUNABLE_TYPES):
            yield path, layer


def _tensors(layer: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, tensor in layer._parameters.items():
        if tensor is not None:
            yield name, tensor


def _refuse(module: nn.Module) -> None:
    for path, child in module.named_modules():
        if isinstance(child, TunableNetwork):
            reason = "is already tunable"
        elif isinstance(child, torch.jit.ScriptModule):
            reason = "is scripted, so its forward cannot be bound to other tensors"
        elif isinstance(child, TUNABLE_TYPES) and "weight" not in child._parameters:
            reason = "has a computed weight; remove its parametrisation, such as spectral_norm, first"
        elif isinstance(child, nn.modules.lazy.LazyModuleMixin) and child.has_uninitialized_params():  # type: ignore[misc]
            reason = "has no shape yet; run the network once first"
        else:
            continue
        where = f"{path or 'the module'} ({type(child).__name__})"
        raise ConversionError(f"cannot make {where} tunable: it {reason}")


def _mixer_name(path: str) -> str:
    # Module names may not hold dots, and in a ModuleDict not be those of its methods, such as "keys".
    return "/" + path.replace(".", "/")


def _check_batch(inputs: tuple[Any, ...], batch: int) -> None:
    for value in inputs:
        if isinstance(value, Tensor) and (value.dim() == 0 or value.shape[0] != batch):
            raise OmegaError(
                f"omega has {batch} rows, the inputs' batch must be as large, got shape {tuple(value.shape)}"
            )


def _groups(omega: Tensor) -> list[Tensor]:
    """Indices of the samples that can run together: equal rows, unless each needs its own gradient."""
    rows = torch.arange(len(omega), device=omega.device)
    if not omega.requires_grad:
        _, rows = torch.unique(omega, dim=0, return_inverse=True)
    return [(rows == row).nonzero().flatten() for row in range(int(rows.max()) + 1)]


def _rows(inputs: tuple[Any, ...], group: Tensor) -> list[Any]:
    return [value[group] if isinstance(value, Tensor) else value for value in inputs]


def _join(outputs: list[Any], groups: list[Tensor]) -> Any:
    """The groups' outputs as one, samples in their own order."""
    first = outputs[0]
    if isinstance(first, Tensor):
        sizes = [len(output) if output.dim() else 0 for output in outputs]
        if sizes != [len(group) for group in groups]:
            raise ConversionError(
                "one omega a sample needs inputs and outputs with the batch first, got an output of shape "
                f"{tuple(first.shape)} for {len(groups[0])} samples; use one omega for the batch"
            )
        return torch.cat(outputs)[torch.argsort(torch.cat(groups))]
    if isinstance(first, (tuple, list)):
        parts = [_join(list(part), groups) for part in zip(*outputs, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, dict):
        return {key: _join([output[key] for output in outputs], groups) for key in first}
    raise ConversionError(f"cannot join outputs of type {type(first).__name__} over samples; use one omega")
