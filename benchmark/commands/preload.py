"""What the fork server imports once for all runs of a launch; imported by nothing else."""

import os

import benchmark.training.run  # noqa: F401

# A signal to the launcher's group is for the launcher, which asks the runs to save. The server ends with the last run.
os.setsid()
