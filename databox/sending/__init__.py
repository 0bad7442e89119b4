"""How a call is sent, without I/O: one exchange, the meaning of its answer, whether to retry it."""
