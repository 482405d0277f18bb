"""Make any network tunable: the same modules, with kernels that omega mixes.

``make_tunable`` keeps the source's module tree and puts kernels where it had tensors. A call mixes them
and runs the source's own ``forward`` on rebound modules that hold the result
(:mod:`tunable_models._execution.rebind`), so nothing on the network is written; what the forward writes on
self belongs to the omega of the call (:mod:`tunable_models._execution.states`). Under ``torch.compile`` and
``torch.export``, which trace one call and allow no other in between, the mixed tensors are bound by
``torch.func.functional_call`` instead.

Source: https://arxiv.org/abs/2304.00898.
"""

import copy
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunable_models._conversion.checks import (
    BATCH_NORMS,
    check_module,
    copy_module,
    find_shared_modules,
    refuse_computing_modes,
)
from tunable_models._conversion.selection import Pattern, Slot, select_tensors
from tunable_models._execution import kernels
from tunable_models._execution.kernels import Kernels
from tunable_models._execution.mixing import Coefficients
from tunable_models._execution.omega_batches import Call, group_samples, run_by_groups
from tunable_models._execution.per_pixel import OmegaMap, bind_per_pixel, check_map
from tunable_models._execution.per_sample import BatchMovedError, bind_per_sample, runs_per_sample
from tunable_models._execution.rebind import Bound, Rebound, View, find_module, rebind_mixed, rebind_network
from tunable_models._execution.states import States
from tunable_models._execution.tracing import run_traced
from tunable_models.bases import BASES, Basis, BasisName, make_basis
from tunable_models.controls import ControlSpace
from tunable_models.errors import ConversionError, OmegaError
from tunable_models.rivals import MethodName
from tunable_models.rivals.method import fix_conditions
from tunable_models.spec import NetworkSpec, Trained

Mixed = dict[str, dict[str, Tensor]]
"""Mixed tensors by module path, then by name."""


def make_tunable(
    module: nn.Module,
    controls: ControlSpace | int,
    basis: BasisName = "delta",
    *,
    rank: int | None = None,
    train: Trained = "all",
    include: Sequence[Pattern] | None = None,
    exclude: Sequence[Pattern] = (),
    method: MethodName = "tunable",
    batch_dim: int = 0,
) -> "TunableNetwork":
    """A tunable copy of any network; it starts as the source at every omega.

    Convolutions and transposed convolutions of any dimension, linear layers, attention, free parameters
    and embeddings are converted, norms only if ``include`` says so. Batch normalisation keeps its
    statistics frozen, because they would mix every omega seen in training.

    Args:
        module: the source; it is copied and left as it is.
        controls: the control space, or a number of unnamed box controls.
        basis: ``delta``, ``linear``, ``affine`` or ``multilinear``; see :mod:`tunable_models.bases`.
        rank: of every delta, seen as a matrix of output channels by all the rest; None is full rank. For
            bases with a base. Vectors, and tensors that would not shrink, stay full.
        train: ``all``, or ``deltas``: everything of the source is frozen, so that omega = 0 (on a simplex
            the first control alone) stays exactly the source, and a pretrained network gains a slider.
        include: what to convert, by names with wildcards (``"body.*"``, also of modules around) or by
            types; everything but norms by default, ``("*",)`` is everything.
        exclude: what to leave plain; wins over ``include``.
        method: ``tunable``, or a rival method of :mod:`tunable_models.rivals` to compare with, such as
            ``film``. It decides itself what omega changes, so the options above keep their defaults.
        batch_dim: where inputs and outputs have the batch, for one omega a sample: 1 for recurrent and
            attention layers that put time first.

    Raises:
        ConversionError: nothing to convert, a pattern that matches nothing, a basis or method that does not
            fit the space or the other options, or a module that cannot be converted, with the reason.

    Example:
        >>> net = make_tunable(nn.Conv2d(3, 3, 3, padding=1), ControlSpace.box("denoise"))
        >>> net(torch.rand(2, 3, 8, 8), omega=net.space.omega(denoise=0.5)).shape
        torch.Size([2, 3, 8, 8])
    """
    spec = NetworkSpec.of(
        module, controls, basis, rank=rank, train=train, include=include, exclude=exclude, method=method
    )
    return TunableNetwork(module, spec, batch_dim=batch_dim)


class TunableNetwork(nn.Module):
    """A network that takes omega beside its inputs; made by :func:`make_tunable`.

    Args:
        module: the source; it is copied and left as it is.
        spec: what is made of it.
        batch_dim: as of :func:`make_tunable`.

    Attributes:
        spec: what the network is, apart from its tensors.
        network: the source's modules, with kernels where it had tensors. Not to be called; where a layer
            that is tunable was replaced or removed, calls are refused.

    Example:
        >>> net = make_tunable(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3)), controls=2)
        >>> net(torch.rand(4, 3, 16, 16), omega=torch.rand(4, 2)).shape
        torch.Size([4, 3, 12, 12])
    """

    def __init__(
        self,
        module: nn.Module,
        spec: NetworkSpec,
        *,
        batch_dim: int = 0,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.batch_dim = batch_dim
        rival = spec.rival
        start = make_basis(spec.basis, spec.space) if rival is None else rival.make_basis(spec.space)
        freeze = spec.train == "deltas"
        check_module(module)
        _refuse_tunable(module)
        if rival is not None:
            module = rival.adapt(copy_module(module), spec.space).train(module.training)
        slots = select_tensors(module, spec.include if rival is None else rival.include, spec.exclude)
        self.network = copy_module(module)
        refuse_computing_modes(self.network, [slot.path for slot in slots])
        self._shared = find_shared_modules(self.network)
        self._states = States()
        self._names: dict[str, dict[str, torch.Size]] = {}  # with the shapes of the source
        for slot in slots:
            shape = self.network.get_submodule(slot.path)._parameters[slot.name].shape  # type: ignore[union-attr]
            self._names.setdefault(slot.path, {})[slot.name] = shape
        if freeze:
            self.network.requires_grad_(False)
        first = self._install(slots, start, freeze=freeze)
        if rival is not None:
            fix_conditions(self.network, spec.space, start)
        # A basis that learns is each layer's own, or of layers with tied tensors; the others have nothing
        # to keep apart.
        learns = any(True for _ in start.parameters())
        bases = {path: copy.deepcopy(start) if learns else start for path in self._names}
        self._mixers = nn.ModuleDict({_mixer_name(path): bases[first[path]] for path in self._names})
        self._mixers.to(self.device)
        self.train(module.training)

    @classmethod
    def from_spec(cls, spec: NetworkSpec) -> "TunableNetwork":
        """The untrained network of a spec, freshly initialised from torch's global generator.

        Raises:
            ConversionError: the spec names no architecture, or it cannot be made tunable in this way.
        """
        return cls(spec.build_plain(), spec)

    def _install(self, slots: list[Slot], start: Basis, *, freeze: bool) -> dict[str, str]:
        """Put kernels where the source had tensors; tied tensors get tied kernels.

        Returns:
            For every path the first one that it shares tensors with, itself if there is none.
        """
        done: dict[Tensor, tuple[nn.Module, str]] = {}
        at: dict[Tensor, str] = {}
        first = {slot.path: slot.path for slot in slots}
        for slot in slots:
            owner = self.network.get_submodule(slot.path)
            source = owner._parameters[slot.name]
            assert source is not None
            if source in done:
                kernels.tie_kernels(owner, slot.name, *done[source])
                first[slot.path] = first[at[source]]
            else:
                done[source], at[source] = (owner, slot.name), slot.path
                kernels.install_kernels(owner, slot.name, start, self.spec.rank, freeze=freeze)
        return first

    @property
    def space(self) -> ControlSpace:
        """The control space of omega."""
        return self.spec.space

    @property
    def device(self) -> torch.device:
        """Where the kernels are, and omega must be."""
        first = next(iter(self._names))
        return next(iter(self.kernels(first).values())).identity.device

    @property
    def tunable_names(self) -> list[str]:
        """Names of the tunable tensors, as in the source's ``named_parameters``."""
        return [Slot(path, name).full_name for path, names in self._names.items() for name in names]

    def train(self, mode: bool = True) -> "TunableNetwork":
        """Training mode for everything but batch normalisation, whose statistics stay frozen."""
        if mode != self.training:
            self.forget()
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, BATCH_NORMS):
                module.eval()
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TunableNetwork":
        """Moves and casts, as for any module.

        torch applies ``channels_last`` to whatever has four dimensions, so stacks of kernels are flattened
        for it, with the kernels along the first dimension.
        """
        stacked = [k.stacked for path in self._names for k in self.kernels(path).values()]
        stacks = {id(t) for stack in stacked if stack is not None for t in (stack, stack.grad)}

        def shown(tensor: Tensor) -> Tensor:
            if id(tensor) not in stacks or tensor.dim() < 2:
                return fn(tensor)
            return fn(tensor.flatten(0, 1)).view(tensor.shape)

        super()._apply(shown, recurse)  # type: ignore[no-untyped-call]
        self.forget()
        return self

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.forget()

    def forward(self, *inputs: Any, omega: Tensor, **options: Any) -> Any:
        """The source's forward at omega.

        Args:
            *inputs: the source's own inputs; with one omega a sample, every tensor among them has the batch
                along ``batch_dim``.
            omega: (P,) for the whole batch; (B, P) one a sample; or, for convolutional networks, a map
                (B, P, H, W) as large as the first input. On the network's device.
            **options: the source's own keyword arguments; with one omega a sample, a tensor that is as long
                as the batch along ``batch_dim`` is split like the inputs, everything else all samples share.

        Returns:
            What the source returns.

        Raises:
            OmegaError: omega is not of this space, or its batch or size differs from the inputs'.
            ConversionError: a map of omega, and a tunable layer that is no 2-D convolution; or one omega a
                sample, and tensors in a list where samples do not run together.
        """
        call = Call(inputs, options, self.batch_dim)
        if torch.compiler.is_compiling():
            self.space.check_form(omega)
            return run_traced(self.network, self.mixed, call, omega)
        self.space.check(omega, device=self.device)
        if omega.dim() == 1:
            return self._at(omega)(*inputs, **options)
        if omega.dim() == 4:
            check_map(omega, inputs)
            return self._states.run(self._bind_map(omega), omega, *inputs, **options)
        call.check(len(omega))
        groups = group_samples(omega)
        if len(groups) == 1:
            return self._at(omega[0])(*inputs, **options)
        # Few omegas in a batch: plain operators on the groups are faster than grouped convolutions.
        if self._layerwise and 2 * len(groups) > len(omega):
            try:
                return self._states.run(self._bind_samples(omega), omega, *inputs, **options)
            except BatchMovedError:
                pass
        return run_by_groups(lambda sample: self._at(omega[sample]), call, groups)

    def forget(self) -> None:
        """Drop what forwards wrote on self in earlier calls; the next call starts as the source.

        It is kept by omega: a call resumes the state of calls at the same omega, the last eight of them, or
        the last one where gradients are recorded. A change of mode, a move, a cast and loading forget it too.
        Views have states of their own. The network's at all omegas are buffers, objects of other types than
        Python's containers, and what modules keep that a list or a second attribute leads to as well.
        """
        self._states.clear()

    def _at(self, omega: Tensor) -> Callable[..., Any]:
        return functools.partial(self._states.run, self.bound(omega), omega)

    def bound(self, omega: Tensor) -> Rebound:
        """The source's modules with the tensors at omega (P,), gradients included."""
        return rebind_mixed(self.network, self.mixed(omega), self._shared)

    def mixed(self, omega: Tensor) -> Mixed:
        """The effective tensors at omega (P,), or with a leading B at (B, P); differentiable."""
        coefficients = self._coefficients(omega)
        done: dict[Tensor, Tensor] = {}  # tied kernels are mixed once and stay tied
        result: Mixed = {}
        with torch.autocast(omega.device.type, enabled=False):  # it would round the coefficients
            for path, own in coefficients.items():
                result[path] = {}
                for name, kernel in self.kernels(path).items():
                    key = kernel.identity
                    if key not in done:
                        done[key] = kernel.at(own)
                    result[path][name] = done[key]
        return result

    def kernels(self, path: str) -> dict[str, Kernels]:
        """The kernels of one of the source's modules, by tensor name.

        Raises:
            ConversionError: they are not there any more.
        """
        module, has_base = find_module(self.network, path), BASES[self.spec.basis].has_base
        found: dict[str, Kernels] = {}
        for name, shape in self._names[path].items():
            if module is not None:
                found[name] = kernels.find_kernels(module, name, has_base=has_base)
            if module is None or not found[name].mix_to(shape):
                got = (
                    "nothing"
                    if module is None
                    else f"{type(module).__name__} without kernels of shape {tuple(shape)}"
                )
                raise ConversionError(
                    f"expected the kernels that make_tunable put at {Slot(path, name).full_name}, got {got}; "
                    "change the source instead, and make that tunable"
                )
        return found

    def omega(self, omega: Tensor | Mapping[str, float] | None = None, /, **values: float) -> Tensor:
        """One omega (P,) on the network's device.

        Args:
            omega: (P,), or native values by name.
            **values: native values by name; unset controls take their defaults.

        Raises:
            OmegaError: not one omega of this space.
        """
        if not isinstance(omega, Tensor):
            omega = self.space.omega(omega, **values).to(self.device)
        elif values:
            raise OmegaError(f"expected omega or values by name, got both ({', '.join(values)})")
        self.space.check(omega, device=self.device)
        if omega.dim() != 1:
            raise OmegaError(f"expected one omega of shape ({len(self.space)},), got {tuple(omega.shape)}")
        return omega

    def at(self, omega: Tensor | Mapping[str, float] | None = None, /, **values: float) -> View:
        """An immutable view at one setting, for inference: call it like the source.

        Args:
            omega: (P,), or native values by name.
            **values: native values by name; unset controls take their defaults.

        Raises:
            OmegaError: the setting is not of this space.
        """
        setting = self.omega(omega, **values)
        with torch.no_grad():
            return View(self.space.values(setting), self.bound(setting).network)

    def _coefficients(self, omega: Tensor) -> dict[str, Coefficients]:
        """Of the kernels of every module, by its path."""
        bases = self._bases()
        with torch.autocast(omega.device.type, enabled=False):  # it would round omega
            of = {basis: Coefficients(basis.weights(omega)) for basis in {b for _, b in bases}}
        return {path: of[basis] for path, basis in bases}

    def _bases(self) -> list[tuple[str, Basis]]:
        return list(zip(self._names, self._mixers.values(), strict=True))  # type: ignore[arg-type]

    @property
    def _layerwise(self) -> bool:
        return self.batch_dim == 0 and all(
            runs_per_sample(self.network.get_submodule(path), kernel)
            for path in self._names
            for kernel in self.kernels(path).values()
        )

    def _bind_samples(self, omega: Tensor) -> Rebound:
        coefficients = self._coefficients(omega)

        def binder(module: nn.Module, path: str) -> Bound | None:
            if path not in coefficients:
                return None
            return bind_per_sample(module, self.kernels(path), coefficients[path])

        return rebind_network(self.network, binder, self._shared)

    def _bind_map(self, omega: Tensor) -> Rebound:
        # What a network pads inside only itself can say; all architectures of this package do.
        alignments = [int(getattr(module, "alignment", 1)) for module in self.network.modules()]
        painted = OmegaMap(omega, math.lcm(*alignments))
        held = {path: (self.kernels(path), basis) for path, basis in self._bases()}

        def binder(module: nn.Module, path: str) -> Bound | None:
            return bind_per_pixel(module, path, *held[path], painted) if path in held else None

        return rebind_network(self.network, binder, self._shared)

    def extra_repr(self) -> str:
        """The space and basis, for printing."""
        spec = self.spec
        rank = "" if spec.rank is None else f", rank={spec.rank}"
        how = f"basis={spec.basis!r}{rank}" if spec.rival is None else f"method={spec.method!r}"
        return f"{spec.space.kind}({', '.join(spec.space.names)}), {how}"


def _refuse_tunable(module: nn.Module) -> None:
    for path, child in module.named_modules():
        if isinstance(child, TunableNetwork):
            where = f"{path or 'the module'} ({type(child).__name__})"
            raise ConversionError(f"cannot make {where} tunable: it is already tunable")


def _mixer_name(path: str) -> str:
    # Module names may not hold dots, and in a ModuleDict not be those of its methods, such as "keys".
    return "/" + path.replace(".", "/")
