"""From the published description to `generated/`: pull, generate, check."""
