"""What a picture costs on a CPU with each engine: torch, torch in channels_last, ONNX Runtime.

    python -m benchmarks.inference    # about 20 minutes on 2 cores

The bundled entry at 256 and 512 pixels, and one network of each architecture at 256, at one setting. Variants
are called in turn, so that whatever slows the machine for a while slows them all alike. Times are of one
call: wall clock, and CPU time of all threads, which a machine that is busy with other things changes less.
"""
