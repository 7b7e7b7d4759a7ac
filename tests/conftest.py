"""Settings of the whole suite."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Compilation happens inside tests: no deadline. The examples are the same in every run, so that a red test is red again.
settings.register_profile("hftkit", deadline=None, derandomize=True, max_examples=200)
settings.load_profile("hftkit")

# Most tests look at one process and end it as they like; those of the supervisor ask for one.
os.environ.setdefault("HFTKIT_RECOVERY__SUPERVISOR", "false")


@pytest.fixture(autouse=True, scope="session")
def _trials_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of a module freeze is kept in no ledger of trials of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HFTKIT_TRIALS", str(tmp_path_factory.mktemp("trials") / "session.duckdb"))
        yield


@pytest.fixture(autouse=True)
def _trials_of_the_test(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> None:
    """Each test has a ledger of its own: what one has looked at, another has not."""
    folder: Path = tmp_path_factory.getbasetemp() / "trials-of-tests"
    monkeypatch.setenv("HFTKIT_TRIALS", str(folder / f"{abs(hash(request.node.nodeid))}.duckdb"))
