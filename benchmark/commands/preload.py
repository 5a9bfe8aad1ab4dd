"""Imports that the fork server makes once for all runs of a launch; no other file imports this one."""

import os

import benchmark.training.run  # noqa: F401

# A signal to the launcher's group is for the launcher, which asks the runs to save. The server ends with the last run.
os.setsid()
