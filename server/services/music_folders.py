"""Watches the folders of music in the settings."""

from contextlib import AsyncExitStack

from aiohttp import web

from server import keys
from server.music_folders import FolderTimes, MusicFolders, sync_command


async def open_music_folders(app: web.Application, stack: AsyncExitStack) -> None:
    """Watch the folders of music in the settings."""
    settings = app[keys.SETTINGS]
    times = FolderTimes()
    command = sync_command(
        str(settings.pipeline.catalog_places[0]),
        settings.watch_folders,
        workers=max(1, settings.cores // 2),
        settle=times.settle,
    )
    watched = MusicFolders(
        settings.watch_folders,
        command=command,
        lock=settings.pipeline.catalog_dir / "watch.lock",
        metrics=app[keys.METRICS],
        times=times,
        background=app[keys.BACKGROUND],
    )
    await stack.enter_async_context(watched)
