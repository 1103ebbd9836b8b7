"""T1 to T16 as far as the capture sees them: Twitch that fails, stalls, lies or sends us elsewhere."""

import asyncio
import gzip
import ssl
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiohttp import web
from yarl import URL

from fingerprint.circuit_breaker import HOST_FAILURES, HostCircuitBreakers
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import VideoTarget, parse_target
from fingerprint.media.fetch import Fetched, HostWantsPauseError
from fingerprint.media.hosts import AllowList
from fingerprint.ports import LiveSource
from fingerprint.retry import retry_budget, time_limit
from fingerprint.setting_formats import GqlAttempt
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.upstream_settings import TwitchSettings
from simulator.faults import GQL_KINDS, Fault, FaultKind, Step
from tests.integration.capture_twitch import (
    SLUG,
    VIDEO,
    Listener,
    PauseClock,
    first_take,
    heard,
    listening,
    tone,
)
from tests.waiting import skip_time, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Listener]:
    async with listening(tmp_path_factory.getbasetemp() / "ladder") as listener:
        yield listener


@pytest_asyncio.fixture(loop_scope="module")
async def listener(running: Listener) -> Listener:
    return running.afresh()


async def fails(listener: Listener, target: str = "ladder") -> TwitchAudioError:
    """How listening fails, after which the next question must be answered."""
    with pytest.raises(TwitchAudioError) as caught:
        await listener.listen(target)
    listener.twitch.faults.clear()
    assert (await listener.afresh().listen(target)).pcm.duration_seconds >= 5.9
    assert len(caught.value.detail) < 400
    assert caught.value.detail.isprintable()
    return caught.value


def is_upstream(error: TwitchAudioError, step: Step, code: ProblemCode = ProblemCode.UPSTREAM_UNAVAILABLE) -> bool:
    return isinstance(error, UpstreamError) and (error.step, error.code) == (step.value, code)


# --- gql ----------------------------------------------------------------------------------------------

TRANSIENT = {FaultKind.SERVICE_ERROR, FaultKind.SERVICE_TIMEOUT, FaultKind.SERVER_ERROR}
GQL_STATUSES = [Fault(step=Step.GQL, kind=FaultKind.STATUS, status=status) for status in (429, 500, 503)]
GQL_FAULTS = [
    *(Fault(step=Step.GQL, kind=kind) for kind in sorted(GQL_KINDS - {FaultKind.NULL_DATA})),
    *(
        Fault(step=Step.GQL, kind=kind)
        for kind in (FaultKind.CUT_JSON, FaultKind.HTML, FaultKind.BINARY, FaultKind.EMPTY)
    ),
    Fault(step=Step.GQL, kind=FaultKind.STATUS, status=400),
    Fault(step=Step.GQL, kind=FaultKind.STATUS, status=401),
]


@pytest.mark.parametrize("fault", [*GQL_STATUSES, *GQL_FAULTS], ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_t1_t2_gql_that_always_fails_is_upstream_unavailable(listener: Listener, fault: Fault) -> None:
    listener.twitch.fail(fault)
    error = await fails(listener)
    assert is_upstream(error, Step.GQL)
    assert error.retry_after_seconds


@pytest.mark.parametrize("fault", [*GQL_STATUSES, *GQL_FAULTS], ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_t1_t2_gql_that_fails_once_is_answered(listener: Listener, fault: Fault) -> None:
    listener.twitch.fail(Fault(step=fault.step, kind=fault.kind, status=fault.status, times=1))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 5.9
    assert listener.twitch.count(Step.GQL) == 2


async def test_t2_the_next_way_is_taken_only_where_that_may_help(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.GQL, kind=FaultKind.FAILED_INTEGRITY))
    with pytest.raises(UpstreamError, match="failed integrity check"):
        await listener.listen("ladder")
    assert len({record.headers.get("Client-ID") for record in listener.twitch.requests.records}) == 2
    assert listener.twitch.count(Step.GQL) == 3
    listener = listener.afresh()
    listener.twitch.fail(Fault(step=Step.GQL, kind=FaultKind.SERVICE_TIMEOUT))
    with pytest.raises(UpstreamError, match="service timeout"):
        await listener.listen("ladder")
    assert listener.twitch.count(Step.GQL) == 2, "a service in trouble is not hammered"


@pytest.mark.parametrize(
    "attempt",
    [
        GqlAttempt("kimne78kx3ncx6brgo4mv6wki5h1ko", "text"),
        GqlAttempt("ue6666qo983tsx6so1t0vnawi233wa", "text"),
        GqlAttempt("kimne78kx3ncx6brgo4mv6wki5h1ko", "persisted"),
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["ladder", SLUG, "https://www.twitch.tv/videos/2210987009"])
async def test_every_way_to_ask_works_alone(listener: Listener, attempt: GqlAttempt, target: str) -> None:
    twitch = listener.twitch
    settings = TwitchSettings(
        gql_url=URL(twitch.gql_url), usher_url=URL(twitch.usher_url), gql_attempts=(attempt,)
    )
    async with twitch_fetcher(twitch_allow_list(settings)) as fetcher:
        source = await TwitchResolver(fetcher, settings).resolve(parse_target(target))
    assert (await first_take(listener.capture, source)).pcm.duration_seconds >= 5.9


async def test_a_client_id_that_is_refused_leads_to_the_next(listener: Listener) -> None:
    twitch = listener.twitch
    attempts = (GqlAttempt("someapplicationofours", "text"), GqlAttempt("kimne78kx3ncx6brgo4mv6wki5h1ko", "text"))
    settings = TwitchSettings(gql_url=URL(twitch.gql_url), usher_url=URL(twitch.usher_url), gql_attempts=attempts)
    async with twitch_fetcher(twitch_allow_list(settings)) as fetcher:
        source = await TwitchResolver(fetcher, settings).resolve(parse_target("ladder"))
        assert isinstance(source, LiveSource)
    assert twitch.count(Step.GQL) == 2


async def test_t3_nobody_listens(listener: Listener) -> None:
    settings = TwitchSettings(gql_url=URL("http://127.0.0.1:1/gql"))
    async with twitch_fetcher(twitch_allow_list(settings)) as fetcher:
        with pytest.raises(UpstreamError, match="cannot be reached") as caught:
            await TwitchResolver(fetcher, settings).resolve(parse_target("ladder"))
    assert is_upstream(caught.value, Step.GQL)


async def test_t3_a_certificate_that_nobody_trusted_signed_is_no_connection() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType] - it takes other libraries' contexts, too
    visits: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        visits.append(request.path)
        return web.Response(text="secret")

    async with serving(handler, tls) as here:
        error = await fetched_error(here, limit=60)
    assert (error.code, error.step) == (ProblemCode.UPSTREAM_UNAVAILABLE, "segment")
    assert visits == []


async def test_t6_a_token_that_runs_out_at_once_is_asked_for_twice(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.USHER, kind=FaultKind.STATUS, status=403, times=1))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 5.9
    assert listener.twitch.count(Step.GQL) == 2


# --- Any step -----------------------------------------------------------------------------------------

MEDIA_STEPS = [Step.USHER, Step.PLAYLIST, Step.SEGMENT]


@pytest.mark.parametrize("step", [Step.GQL, *MEDIA_STEPS])
@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.CUT])
async def test_t3_lost_connections(listener: Listener, step: Step, kind: FaultKind) -> None:
    listener.twitch.fail(Fault(step=step, kind=kind, times=1))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 3.9
    listener.twitch.fail(Fault(step=step, kind=kind))
    assert is_upstream(await fails(listener.anew()), step)


@pytest.mark.parametrize("step", MEDIA_STEPS)
async def test_t1_a_status_that_passes_and_one_that_stays(listener: Listener, step: Step) -> None:
    listener.twitch.fail(Fault(step=step, kind=FaultKind.STATUS, status=503, times=1))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 5.9
    listener.twitch.fail(Fault(step=step, kind=FaultKind.STATUS, status=503))
    assert is_upstream(await fails(listener.anew()), step)


@pytest.mark.parametrize("step", [Step.GQL, *MEDIA_STEPS])
@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.DRIP])
async def test_t4_t14_silence_and_drips_end_in_a_timeout(listener: Listener, step: Step, kind: FaultKind) -> None:
    listener.twitch.fail(Fault(step=step, kind=kind, seconds=100.0))
    asking = asyncio.create_task(listener.listen("ladder"))
    while not asking.done():
        sent = listener.twitch.count(step)
        await until(lambda sent=sent: asking.done() or listener.twitch.count(step) > sent)
        skip_time(5.5)
    with pytest.raises(TwitchAudioError) as caught:
        await asking
    assert is_upstream(caught.value, step, ProblemCode.TIMEOUT)


def never_comes(step: Step, **more: Any) -> Fault:
    """A body of which a twentieth comes every 25 s."""
    return Fault(step=step, kind=FaultKind.DRIP, seconds=500.0, **more)


@pytest.mark.parametrize(
    "renditions", [["audio_only"], ["audio_only", "160p30"], ["audio_only", "160p30", "480p30"]]
)
async def test_t14_a_rendition_whose_segments_hardly_come_is_left(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, renditions: list[str]
) -> None:
    """Soon, within the time of a job, and without asking for older ones of the same."""
    monkeypatch.setattr("fingerprint.media.segment_fetch.STALL_SECONDS", 0.2)
    for name in renditions:
        listener.twitch.fail(never_comes(Step.SEGMENT, only=name))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 5.9
    assert listener.twitch.count(Step.SEGMENT) == 3 + len(renditions) - 1 + 3


async def test_t14_a_segment_that_hardly_comes_is_replaced_by_an_older_one(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fingerprint.media.segment_fetch.STALL_SECONDS", 0.2)
    listener.twitch.fail(never_comes(Step.SEGMENT, times=1))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 3.9
    assert listener.twitch.count(Step.SEGMENT) == 4


@pytest.mark.parametrize(
    ("target", "step"), [(f"https://clips.twitch.tv/{SLUG}", Step.CLIP), (VIDEO, Step.SEGMENT)]
)
async def test_t14_another_file_or_rendition_is_taken_for_one_that_hardly_comes(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, target: str, step: Step
) -> None:
    for module in ("segment_fetch", "capture"):
        monkeypatch.setattr(f"fingerprint.media.{module}.STALL_SECONDS", 0.2)
    listener.twitch.fail(never_comes(step, times=1))
    assert (await listener.listen(target)).pcm.duration_seconds >= 9.9


async def test_t4_gql_is_asked_once_more_after_silence(listener: Listener) -> None:
    """A connection that was kept may be dead, and nobody says so."""
    listener.twitch.fail(Fault(step=Step.GQL, kind=FaultKind.SLOW, seconds=100.0, times=1))
    asking = asyncio.create_task(listener.listen("ladder"))
    await until(lambda: listener.twitch.count(Step.GQL) == 1)
    skip_time(3.5)
    assert (await asking).pcm.duration_seconds >= 5.9
    assert listener.twitch.count(Step.GQL) == 2


@pytest.mark.parametrize("step", [Step.USHER, Step.PLAYLIST])
@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.EMPTY,
        FaultKind.BINARY,
        FaultKind.HTML,
        FaultKind.HUGE,
        FaultKind.FOREIGN_HOST,
        FaultKind.FILE_URI,
    ],
)
async def test_t8_hostile_playlists(listener: Listener, step: Step, kind: FaultKind) -> None:
    listener.twitch.fail(Fault(step=step, kind=kind))
    error = await fails(listener)
    assert isinstance(error, UpstreamError)
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE


async def test_t8_a_playlist_that_points_to_itself_is_not_followed(listener: Listener) -> None:
    for step in (Step.USHER, Step.PLAYLIST):
        listener.twitch.fail(Fault(step=step, kind=FaultKind.SELF_REFERENCE))
        with pytest.raises(TwitchAudioError) as caught:
            await listener.listen("ladder")
        assert caught.value.code in (ProblemCode.UPSTREAM_UNAVAILABLE, ProblemCode.NO_AUDIO)
        # It is fetched as if it were each of the newest segments, and as older ones in place of those.
        assert listener.twitch.count(Step.PLAYLIST) <= 20
        listener = listener.afresh()


async def test_t7_renditions_without_sound_are_no_audio(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.USHER, kind=FaultKind.NO_AUDIO))
    assert (await fails(listener)).code is ProblemCode.NO_AUDIO


@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.BINARY, FaultKind.HTML])
async def test_m1_segments_that_are_no_media_are_failed_segments(listener: Listener, kind: FaultKind) -> None:
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=kind))
    error = await fails(listener)
    assert is_upstream(error, Step.SEGMENT)
    assert "sends no sound" in error.detail


async def test_t13_a_segment_without_end_is_cut_off(listener: Listener) -> None:
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.HUGE))
    with pytest.raises(UpstreamError, match="longer than"):
        await listener.listen("ladder")


async def test_compressed_answers_are_read(listener: Listener) -> None:
    for step in (Step.GQL, Step.USHER, Step.PLAYLIST):
        listener.twitch.fail(Fault(step=step, kind=FaultKind.GZIP))
    assert (await listener.listen("ladder")).pcm.duration_seconds >= 5.9


# --- The fetcher alone --------------------------------------------------------------------------------

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncGenerator[URL]:
    runner = web.ServerRunner(web.Server(handler), handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield URL.build(scheme="https" if tls else "http", host="127.0.0.1", port=runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def fetched_error(url: URL, *, hosts: tuple[str, ...] = ("127.0.0.1",), limit: float = 3.0) -> UpstreamError:
    async with twitch_fetcher(AllowList.of_media_hosts(hosts)) as fetcher:
        with pytest.raises(UpstreamError) as caught:
            await fetcher.get(url, step="segment", max_bytes=1 << 20, total_seconds=limit)
    return caught.value


async def test_t15_redirects_to_elsewhere_are_refused_before_connecting() -> None:
    visits: list[str] = []

    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        visits.append(request.path)
        return web.Response(text="secret")

    async with serving(elsewhere) as other:
        for target in (
            f"http://localhost:{other.port}/",
            f"//localhost:{other.port}/",
            f"http://[::ffff:127.0.0.1]:{other.port}/",
            "http://169.254.169.254/latest/meta-data",
            "https://evil.example/",
            "file:///etc/passwd",
            "data:text/plain,x",
        ):

            async def redirect(_request: web.BaseRequest, target: str = target) -> web.StreamResponse:
                return web.Response(status=302, headers={"Location": target})

            async with serving(redirect) as here:
                error = await fetched_error(here)
                assert "not on the list of hosts" in error.detail or "nowhere" in error.detail
    assert visits == []


async def test_t15_a_redirect_within_the_list_is_followed_and_a_circle_is_not() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/there":
            return web.Response(text="found")
        return web.Response(status=302, headers={"Location": "/there" if request.path == "/" else "/round"})

    async with serving(handler) as here, twitch_fetcher(AllowList.of_media_hosts(["127.0.0.1"])) as fetcher:
        assert (await fetcher.get(here / "", step="x", max_bytes=99, total_seconds=60)).text == "found"
        with pytest.raises(UpstreamError, match="chain of redirects"):
            await fetcher.get(here / "round", step="x", max_bytes=99, total_seconds=60)


@pytest.mark.parametrize(
    ("status", "content_range", "told"),
    [
        (203, None, 200),
        (206, "bytes 0-4/5", 200),
        (206, "bytes 0-4/9", 206),
        (206, "bytes 2-4/5", 206),
        (206, "bytes 0-4/*", 200),
        (206, "bytes 2-4/*", 206),
        (206, None, 206),
    ],
)
async def test_a_status_that_means_all_of_it_is_200(status: int, content_range: str | None, told: int) -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        headers = {} if content_range is None else {"Content-Range": content_range}
        return web.Response(status=status, text="found", headers=headers)

    async with serving(handler) as here, twitch_fetcher(AllowList.of_media_hosts(["127.0.0.1"])) as fetcher:
        fetched = await fetcher.get(here / "", step="x", max_bytes=99, total_seconds=60)
    assert (fetched.status, fetched.text) == (told, "found")


async def test_a_part_that_was_asked_for_stays_a_part() -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=206, text="found", headers={"Content-Range": "bytes 0-4/*"})

    async with serving(handler) as here, twitch_fetcher(AllowList.of_media_hosts(["127.0.0.1"])) as fetcher:
        ranged = {"Range": "bytes=0-9"}
        fetched = await fetcher.get(here / "", step="x", max_bytes=99, total_seconds=60, headers=ranged)
    assert fetched.status == 206


async def test_heads_as_long_as_browsers_take_them_are_read() -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        many = {f"X-Header-{number}": "x" for number in range(500)}
        return web.Response(text="found", headers={"Content-Security-Policy": "x" * 30_000, **many})

    async with serving(handler) as here, twitch_fetcher(AllowList.of_media_hosts(["127.0.0.1"])) as fetcher:
        assert (await fetcher.get(here / "", step="x", max_bytes=99, total_seconds=60)).text == "found"


async def test_t15_a_listed_name_that_resolves_to_this_machine_is_refused() -> None:
    visits: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        visits.append(request.path)
        return web.Response()

    async with serving(handler) as here, twitch_fetcher(_AnyName()) as fetcher:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(UpstreamError, match="cannot be reached"):
                await fetcher.get(here.with_host(host), step="x", max_bytes=99, total_seconds=60)
    assert visits == []


class _AnyName(AllowList):
    """A list that lets every name pass, so that only the addresses are judged; it names none."""

    def __init__(self) -> None:
        super().__init__((), any_address=False)

    def allows(self, url: URL) -> bool:
        return True


async def test_t13_a_gzip_bomb_is_cut_at_the_limit_of_decoded_bytes() -> None:
    bomb = gzip.compress(bytes(256 << 20), 9)

    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as here:
        tracemalloc.start()
        try:
            assert "longer than" in (await fetched_error(here, limit=60)).detail
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 48 << 20, "much less than the 256 MiB that it unpacks to"


async def test_a_refused_request_is_repeated_once_and_a_timeout_never() -> None:
    asked = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if request.path == "/slow":
            skip_time(100)
            await asyncio.Event().wait()
        return web.Response(status=500)

    async with serving(handler) as here:
        async with twitch_fetcher(AllowList.of_media_hosts(["127.0.0.1"])) as fetcher:
            answer = await fetcher.get(here / "bad", step="x", max_bytes=99, total_seconds=60)
        assert (answer.status, asked) == (500, 2)
        error = await fetched_error(here / "slow", limit=60)
        assert (error.code, asked) == (ProblemCode.TIMEOUT, 3)


async def test_connections_are_kept_alive() -> None:
    connections: set[object] = set()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        connections.add(request.transport)
        return web.Response(text="x")

    async with serving(handler) as here, twitch_fetcher(AllowList.of_media_hosts(["127.0.0.1"])) as fetcher:
        for _ in range(5):
            await fetcher.get(here, step="x", max_bytes=99, total_seconds=60)
    assert len(connections) == 1


# --- Hosts that keep failing, and what the operator is told ---------------------------------------------


async def test_t3_a_host_that_keeps_failing_is_left_alone(listener: Listener) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    breakers = HostCircuitBreakers(listener.clock)
    url = URL(listener.twitch.usher_url)
    listener.twitch.fail(Fault(step=Step.USHER, kind=FaultKind.STATUS, status=503))
    allow = AllowList.of_origins([url])
    async with twitch_fetcher(
        allow, breakers=breakers, on_outcome=lambda step, outcome: counted.update([(step, outcome)])
    ) as fetcher:

        async def get() -> int:
            address = url / "api/v2/channel/hls/ladder.m3u8"
            return (await fetcher.get(address, step="usher", max_bytes=1 << 20, total_seconds=3.0)).status

        assert [await get() for _ in range(HOST_FAILURES)] == [503] * HOST_FAILURES
        asked = listener.twitch.count(Step.USHER)
        with pytest.raises(UpstreamError, match="keeps failing") as caught:
            await get()
        assert caught.value.step == "usher"
        assert caught.value.retry_after_seconds is not None
        assert listener.twitch.count(Step.USHER) == asked, "it has its peace"
        listener.twitch.faults.clear()
        await listener.clock.sleep(60)
        assert await get() == 403, "it answers again: that there is no token"
    assert counted == {
        ("usher", "5xx"): HOST_FAILURES,
        ("usher", "repeated"): HOST_FAILURES,
        ("usher", "circuit-open"): 1,
        ("usher", "4xx"): 1,
    }


async def test_a_working_chain_is_counted_step_by_step(listener: Listener) -> None:
    counted: Counter[tuple[str, str]] = Counter()

    def count(step: str, outcome: str) -> None:
        counted[step, outcome] += 1

    twitch = listener.twitch
    settings = TwitchSettings(gql_url=URL(twitch.gql_url), usher_url=URL(twitch.usher_url))
    async with twitch_fetcher(twitch_allow_list(settings), on_outcome=count) as fetcher:
        await TwitchResolver(fetcher, settings, on_outcome=count).resolve(parse_target("ladder"))
        twitch.configure_channel("ladder", offline=True)
        with pytest.raises(TwitchAudioError):
            await TwitchResolver(fetcher, settings, on_outcome=count).resolve(parse_target("ladder"))
    assert counted == {
        ("gql", "2xx"): 2,
        ("gql-answer", "ok"): 2,
        ("usher", "2xx"): 1,
        ("usher", "4xx"): 1,
        ("usher-answer", "ok"): 1,
        ("usher-answer", "not-live"): 1,
    }


# --- Hosts that want a pause ----------------------------------------------------------------------------


@asynccontextmanager
async def limited(
    *, status: int = 429, retry_after: str | None = None, times: int = 1_000
) -> AsyncGenerator[tuple[Callable[[], Awaitable[Fetched]], list[float]]]:
    """A call to a host that refuses `times` requests, and how long had been waited before each request came."""
    came: list[float] = []
    clock = PauseClock()

    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        came.append(clock.slept)
        if len(came) > times:
            return web.Response(text="x")
        return web.Response(status=status, headers={} if retry_after is None else {"Retry-After": retry_after})

    allow = AllowList.of_media_hosts(["127.0.0.1"])
    async with serving(handler) as here, twitch_fetcher(allow, clock=clock) as fetcher:
        yield lambda: fetcher.get(here, step="segment", max_bytes=99, total_seconds=20), came


@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_fits_is_kept_and_then_one_request_goes_first(status: int) -> None:
    async with limited(status=status, retry_after="30", times=3) as (call, came):
        with time_limit(120), retry_budget(9):
            answers = await asyncio.gather(call(), call(), call())
    assert [answer.status for answer in answers] == [200] * 3, "though it is longer than the call's own limit"
    assert came[:3] == [0.0] * 3
    assert came[3] > 20, "the rest went by while the retry was spread"
    assert len(came) == 6


async def test_a_pause_that_does_not_fit_is_told_and_nothing_more_is_sent() -> None:
    for retry_after in ("45", format_datetime(datetime.now(UTC) + timedelta(seconds=45.9), usegmt=True)):
        async with limited(retry_after=retry_after) as (call, came):
            for _ in range(3):
                with time_limit(30), retry_budget(9), pytest.raises(HostWantsPauseError) as caught:
                    await call()
                assert caught.value.retry_after_seconds == pytest.approx(45, abs=2)
            assert len(came) == 1


async def test_a_job_tries_once_more_at_a_host_that_names_no_time() -> None:
    async with limited() as (call, came):
        with time_limit(30), retry_budget(9):
            failures = await asyncio.gather(*(call() for _ in range(4)), return_exceptions=True)
            failures += await asyncio.gather(*(call() for _ in range(4)), return_exceptions=True)
    assert all(isinstance(failure, HostWantsPauseError) for failure in failures)
    assert len(came) == 5, "four at once, and one after a second"


@pytest.mark.parametrize("step", [Step.GQL, Step.USHER, Step.PLAYLIST, Step.SEGMENT])
async def test_what_twitch_asks_for_is_said_to_the_viewer(listener: Listener, step: Step) -> None:
    listener.twitch.fail(Fault(step=step, kind=FaultKind.STATUS, status=429, retry_after=90))
    with time_limit(30), retry_budget(9), pytest.raises(UpstreamError) as caught:
        await listener.listen("ladder")
    assert (caught.value.step, caught.value.retry_after_seconds) == (step, pytest.approx(90, abs=3))
    assert listener.twitch.count(step) <= 4, "segments are asked for side by side"
    listener.twitch.reset()


async def test_a_short_pause_costs_the_viewer_only_that(listener: Listener) -> None:
    fault = Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=429, retry_after=1, times=2)
    listener.twitch.fail(fault)
    with time_limit(30), retry_budget(9):
        assert (await listener.listen("ladder")).pcm.duration_seconds >= 5.9


# --- What waiting does not change -----------------------------------------------------------------------


async def test_t3_t15_hosts_that_are_not_listed_and_filtered_names_have_no_time_to_retry() -> None:
    async with twitch_fetcher(AllowList.of_media_hosts(["*.invalid", "*.test"])) as fetcher:
        told: list[UpstreamError] = []
        for host in ("media.example.com", "segments.invalid"):
            with pytest.raises(UpstreamError) as caught:
                await fetcher.get(URL(f"https://{host}/"), step="segment", max_bytes=9, total_seconds=5)
            told.append(caught.value)
    assert [error.retry_after_seconds for error in told] == [None, None]
    assert "TWITCHAUDIO_MORE_MEDIA_HOSTS" in told[0].detail
    assert "DNS" in told[1].detail


@pytest.mark.parametrize(
    ("status", "code"), [(403, ProblemCode.RESTRICTED_STREAM), (404, ProblemCode.VIDEO_NOT_FOUND)]
)
async def test_a_video_whose_segments_are_refused_has_no_time_to_retry(
    listener: Listener, status: int, code: ProblemCode
) -> None:
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=status))
    with pytest.raises(TwitchAudioError) as caught:
        await listener.listen(f"https://www.twitch.tv/videos/{VIDEO}")
    assert (caught.value.code, caught.value.retry_after_seconds) == (code, None)


async def test_a_prefetch_that_turns_out_to_be_an_ad_is_left_out(listener: Listener) -> None:
    listener.twitch.configure_channel("ladder", prefetch=True, ad_unannounced=True)
    listener.twitch.channel("ladder").start_ad(20)
    for _ in range(4):
        await listener.clock.sleep(0.5)
        recording = await listener.anew().listen("ladder")
        assert recording.started_at is not None
        for second in range(int(recording.pcm.duration_seconds)):
            at = second + 0.5
            playing = listener.twitch.now_playing("ladder", recording.started_at + timedelta(seconds=at))
            assert playing is not None, "nothing of the ad is heard"
            assert heard(recording.pcm, at) == pytest.approx(tone(playing.offset_seconds), abs=15)


async def test_m6_twenty_captures_at_once_each_hear_their_own_moment(listener: Listener) -> None:
    # The muted part is left out.
    moments = [*range(0, 14, 2), *range(40, 53)]
    takes = await asyncio.gather(*(listener.listen(VideoTarget(VIDEO, float(each))) for each in moments))
    assert len(takes) == 20
    for moment, recording in zip(moments, takes, strict=True):
        assert recording.from_seconds is not None
        assert heard(recording.pcm, moment + 0.5 - recording.from_seconds) == pytest.approx(tone(moment), abs=15)
