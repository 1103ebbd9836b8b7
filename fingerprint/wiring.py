"""Builds a pipeline from the settings. The only module that puts concrete classes together."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final, cast

import numpy as np
from numpy.random import default_rng

from fingerprint.background import Background
from fingerprint.catalog.recognition_pool import RecognitionPool
from fingerprint.circuit_breaker import HostCircuitBreakers
from fingerprint.clock import SystemClock
from fingerprint.database import Database, open_database
from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.links.finder import LinkFinder, LinkServices
from fingerprint.links.media import LinkMedia
from fingerprint.links.media_store import MediaFolder, MediaStore
from fingerprint.media.capture import StreamCapture
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.media.live import HearAhead
from fingerprint.pipeline import CAPTURE_SECONDS, Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import (
    ChannelDirectory,
    ClipOwners,
    Clock,
    LearnedCatalog,
    OnOutcome,
    OnUnknown,
    PrintRecognizer,
    Recognizer,
    Recognizers,
    Usage,
    ignore_outcome,
    ignore_unknown,
)
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.guard import ProviderGuards
from fingerprint.providers.usage import SqlUsage
from fingerprint.recognizer_choice import (
    CurrentChoice,
    RecognizerChoice,
    available_names,
    budgeted_by,
    chosen_by,
    fixed_choice,
)
from fingerprint.recognizers import REGISTRY, Resources, chosen_names
from fingerprint.recognizers.catalog import CatalogRecognizer
from fingerprint.recognizers.chain import Choose, Member, RecognizerChain
from fingerprint.recognizers.learned import LearnedRecognizer
from fingerprint.remote_catalogs.follower import CatalogFollower
from fingerprint.settings import SettingsError
from fingerprint.tasks import running_tasks
from fingerprint.twitch.channels import TwitchChannels
from fingerprint.twitch.clips import TwitchClips
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.twitch.live_source_cache import LiveSourceCache
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.whole import WholeListener, WholeRecordings

_log = logging.getLogger(__name__)

MAX_PAID_QUESTIONS: Final = 200
"""How often providers are asked about one whole recording; their budgets may end that sooner."""

AGENT: Final = "TwitchAudio/0.1"
"""The User-Agent that providers receive."""


def make_recognizers(
    names: Iterable[str], settings: PipelineSettings, resources: Resources, guards: ProviderGuards
) -> list[Member]:
    """The recognizers of some names, which `checked_names` has checked; those that cost money have a guard."""
    members: list[Member] = []
    for name in names:
        recognizer = REGISTRY[name].factory(settings, resources)
        if REGISTRY[name].free:
            members.append(Member(recognizer, limits_itself=True))
        else:
            min_score = settings.providers.provider_min_score / 100
            members.append(Member(recognizer, guards.of(name), settings.clip_parts, min_score))
    return members


def checked_names(settings: PipelineSettings) -> tuple[str, ...]:
    """The names of the configured recognizers. Raises SettingsError."""
    settings.providers.check()
    names = chosen_names(settings)
    for name in names:
        entry = REGISTRY.get(name)
        if entry is None:
            takes = f"comma-separated names out of {', '.join(REGISTRY)}"
            raise SettingsError("TWITCHAUDIO_RECOGNIZERS", name, takes)
        if name == "learned" and not settings.learns:
            raise SettingsError("TWITCHAUDIO_RECOGNIZERS", name, "learned with TWITCHAUDIO_LEARN=on only")
        if not entry.is_configured(settings):
            raise SettingsError("TWITCHAUDIO_RECOGNIZERS", name, "recognizers whose keys are set")
    for name in settings.providers.budgets:
        if name not in REGISTRY or REGISTRY[name].free:
            paid = [name for name, entry in REGISTRY.items() if not entry.free]
            raise SettingsError("TWITCHAUDIO_BUDGETS", name, f"budgets of {', '.join(paid)}")
    for name in settings.providers.prices:
        if name not in REGISTRY or REGISTRY[name].free:
            paid = [name for name, entry in REGISTRY.items() if not entry.free]
            raise SettingsError("TWITCHAUDIO_PRICES", name, f"prices of {', '.join(paid)}")
    return names


def choice_of(settings: PipelineSettings) -> RecognizerChoice:
    """The order and the budgets of the settings. Raises SettingsError."""
    return RecognizerChoice(names=checked_names(settings), budgets=settings.providers.budgets)


def make_guards(settings: PipelineSettings, clock: Clock, *, usage: Usage | None = None) -> ProviderGuards:
    """The circuit breakers and budgets of the recognizers that cost money. `usage` counts their questions.

    Raises SettingsError.
    """
    guards = ProviderGuards(clock, usage=usage, budgets=settings.providers.budgets)
    for name in checked_names(settings):
        if not REGISTRY[name].free:
            guards.of(name)
    return guards


@asynccontextmanager
async def open_guards(settings: PipelineSettings, clock: Clock) -> AsyncGenerator[ProviderGuards]:
    """The guards for a standalone process, such as Lambda; questions are counted in SQL, if there is a database.

    The database must have its schema already; where no paid recognizer has its keys, it is not opened. Raises
    SettingsError.
    """
    names = {
        *checked_names(settings),
        *(name for name in available_names(settings) if REGISTRY[name].by_default(settings)),
    }
    if settings.database_url is None or all(REGISTRY[name].free for name in names):
        yield make_guards(settings, clock)
        return
    async with open_database(settings.database_url) as database:
        yield make_guards(settings, clock, usage=SqlUsage(database))


@asynccontextmanager
async def open_members(
    settings: PipelineSettings,
    *,
    guards: ProviderGuards | None = None,
    on_outcome: OnOutcome = ignore_outcome,
    recognition_pool: RecognitionPool | None = None,
    learned_pool: RecognitionPool | None = None,
    catalog_problems: Callable[[], Sequence[str]] = tuple,
    available: bool = False,
) -> AsyncGenerator[list[Member]]:
    """The configured recognizers, with connections to their providers. Raises SettingsError.

    `available`: also those that could be chosen, and are not.
    """
    clock = SystemClock()
    guards = guards or make_guards(settings, clock)
    names = checked_names(settings)
    if available:
        names = tuple(dict.fromkeys((*names, *available_names(settings))))
    origins = [origin for name in names for origin in REGISTRY[name].origins(settings)]
    async with Fetcher(AllowList.of_origins(origins), on_outcome=on_outcome) as fetcher:
        calls = ProviderCalls(fetcher, clock, agent=AGENT)
        resources = Resources(calls, recognition_pool, learned_pool, catalog_problems)
        yield make_recognizers(names, settings, resources, guards)


@asynccontextmanager
async def open_link_finder(settings: PipelineSettings, clock: Clock) -> AsyncGenerator[LinkFinder | None]:
    """A link finder on the services in the settings; None when none is enabled."""
    chosen = settings.links
    if not chosen.services:
        yield None
        return
    where = LinkServices(
        deezer=chosen.deezer_url if "deezer" in chosen.services else None,
        musicbrainz=chosen.musicbrainz_url if "musicbrainz" in chosen.services else None,
        odesli=chosen.odesli_url if "odesli" in chosen.services else None,
        apple=chosen.apple_url if "apple" in chosen.services else None,
    )
    agent = AGENT if chosen.contact is None else f"{AGENT} ( {chosen.contact} )"
    async with Fetcher(AllowList.of_origins(where.origins)) as fetcher:
        yield LinkFinder(ProviderCalls(fetcher, clock, agent=agent), where)


@asynccontextmanager
async def open_link_media(
    settings: PipelineSettings, clock: Clock, finder: LinkFinder, database: Database
) -> AsyncGenerator[LinkMedia | None]:
    """What fetches covers and previews from the services in the settings; None when none of them has any."""
    if not finder.has_media:
        yield None
        return
    allow = AllowList.of_media_hosts(settings.links.media_hosts)
    folder = MediaFolder(settings.data_dir / "link-media")
    headers = {"User-Agent": AGENT}
    async with (
        Fetcher(allow, upstream="The music service", headers=headers) as fetcher,
        LinkMedia(finder, fetcher, MediaStore(database), folder, clock=clock) as media,
    ):
        yield media


@asynccontextmanager
async def open_recognizers(settings: PipelineSettings) -> AsyncGenerator[Recognizers]:
    """The configured recognizers as one. Raises SettingsError."""
    async with open_members(settings) as members, _chain(settings, members) as recognizers:
        yield recognizers


def _chain(settings: PipelineSettings, members: Sequence[Member], choose: Choose | None = None) -> RecognizerChain:
    return RecognizerChain(
        members,
        recognizer_seconds=settings.recognizer_seconds,
        together=settings.ask == "together",
        choose=choose,
    )


def _free(members: Iterable[Member]) -> list[Member]:
    """The members that cost nothing for each question."""
    return [member for member in members if REGISTRY[member.recognizer.name].free]


def _of_prints(members: Iterable[Member]) -> PrintRecognizer | None:
    """The member that names songs by fingerprints of earlier sounds, if there is one."""
    for member in members:
        if isinstance(member.recognizer, CatalogRecognizer):
            return member.recognizer
    return None


def _learned(members: Iterable[Member]) -> LearnedCatalog | None:
    """The member that names songs by what providers named before, if there is one."""
    for member in members:
        if isinstance(member.recognizer, LearnedRecognizer):
            return cast("LearnedCatalog", member.recognizer)
    return None


@asynccontextmanager
async def open_resolver(
    settings: PipelineSettings,
    *,
    breakers: HostCircuitBreakers | None = None,
    on_outcome: OnOutcome = ignore_outcome,
) -> AsyncGenerator[TwitchResolver]:
    """A resolver with its own connections to gql and usher."""
    async with _twitch(settings, breakers=breakers, on_outcome=on_outcome) as fetcher:
        yield TwitchResolver(fetcher, settings.twitch, on_outcome=on_outcome)


@asynccontextmanager
async def open_clip_owners(
    settings: PipelineSettings, *, on_outcome: OnOutcome = ignore_outcome
) -> AsyncGenerator[ClipOwners]:
    """Finds clips' broadcasters, with its own connections to gql."""
    async with _twitch(settings, on_outcome=on_outcome) as fetcher:
        yield TwitchClips(fetcher, settings.twitch, on_outcome=on_outcome)


@asynccontextmanager
async def open_channel_directory(
    settings: PipelineSettings, *, on_outcome: OnOutcome = ignore_outcome
) -> AsyncGenerator[ChannelDirectory]:
    """Finds channels by login or id, with its own connections to gql."""
    async with _twitch(settings, on_outcome=on_outcome) as fetcher:
        yield TwitchChannels(fetcher, settings.twitch, on_outcome=on_outcome)


def _twitch(
    settings: PipelineSettings, *, breakers: HostCircuitBreakers | None = None, on_outcome: OnOutcome
) -> Fetcher:
    hosts = twitch_allow_list(settings.twitch)
    return twitch_fetcher(hosts, user_agent=settings.twitch.user_agent, breakers=breakers, on_outcome=on_outcome)


@asynccontextmanager
async def open_pipeline(
    settings: PipelineSettings,
    *,
    guards: ProviderGuards | None = None,
    on_outcome: OnOutcome = ignore_outcome,
    on_unknown: OnUnknown = ignore_unknown,
    decoder: DecoderPool | None = None,
    recognition_pool: RecognitionPool | None = None,
    learned_pool: RecognitionPool | None = None,
    catalog_follower: CatalogFollower | None = None,
    background: Background | None = None,
    choice: CurrentChoice | None = None,
) -> AsyncGenerator[Pipeline]:
    """A complete pipeline; its connections and decoder processes live as long as the block.

    `guards` come from `make_guards`, with the store that counts questions; the default is `open_guards`. Without
    such a store, providers with a budget are not asked. `on_outcome` is called for every upstream call,
    `on_unknown` for what Twitch was not known to send. `decoder`, `recognition_pool` and `learned_pool` are pools
    that are not yet entered; without those, this process searches the catalogs itself. `catalog_follower`: one
    that is open and that the caller refreshes; by default, shared catalogs are followed here. `choice`: which
    recognizers are asked, for as long as the block runs; by default, those of the settings. Raises SettingsError.
    """
    clock = SystemClock()
    current = choice or fixed_choice(choice_of(settings))
    choose = chosen_by(current)
    breakers = HostCircuitBreakers(clock)
    media_hosts = AllowList.of_media_hosts(settings.twitch.all_media_hosts)
    async with (
        open_guards(settings, clock) if guards is None else nullcontext(guards) as counted,
        _followed_catalogs(settings, background or Background(clock), wait=recognition_pool is None)
        if catalog_follower is None
        else nullcontext(catalog_follower) as follower,
        recognition_pool or nullcontext(),
        learned_pool or nullcontext(),
        open_members(
            settings,
            guards=counted,
            on_outcome=on_outcome,
            recognition_pool=recognition_pool,
            learned_pool=learned_pool,
            catalog_problems=lambda: tuple(follower.problems.values()),
            available=choice is not None,
        ) as members,
        _chain(settings, members, choose) as recognizers,
        _chain(settings, _free(members), choose) as further,
        _chain(settings, members, budgeted_by(current)) as paid,
        open_resolver(settings, breakers=breakers, on_outcome=on_outcome) as resolver,
        twitch_fetcher(
            media_hosts,
            user_agent=settings.twitch.user_agent,
            breakers=breakers,
            on_outcome=on_outcome,
            on_unknown=on_unknown,
        ) as media,
        decoder or DecoderPool() as decoders,
        _warming(member.recognizer for member in _free(members)) if recognition_pool is None else nullcontext(),
    ):
        sources = LiveSourceCache(resolver, clock)
        capture = StreamCapture(
            fetcher=media,
            decoder=decoders,
            clock=clock,
            sources=sources,
            hear_ahead=_listening(settings, recognition_pool),
        )
        listener = WholeListener(further, paid=paid, max_questions=MAX_PAID_QUESTIONS)
        yield Pipeline(
            resolver=sources,
            capture=capture,
            recognizers=recognizers,
            further=further,
            clock=clock,
            whole=WholeRecordings(resolver=sources, capture=capture, listener=listener),
            prints=_of_prints(members),
            learned=_learned(members),
        )


def _listening(settings: PipelineSettings, pool: RecognitionPool | None) -> HearAhead | None:
    """What fingerprints sound while it is decoded: the catalog's workers, where the catalog is asked at once."""
    at_once = settings.ask == "together" or checked_names(settings)[0] == "catalog"
    return pool.hear_ahead if pool is not None and at_once else None


@asynccontextmanager
async def _followed_catalogs(
    settings: PipelineSettings, background: Background, *, wait: bool
) -> AsyncGenerator[CatalogFollower]:
    """Follows the catalogs in object storage; `wait`: until they are here, for a program that asks only once."""
    async with CatalogFollower(settings) as follower:
        if wait:
            await follower.refresh()
        follower.follow(background)
        yield follower


@asynccontextmanager
async def _warming(recognizers: Iterable[Recognizer[Any]]) -> AsyncGenerator[None]:
    """Fingerprints a moment of noise in the background, since the first time takes twice as long as all others."""
    noise = default_rng(0).uniform(-0.1, 0.1, (2, round(CAPTURE_SECONDS * SAMPLE_RATE)))
    recording = Recording(pcm=Pcm(noise.astype(np.float32)))

    async def warm() -> None:
        for recognizer in recognizers:
            try:
                await asyncio.to_thread(recognizer.prepare, recording)
            except Exception:  # noqa: BLE001 - the first request reports it
                _log.exception("recognizer_not_warmed", extra={"recognizer": recognizer.name})

    async with running_tasks([warm()]):
        yield
