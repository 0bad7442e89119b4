"""What the client costs, as ratios against alternatives written out plainly, measured in one run."""
