"""Settings of the whole suite."""

import os

from hypothesis import settings

# Compilation happens inside tests: no deadline. The examples are the same in every run, so that a red test is red again.
settings.register_profile("hftkit", deadline=None, derandomize=True, max_examples=200)
settings.load_profile("hftkit")

# Most tests look at one process and end it as they like; those of the supervisor ask for one.
os.environ.setdefault("HFTKIT_RECOVERY__SUPERVISOR", "false")
