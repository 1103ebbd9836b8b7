"""schemathesis asks everything that the OpenAPI document allows, and much that it does not (C3, #9).

No server error, and no answer that the document does not describe. It is the same each time: short in each run, a
minute with `--nightly`; `st run http://127.0.0.1:8080/api/v1/openapi.json` goes on for as long as one likes.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from server.access.identity.api_keys import ApiKeyStore
from server.access.scopes import SCOPES
from server.channels.watcher import WatcherLimits
from tests.api_client import open_api
from tests.fakes import FakePipeline
from tests.programs import run_program

SECONDS, NIGHTLY_SECONDS = 5, 60
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ENDLESS = r"/channels/\{login\}/events$"
"""Events without an end have their own tests: tests/integration/test_channels.py."""


@pytest.mark.parametrize(
    "known", [pytest.param(False, id="anonymous", marks=pytest.mark.nightly), pytest.param(True, id="key")]
)
async def test_nothing_breaks_the_api_and_nothing_surprises_the_document(
    request: pytest.FixtureRequest, tmp_path: Path, known: bool
) -> None:
    seconds = NIGHTLY_SECONDS if request.config.getoption("--nightly") else SECONDS
    parts = FakePipeline(SystemClock())
    # What watches would ask for is not what is looked for here.
    idle = WatcherLimits(at_once=1, poll_seconds=3_600)
    async with open_api(parts, tmp_path, watches=10_000, watcher_limits=idle) as api:
        async with open_database(f"sqlite:///{tmp_path / 'twitchaudio.sqlite3'}") as database:
            _, secret = await ApiKeyStore(database).create("st", now=datetime.now(UTC), scopes=SCOPES)
        async with api.get("/healthz") as answer:
            address = answer.url.origin()
        ran = await run_program(
            str(Path(sys.executable).parent / "st"),
            *("run", f"{address}/api/v1/openapi.json", "--checks", CHECKS),
            *("--exclude-path-regex", ENDLESS, "--seed", "1", "--max-time", str(seconds), "--max-examples", "30"),
            *("--request-timeout", "20", "--workers", "1", "--continue-on-failure", "--no-shrink", "--no-color"),
            *("--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off"),
            *(("--header", f"X-API-Key: {secret.reveal()}") if known else ()),
            folder=tmp_path,
            seconds=150,
        )
    assert ran.code == 0, ran.output.replace(secret.reveal(), "ta_...")[-8_000:]
