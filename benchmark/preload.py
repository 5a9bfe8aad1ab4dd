"""What the fork server imports once for all runs of a launch; imported by nothing else."""

import os

import benchmark.run  # noqa: F401

os.setsid()  # a signal to the launcher's group ends the launcher, which asks the runs to save; the server ends with the last of them
