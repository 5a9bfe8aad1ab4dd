"""Run records and checkpoints into pictures and pages."""
