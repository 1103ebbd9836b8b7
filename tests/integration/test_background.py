"""One rule for all work in the background: an unexpected error is logged once and shown, and the work goes on."""

import ast
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, cast

import pytest
from aiohttp import ClientSession

from fingerprint.background import WELL_SECONDS, Background
from fingerprint.configured_database import open_configured_database
from fingerprint.domain.targets import ChannelTarget
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import PrintRecognizer
from fingerprint.setting_formats import Secret
from fingerprint.whole import WholeRecordings
from server.app import listening, make_app
from server.setting_formats import Rate
from server.settings import ServerSettings
from tests.api_client import ASK, STREAM, bot_headers
from tests.fakes import FakeClock, FakePipeline

WORK: Final = {
    "check Twitch",
    "collect webhook events",
    "delete failed jobs",
    "delete old answers",
    "delete old audit entries",
    "delete old counters",
    "delete old rows",
    "delete old unknowns",
    "forget channels",
    "give free space back",
    "give slots back",
    "keep the accounts of admins",
    "keep the audit log small",
    "keep unknowns",
    "learn channel names",
    "listen to hot channels",
    "look after sessions",
    "look at connections",
    "look up admins",
    "measure lag",
    "measure vitals",
    "record uses of API keys",
    "search for unknowns",
    "send webhook messages",
    "set lists of videos",
    "watch channels",
    "write the audit log",
}
ELSEWHERE: Final = {
    "follow the catalogs",  # with catalogs in object storage
    "hear of jobs",  # with Redis
    "music folders",  # with folders to watch
    "tell of jobs",  # with Redis
    "upgrade the schema",  # while a database server is away at the start
}
ENDS_BY_ITSELF: Final = {
    "catalog_job.py": "as long as the command that adds music, which ends with the server",
    "feed.py": "a feed ends with its listeners, who are told when it breaks",
    "aws_lambda.py": "as long as an invocation, which awaits it",
    "leased_job.py": "as long as a job: it keeps the lease",
    "admission.py": "admits one job, and is awaited",
    "jobs.py": "one job, whose waiters are told",
    "unstored.py": "one answer, for some minutes",
    "background.py": "the rule itself",
    "music_folders.py": "parts of its work, which end with it",
    "subscriptions.py": "one question, and is awaited",
    "supervisor.py": "the supervisor's own, which has no services",
}


class Prints:
    """Finds nothing, in no catalog."""

    async def generations(self) -> Mapping[str, int]:
        return {}


async def test_whatever_breaks_is_logged_once_shown_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs: Counter[str] = Counter()
    start = Background.start

    def failing(self: Background, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def first_fails() -> None:
            runs[name] += 1
            if runs[name] == 1:
                raise ZeroDivisionError
            await work()

        return start(self, name, first_fails)

    monkeypatch.setattr(Background, "start", failing)
    clock = FakeClock()
    parts = FakePipeline(clock)
    parts.pipeline.prints = cast("PrintRecognizer", Prints())
    parts.pipeline.whole = cast("WholeRecordings", object())
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=tmp_path, keep_days=30),
        admins=("boss",),
        canary=(ChannelTarget("somechannel"),),
        hot_askers=2,
        set_lists=1,
        starts_per_address=(Rate(10, 60),),
        twitch_client_id="client",
        twitch_client_secret=Secret("secret"),
    )
    app = make_app(settings, pipeline=parts.pipeline, clock=clock)
    async with listening(app, "127.0.0.1", 0) as address, ClientSession(base_url=address) as api:
        async with open_configured_database(settings.pipeline) as database:
            headers = await bot_headers(database, "streams")
        answer = await api.post(ASK, json=STREAM, headers={"Prefer": "wait=20", **headers})
        assert answer.status == 200, await answer.text()
        answer = await api.post(ASK, json=STREAM, headers={"Prefer": "wait=20"})
        assert answer.status == 200, await answer.text()
        assert set(runs) == WORK
        found = (await (await api.get("/readyz")).json())["dependencies"]["background"]
        assert not found["ready"]
        assert not found["required"]
        for name in WORK:
            assert f"{name} (ZeroDivisionError)" in found["detail"]
        assert f"twitchaudio_background_failing {len(WORK)}" in await (await api.get("/metrics")).text()
        await clock.advance(1)
        assert set(runs.values()) == {2}
        await clock.advance(WELL_SECONDS)
        answer = await api.get("/readyz")
        assert answer.status == 200
        assert (await answer.json())["dependencies"]["background"]["ready"]
    failures = [record for record in caplog.records if record.message == "background_work_failed"]
    assert Counter(getattr(record, "work", "") for record in failures) == dict.fromkeys(WORK, 1)


def test_no_loop_runs_without_that_rule_but_those_that_end_by_themselves() -> None:
    root = Path(__file__).parents[2]
    started = {"delete old unknowns", "keep unknowns", "search for unknowns"}
    alone: set[str] = set()
    for file in (file for folder in ("server", "fingerprint") for file in (root / folder).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if not any(word in text for word in ("create_task", ".start(", ".running(", "running_tasks(")):
            continue
        nodes = list(ast.walk(ast.parse(text)))
        functions = [node for node in nodes if isinstance(node, ast.AsyncFunctionDef)]
        loops = {each.name for each in functions if any(isinstance(node, ast.While) for node in ast.walk(each))}
        for call in nodes:
            match call:
                case ast.Call(func=ast.Attribute(attr="start"), args=[ast.Constant(value=str(name)), _]):
                    started.add(name)
                case ast.Call(func=ast.Attribute(attr="running"), args=[ast.Dict(keys=names)]):
                    started |= {name.value for name in names if isinstance(name, ast.Constant)}
                case ast.Call(func=ast.Attribute(attr="create_task") | ast.Name(id="running_tasks"), args=[made]):
                    names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(made)}
                    if names & loops:
                        alone.add(file.name)
                case _:
                    pass
    assert started == WORK | ELSEWHERE
    assert sorted(alone) == sorted(ENDS_BY_ITSELF)
