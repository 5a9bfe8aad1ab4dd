"""Pages and figures from run records and checkpoints."""
