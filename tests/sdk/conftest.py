"""Fixtures: the model inside and a scripted one, each behind a gateway, started once."""

import pytest
from harness import BINARY, Demur, Model, echo


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not built: run `make test`", returncode=2)


@pytest.fixture(scope="session")
def inside():
    """A gateway with the model inside."""
    with Demur() as demur:
        yield demur


@pytest.fixture(scope="session")
def echoing():
    """A model that says the user's last words again."""
    with Model(echo) as model:
        yield model


@pytest.fixture(scope="session")
def gateway(echoing):
    """A gateway with the default policy in front of the echoing model."""
    with Demur("--upstream", echoing.url) as demur:
        yield demur
