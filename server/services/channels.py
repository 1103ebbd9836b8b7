"""Opens the services around channels: song text, live events, watches, webhooks, unknowns, learning."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiohttp import web

from fingerprint.domain.identification import Identification
from fingerprint.pipeline import Pipeline
from fingerprint.providers.usage import SqlUsage
from server import keys
from server.access.identity.api_keys import ApiKeyStore
from server.channels.feed import ChannelFeed
from server.channels.forget import ChannelForgetter, swept
from server.channels.hot_channels import HotChannels, HotLimits, every_seconds
from server.channels.hot_store import HotStore
from server.channels.owner_watches import OwnerTries
from server.channels.play_corrections import PlayCorrections
from server.channels.set_lists import SetLists
from server.channels.song_text import SongText
from server.channels.unknown_store import Unknown, UnknownStore
from server.channels.unknowns import UnknownLimits, Unknowns
from server.channels.watch_store import WatchStore
from server.channels.watcher import Watcher, WatcherLimits
from server.identifications.service import target_of
from server.learning.service import LearnedFolder, Learner, LearningLimits
from server.learning.store import LearnedStore
from server.services.owner import lease_owner
from server.webhooks.sender import WebhookSender
from server.webhooks.service import Webhooks
from server.webhooks.store import WebhookStore


async def open_channels(
    app: web.Application,
    stack: AsyncExitStack,
    watcher_limits: WatcherLimits | None,
    hot_limits: HotLimits | None,
    free: Pipeline | None,
) -> None:
    """Open the services around channels: song text for chat bots, live events, watches, and hot channels."""
    settings, clock, metrics = app[keys.SETTINGS], app[keys.CLOCK], app[keys.METRICS]
    database, service, access = app[keys.DATABASE], app[keys.SERVICE], app[keys.ACCESS]
    hot = HotChannels(
        HotStore(database),
        askers=settings.hot_askers,
        pipeline=free,
        service=service,
        access=access,
        names=app[keys.NAMES],
        clock=clock,
        owner=lease_owner(),
        metrics=metrics,
        limits=hot_limits
        or HotLimits(
            at_once=max(1, settings.captures_at_once // 4), every_seconds=every_seconds(settings.fresh_seconds)
        ),
        background=app[keys.BACKGROUND],
    )
    app[keys.HOT] = await stack.enter_async_context(hot)
    app[keys.SONG_TEXT] = SongText(
        database, service=service, access=access, names=app[keys.NAMES], clock=clock, asked=hot.asked
    )
    app[keys.FEED] = await stack.enter_async_context(
        ChannelFeed(service, clock=clock, metrics=metrics, check_channel=access.check_channel)
    )
    app[keys.SET_LISTS] = await stack.enter_async_context(SetLists(service, clock=clock))
    app[keys.PLAYS] = _play_corrections(app)
    sender = await stack.enter_async_context(WebhookSender(settings.webhook_hosts, clock))
    app[keys.WEBHOOKS] = await stack.enter_async_context(
        Webhooks(
            WebhookStore(database),
            sender,
            service=service,
            api_keys=ApiKeyStore(database),
            clock=clock,
            metrics=metrics,
            check_channel=access.check_channel,
            is_operator=access.is_still_operator,
            background=app[keys.BACKGROUND],
        )
    )
    await _open_forgetter(app, stack)
    await _open_unknowns(app, stack)
    await _open_learner(app, stack)
    watcher = Watcher(
        WatchStore(database),
        service=service,
        access=access,
        names=app[keys.NAMES],
        api_keys=ApiKeyStore(database),
        owners=OwnerTries(service, access, free=free, paid=lambda: app[keys.RECOGNIZERS].known.paid, clock=clock),
        clock=clock,
        owner=lease_owner(),
        metrics=metrics,
        limits=watcher_limits or WatcherLimits(at_once=max(1, settings.captures_at_once // 2)),
        background=app[keys.BACKGROUND],
    )
    app[keys.WATCHER] = await stack.enter_async_context(watcher)


def _play_corrections(app: web.Application) -> PlayCorrections:
    """What changes plays; every cache of this process is told."""

    def changed(login: str) -> None:
        app[keys.SET_LISTS].forget(login)
        app[keys.FEED].refresh(login)

    return PlayCorrections(
        app[keys.DATABASE],
        app[keys.SERVICE].history,
        app[keys.CHOICES],
        app[keys.SONGS],
        clock=app[keys.CLOCK],
        on_changed=changed,
    )


async def _open_unknowns(app: web.Application, stack: AsyncExitStack) -> None:
    """Open the notebook of unknowns, which listens to the pipeline where this process has one."""
    service, access, settings = app[keys.SERVICE], app[keys.ACCESS], app[keys.SETTINGS].pipeline
    clock, pipeline = app[keys.CLOCK], app.get(keys.PIPELINE)

    async def forbidden(unknown: Unknown) -> bool:
        stored = await app[keys.JOBS].get(unknown.id)
        target = None if stored is None else target_of(stored)
        return target is None or await access.is_blacklisted(target)

    async def show(answer: Identification) -> None:
        service.forget_answer(answer)
        app[keys.SET_LISTS].forget(answer.target)
        app[keys.FEED].song_found_later(await service.shown(answer))

    async def named(answer: Identification) -> None:
        await show(answer)
        await app[keys.WEBHOOKS].named_later(answer, app[keys.JOBS])

    unknowns = Unknowns(
        UnknownStore(app[keys.DATABASE]),
        None if pipeline is None else pipeline.prints,
        app[keys.JOBS],
        clock=clock,
        metrics=app[keys.METRICS],
        is_busy=lambda: service.is_busy,
        is_asked=lambda: "catalog" in app[keys.RECOGNIZERS].known.names,
        forbidden=forbidden,
        complete=service.completed,
        named=named,
        named_elsewhere=show,
        limits=UnknownLimits(days=min(settings.unknown_days, settings.keep_days or settings.unknown_days)),
        background=app[keys.BACKGROUND],
    )
    app[keys.UNKNOWNS] = await stack.enter_async_context(unknowns)
    if pipeline is not None:
        pipeline.add_no_match_listener(unknowns.no_match)


async def _open_learner(app: web.Application, stack: AsyncExitStack) -> None:
    """Open what learns from providers' answers, which listens to the pipeline where this process has one."""
    settings, clock, pipeline = app[keys.SETTINGS].pipeline, app[keys.CLOCK], app.get(keys.PIPELINE)
    choices = app[keys.RECOGNIZERS]
    learner = Learner(
        LearnedStore(app[keys.DATABASE], max_bytes=settings.learn_mb << 20),
        None if pipeline is None else pipeline.learned,
        LearnedFolder(settings.learned_dir),
        clock=clock,
        metrics=app[keys.METRICS],
        usage=SqlUsage(app[keys.DATABASE]),
        paid=lambda: choices.known.paid,
        prices=settings.providers.prices,
        clip_parts=settings.clip_parts,
        background=app[keys.BACKGROUND],
        limits=LearningLimits(days=min(settings.learn_days, settings.keep_days or settings.learn_days)),
    )
    app[keys.LEARNER] = await stack.enter_async_context(learner)
    if pipeline is not None:
        pipeline.add_match_listener(learner.heard)


async def _open_forgetter(app: web.Application, stack: AsyncExitStack) -> None:
    """Open what forgets channels, also in the caches of this process."""

    def forgotten(logins: Sequence[str]) -> None:
        app[keys.SERVICE].forget_all()
        for login in logins:
            app[keys.CHOICES].changed(login)
            app[keys.FEED].forget(login)
            app[keys.SET_LISTS].forget(login)

    clock = app[keys.CLOCK]
    forgetter = ChannelForgetter(
        app[keys.DATABASE], app[keys.JOBS], app[keys.NAMES], clock=clock, on_forgotten=forgotten
    )
    app[keys.FORGETTER] = await stack.enter_async_context(forgetter)
    await stack.enter_async_context(swept(forgetter, clock.sleep, app[keys.BACKGROUND]))
