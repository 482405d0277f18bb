"""Optional parts of the installation, named before an import of them fails."""

from importlib.util import find_spec

from pipelines.core.errors import PipelineError

EXTRAS = {
    "pipelines": ("ray", "mlflow", "dvc", "yaml", "packaging"),
    "serve": ("ray", "fastapi", "python_multipart", "yaml"),
    "export": ("onnx", "onnxscript"),
}
"""Extra: the modules it brings."""


def require(extra: str) -> None:
    """Do nothing if the extra is installed.

    Raises:
        PipelineError: a module is missing; the message says what to install.
    """
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        raise PipelineError(f"this needs {', '.join(missing)}: pip install 'tunable-zoo[{extra}]'")
