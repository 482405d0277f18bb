"""How a mixed network is run: kernels, their weighted sum, and the source's forward on the result."""
