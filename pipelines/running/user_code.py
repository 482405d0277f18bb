"""Digests of code and values that a user or a plug-in brings, so that a changed one makes another run.

A class or function of a file counts with that file and the files of its package that it imports, as syntax
trees, without comments and docstrings. One of a script or notebook counts by itself, as compiled, with the
definitions and values that it names. Objects count with their type and state. What is installed and no
plug-in counts by name and version; this package's code is counted elsewhere.
"""

import ast
import dis
import functools
import hashlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from pipelines.running.fingerprint import code_digests

OURS = ("pipelines", "tunable_models", "zoo")
BOOKKEEPING = {
    "__abstractmethods__",
    "__annotations__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
}
"""Attributes of a class that say nothing about what it computes."""

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), torch.dtype, torch.device)


class CodeWalker:
    """Describes code and values as JSON, and collects the files and modules that they come from.

    Args:
        plugins: top-level packages that count by their files although they are installed.
        tensors: whether the values of tensors count, beside their shapes.

    Attributes:
        files: SHA-256 of the syntax tree of each file, by the name of its module.
        modules: names of the modules outside any installed package, but for ``__main__``.
    """

    def __init__(self, plugins: Iterable[str] = (), *, tensors: bool = True) -> None:
        self.files: dict[str, str] = {}
        self.modules: set[str] = set()
        self._plugins, self._tensors = frozenset(plugins), tensors
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice

    def digest(self, value: Any) -> str:
        """SHA-256 of the description, in which files count with their content."""
        described = self.describe(value)
        text = json.dumps([described, self.files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def describe(self, value: Any) -> Any:
        """The value as JSON: equal for equal code and state."""
        if isinstance(value, PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, tuple):
            return ["tuple", *map(self.describe, value)]
        if isinstance(value, (set, frozenset)):
            return ["set", *sorted((self.describe(item) for item in value), key=json.dumps)]
        if id(value) in self._seen:
            return ["seen", self._seen[id(value)]]
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if isinstance(value, list):
            return ["list", *map(self.describe, value)]
        if isinstance(value, Mapping):
            return ["mapping", *([self.describe(key), self.describe(value[key])] for key in value)]
        if isinstance(value, Tensor):
            return _describe_tensor(value, whole=self._tensors)
        if isinstance(value, (type, FunctionType)):
            return self._describe_definition(value)
        if isinstance(value, MethodType):
            return ["method", self.describe(value.__func__), self.describe(value.__self__)]
        if isinstance(value, functools.partial):
            return ["partial", *map(self.describe, (value.func, value.args, value.keywords))]
        if isinstance(value, (ModuleType, BuiltinFunctionType)):
            return ["name", value.__name__]
        return self._describe_object(value)

    def _describe_object(self, value: Any) -> Any:
        kind = self.describe(type(value))
        if isinstance(value, nn.Module):
            own = {name: item for name, item in vars(value).items() if name not in _MODULE_INTERNALS}
            tensors = {**value._parameters, **value._buffers}
            return ["module", kind, *map(self.describe, (own, tensors, value._modules))]
        if isinstance(value, BaseModel):
            return ["model", kind, self.describe(dict(value))]
        if isinstance(value, (property, staticmethod, classmethod, functools.cached_property)):
            names = ("fget", "fset", "__func__", "func")
            return ["descriptor", kind, *(self.describe(getattr(value, name, None)) for name in names)]
        try:
            state = value.__reduce_ex__(4)
        except Exception:  # a lock or a file, which no worker could get either
            return ["object", kind]
        # The first part is a constructor; iterators of items come last.
        return ["object", kind, *(self.describe(_listed(part)) for part in _listed(state)[1:])]

    def _describe_definition(self, value: Any) -> Any:
        module, name = str(value.__module__), str(value.__qualname__)
        top = module.partition(".")[0]
        if top in OURS or top in sys.stdlib_module_names:
            return ["name", module, name]
        if top not in self._plugins and _is_installed(module):
            return ["installed", module, name, _find_version(top)]
        inner: list[Any] = [module, name]
        if not self._add_files(module):  # a script, a notebook, or code without a file
            inner.append(
                self._describe_class(value) if isinstance(value, type) else self._describe_function(value)
            )
        else:
            if isinstance(value, type) and not _is_in_module(value):
                inner.append(self._describe_class(value))  # made by a function, from values of its own
            if not _is_installed(module):
                self.modules.add(module)
        if isinstance(value, FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            inner += map(self.describe, (value.__defaults__, value.__kwdefaults__, cells))
        return ["definition", *inner]

    def _describe_class(self, value: type) -> Any:
        parts = {name: item for name, item in vars(value).items() if name not in BOOKKEEPING}
        return [[self.describe(base) for base in value.__bases__], self.describe(dict(sorted(parts.items())))]

    def _describe_function(self, function: FunctionType) -> Any:
        """What a function does, and the values of its module that it names."""
        names = sorted(_list_names(function.__code__) & function.__globals__.keys())
        outer = {name: function.__globals__[name] for name in names}
        return [self._describe_code(function.__code__), self.describe(outer)]

    def _describe_code(self, code: CodeType) -> Any:
        takes_more = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        arguments = [code.co_argcount, code.co_kwonlyargcount, takes_more, list(code.co_varnames)]
        steps = []
        for step in dis.get_instructions(code):
            value = step.argval
            inner = self._describe_code(value) if isinstance(value, CodeType) else self.describe(value)
            steps.append([step.opname, inner])
        return [arguments, steps]

    def _add_files(self, module: str) -> bool:
        """Add the file of a module and those that it imports; False if it has none."""
        if module == "__main__" or (path := _find_file(module)) is None:
            return False
        queue = [(module, path)]
        while queue:
            name, path = queue.pop()
            if name in self.files:
                continue
            [self.files[name]] = code_digests(path.parent, (path.name,)).values()
            for imported in _list_imports(name, path):
                found = _find_file(imported)
                if found is not None and self._is_followed(module, imported):
                    queue.append((imported, found))
        return True

    def _is_followed(self, start: str, imported: str) -> bool:
        top = imported.partition(".")[0]
        if top in OURS or top in sys.stdlib_module_names:
            return False
        return top == start.partition(".")[0] or top in self._plugins or not _is_installed(imported)


_MODULE_INTERNALS = frozenset(vars(nn.Module()))


def _is_in_module(value: type) -> bool:
    return getattr(sys.modules.get(value.__module__), value.__qualname__, None) is value


def _describe_tensor(value: Tensor, *, whole: bool) -> Any:
    kind = [str(value.dtype), list(value.shape), value.requires_grad]
    if not whole:
        return ["tensor", *kind]
    raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return ["tensor", *kind, hashlib.sha256(raw).hexdigest()]


def _listed(part: Any) -> Any:
    return list(part) if isinstance(part, (tuple, Iterator)) else part


def _list_names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_list_names, inner))


def _list_imports(module: str, path: Path) -> Iterator[str]:
    """Modules that a file may import, function-level imports included."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            name = importlib.util.resolve_name(relative, package) if node.level else relative
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


@cache
def _find_file(module: str) -> Path | None:
    """The Python file of a module; None if there is none, or no such module."""
    origin = getattr(sys.modules.get(module), "__file__", None)
    if origin is None and module not in sys.modules:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, AttributeError, ValueError):
            return None
        origin = spec.origin if spec is not None else None
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _is_installed(module: str) -> bool:
    """Whether a module is of an installed package that is not developed in place."""
    top = module.partition(".")[0]
    origin = getattr(sys.modules.get(top), "__file__", None)
    if origin is None:
        found = _find_file(top)
        origin = str(found) if found else ""
    return bool({"site-packages", "dist-packages"} & set(Path(origin).parts))


@cache
def _find_version(top: str) -> str:
    owners = packages_distributions().get(top, [])
    return version(owners[0]) if owners else "unknown"
