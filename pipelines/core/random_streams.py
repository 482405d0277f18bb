"""Random streams by key, so that a draw depends on its purpose alone.

A key is for example (seed, "noise", step, index of the sample in the global batch): never a rank or a
worker count, so that a run gives the same samples on one process and on sixteen.
"""

import hashlib

import torch


def stream_seed(*key: int | str) -> int:
    """A 63-bit seed from a key; equal keys give equal seeds on every platform."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator seeded by the key."""
    return torch.Generator().manual_seed(stream_seed(*key))
