"""Opens the server's services in the order of their dependencies; they are closed in reverse order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from fingerprint.canary import open_canary
from fingerprint.pipeline import Pipeline
from fingerprint.ports import ChannelDirectory
from fingerprint.wiring import open_channel_directory
from server import keys
from server.access.identity.session_keys import SessionKeys
from server.artwork import ArtworkStore
from server.canary import TwitchCanary
from server.channels.hot_channels import HotLimits
from server.channels.watcher import WatcherLimits
from server.data_folder import served
from server.identifications.limits import ServiceLimits
from server.services.channels import open_channels
from server.services.jobs import open_jobs
from server.services.music_folders import open_music_folders


@asynccontextmanager
async def open_services(
    app: web.Application,
    *,
    pipeline: Pipeline | None,
    directory: ChannelDirectory | None,
    service_limits: ServiceLimits | None,
    watcher_limits: WatcherLimits | None,
    hot_limits: HotLimits | None,
    session_keys: SessionKeys | None,
) -> AsyncGenerator[None]:
    """Open all services and set them in the application under `server.keys`, while the block runs."""
    app[keys.UNKNOWN] = app[keys.METRICS].counter(
        "twitchaudio_twitch_unknown_total",
        "What Twitch sent that this version does not know: it may have changed.",
        "kind",
        "value",
    )
    async with AsyncExitStack() as stack:
        in_use = served(app[keys.SETTINGS].pipeline.data_dir)
        await asyncio.to_thread(in_use.__enter__)
        stack.push(in_use)
        if directory is None and pipeline is None:
            directory = await stack.enter_async_context(open_channel_directory(app[keys.SETTINGS].pipeline))
        limits = service_limits or ServiceLimits()
        free = await open_jobs(app, stack, pipeline, limits, session_keys, directory=directory)
        await open_channels(app, stack, watcher_limits, hot_limits, free)
        await open_music_folders(app, stack)
        artwork = ArtworkStore(
            app[keys.SETTINGS].pipeline.catalog_dirs, clock=app[keys.CLOCK], media=app.get(keys.LINK_MEDIA)
        )
        app[keys.ARTWORK] = await stack.enter_async_context(artwork)
        app[keys.CANARY] = await stack.enter_async_context(
            TwitchCanary(
                app[keys.SETTINGS].canary,
                open_canary=partial(
                    open_canary, app[keys.SETTINGS].pipeline.twitch, on_unknown=app[keys.UNKNOWN].add
                ),
                clock=app[keys.CLOCK],
                metrics=app[keys.METRICS],
                background=app[keys.BACKGROUND],
            )
        )
        yield
