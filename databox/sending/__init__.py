"""How a call travels, without I/O: one exchange, what its answer means, whether to repeat it."""
