"""The examples in docstrings run."""

import doctest
import pkgutil
from importlib import import_module

import torch
from torch import nn

import tunable_models


def test_examples_in_docstrings() -> None:
    attempted = 0
    for found in pkgutil.walk_packages(tunable_models.__path__, "tunable_models."):
        result = doctest.testmod(import_module(found.name), extraglobs={"torch": torch, "nn": nn})
        assert result.failed == 0, found.name
        attempted += result.attempted
    assert attempted > 0
