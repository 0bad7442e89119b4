"""The client's cost, as ratios to explicit alternatives, measured in one run."""
