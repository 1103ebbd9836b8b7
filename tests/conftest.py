"""What all tests share: markers by folder, a clean environment, and parts of the machine that may be missing."""

import functools
import gc
import os
import re
import resource
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from aiohttp import web_app
from xdist.scheduler import LoadScopeScheduling  # pyright: ignore[reportMissingTypeStubs]

from tests.emulators import CREDENTIALS, EMULATORS, Emulator
from tests.fault_table import FaultTable
from tests.guards import logging_as_before, no_sockets_and_no_sleep, nothing_blocks
from tests.mariadb import MariaDB, running_mariadb
from tests.redis_server import RedisServer, running_redis

_KINDS = ("browser", "deployment", "faults", "integration", "contract", "unit")
_OURS = ("TWITCHAUDIO_", "TWITCH_", "ACRCLOUD_", "AUDD_", "AWS_")

# A property is true or false, however busy the machine is.
hypothesis.settings.register_profile("ours", deadline=None)
hypothesis.settings.load_profile("ours")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`scripts/test faults --kills 50` takes longer over what is proven with a few in each run."""
    parser.addoption("--kills", type=int, default=5, help="how often a server is killed while it writes to SQLite")
    parser.addoption("--hostile-requests", type=int, default=800, help="how many hostile requests a server gets")
    parser.addoption("--pictures", action="store_true", help="leave pictures of the pages in .cache/screenshots")
    parser.addoption("--nightly", action="store_true", help="run also what each night runs: the marker `nightly`")
    parser.addoption("--fault-table", action="store_true", help="run the tests of all faults; print their results")


def pytest_configure(config: pytest.Config) -> None:
    """Print what came of each fault, if that is asked for, and collect garbage rarely, as `serve` does."""
    gc.set_threshold(20_000, 20, 50)
    if config.getoption("--fault-table"):
        config.pluginmanager.register(FaultTable(), "fault-table")
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        _begin_elsewhere(config, int(worker["workerid"].removeprefix("gw")), worker["workercount"])


def _begin_elsewhere(config: pytest.Config, number: int, count: int) -> None:
    """Let each of several processes that collect all tests begin elsewhere, and find the byte code of the rest.

    Rewriting the assertions of all tests takes ten seconds of the processor.
    """
    root = Path(__file__).parent
    if [Path(argument).resolve() for argument in config.args] == [root]:
        parts = sorted(str(part) for part in root.iterdir() if part.name in _KINDS or part.match("test_*.py"))
        first = number * len(parts) // count
        config.args[:] = parts[first:] + parts[:first]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test's folder says what kind it is. Kinds whose files take long come first: so processes end together.

    What is `nightly` stays out, unless it is asked for by `--nightly` or by its own name.
    """
    root = Path(__file__).parent
    places: dict[pytest.Item, tuple[int, str]] = {}
    for item in items:
        folder = item.path.relative_to(root).parts[0]
        kind = folder if folder in _KINDS else "unit"
        item.add_marker(kind)
        places[item] = (_KINDS.index(kind), folder)
        if _in_firefox(item) and item.get_closest_marker("both_browsers") is None:
            item.add_marker("nightly")
    items.sort(key=lambda item: places[item])
    if not config.getoption("--nightly") and not any("::" in argument for argument in config.args):
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)


def _in_firefox(item: pytest.Item) -> bool:
    """Whether a test is the variant in Firefox of one that runs in both browsers."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("either_browser") == "firefox"


def pytest_collection_finish() -> None:
    """Exempt what lives until the end: searching it again and again took a sixth of the CPU time."""
    gc.collect()
    gc.freeze()


class SharedFixturesScheduling(LoadScopeScheduling):
    """Tests that share expensive fixtures run in one process: those of a file, of the pages in one browser, and of
    the extension in one browser. Without `--nightly`, the few that run in Firefox start it once:
    beside the extension.

    pytest-xdist's own groups (`--dist loadgroup`) need an attribute that pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith("tests/browser/"):
            return file
        folder, firefox = file.rpartition("/")[0], re.search(r"\[firefox\b", nodeid) is not None
        if not self.config.getoption("--nightly"):
            return "tests/browser/extension" if firefox else folder
        return f"{folder} {'firefox' if firefox else 'chromium'}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedFixturesScheduling:
    """How several processes (`-n`) divide the tests."""
    return SharedFixturesScheduling(config, log)


@pytest.fixture(autouse=True, scope="session")
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No variable of the developer's shell reaches a test, and no test reaches the developer's data."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in list(os.environ):  # noqa: TID251 - it is cleaned here, not read
            if variable.startswith(_OURS):
                patch.delenv(variable)
        patch.setenv("TWITCHAUDIO_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _work_is_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """What each of a thousand servers would do again (tests/kept_work.py). Unit tests alone need not load it."""
    if all(item.get_closest_marker("unit") for item in request.session.items):
        yield
        return
    from tests.kept_work import kept_work

    with kept_work():
        yield


@pytest.fixture(autouse=True)
def _no_sockets_and_no_sleep(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the marker `unit` promises."""
    unit = request.node.get_closest_marker("unit") is not None
    with no_sockets_and_no_sleep() if unit else nullcontext():
        yield


@pytest.fixture(autouse=True, scope="session")
def _nothing_blocks() -> Iterator[None]:
    """The product never blocks the event loop, in no test."""
    with nothing_blocks():
        yield


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """What a command sets up for the whole process ends with its test: its stream is closed then."""
    with logging_as_before():
        yield


@pytest.fixture(autouse=True)
def _applications_go_with_their_tests() -> Iterator[None]:
    """aiohttp keeps up to 1,024 handlers, each with its application and all that it holds."""
    yield
    web_app._cached_build_middleware.cache_clear()  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(scope="session")
def many_files() -> Iterator[int]:
    """As many open files from here on as this process may have, and how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A real MariaDB for the whole run; fault tests leave it running."""
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def aws_credentials() -> Iterator[None]:
    """Credentials that every emulator takes, in the usual variables. AWS's models are read once."""
    import botocore.session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        for variable, value in CREDENTIALS.items():
            patch.setenv(variable, value)
        yield


@pytest.fixture(scope="session")
def moto(aws_credentials: None) -> Iterator[Emulator]:
    """DynamoDB's API; its conditional writes are not atomic."""
    with EMULATORS["moto"]() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def ministack(aws_credentials: None) -> Iterator[Emulator]:
    """DynamoDB and Lambda."""
    with EMULATORS["ministack"]() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def dynalite(aws_credentials: None) -> Iterator[Emulator]:
    """DynamoDB."""
    with EMULATORS["dynalite"]() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis or Valkey for the whole run."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def sql_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}"
    return request.getfixturevalue("mariadb").new_database()
