"""How a network is converted: what becomes tunable, and what is refused."""
