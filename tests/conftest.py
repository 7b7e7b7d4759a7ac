"""Settings of the whole suite."""

from hypothesis import settings

# Compilation happens inside tests: no deadline. The examples are the same in every run, so that a red test is red again.
settings.register_profile("hftkit", deadline=None, derandomize=True, max_examples=200)
settings.load_profile("hftkit")
