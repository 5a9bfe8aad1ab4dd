"""Makes result_example importable by its name (pytest puts this folder on the path)."""
