"""Engines: what computes a network at one setting, torch or ONNX Runtime.

``choice.py`` decides; ``on_onnx.py`` is the door to ONNX Runtime, ``graph.py`` makes and checks what it runs,
and ``graph_cache.py`` keeps that between processes.
"""
