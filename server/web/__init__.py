"""The website: server-rendered pages with a little plain JavaScript."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import aiohttp_jinja2
import jinja2
from aiohttp import web

from fingerprint.domain.links import SERVICES
from server import keys
from server.own_command import own_command
from server.web import about_pages
from server.web.api_docs import code_parts
from server.web.assets import load_assets, website_files
from server.web.channel_pages import ChannelPages
from server.web.details import details_of, translated_detail
from server.web.drawn_covers import serve_drawn_cover
from server.web.finds_page import FindsPage
from server.web.languages import Language, known_languages, translate_templates
from server.web.overlay import OverlayPage
from server.web.pages import STORE_SECONDS, Pages
from server.web.recent_songs import RecentSongs
from server.web.render import ENVIRONMENTS
from server.web.song_pages import SongPages
from server.web.video_pages import VideoPages
from server.web.ways_in import WaysIn

TEMPLATES: Final = Path(__file__).parent / "templates"


def add_pages(app: web.Application, *, store_seconds: float = STORE_SECONDS) -> None:
    """Add the pages and their static files to an application."""
    assets = load_assets(website_files())
    own_command()  # once, before requests: it looks at files
    # What addresses of ours begin with, in templates as here: nothing, or the website's path prefix.
    root = app[keys.SETTINGS].path_prefix

    def asset(name: str) -> str:
        return root + assets.address(name)

    source = app[keys.SETTINGS].source_url
    shared: dict[str, Any] = {
        "root": root,
        "asset": asset,
        "source_url": "" if source is None else str(source),
        "services": [(service.name, service.label) for service in SERVICES],
    }
    for language in known_languages().values():
        _add_templates(app, language, shared)
    recent = RecentSongs(app)

    async def closing(_app: web.Application) -> AsyncGenerator[None]:
        yield
        await recent.close()

    app.cleanup_ctx.append(closing)
    pages = Pages(store_seconds=store_seconds, recent=recent)
    app.router.add_get("/", pages.home)
    app.router.add_post("/", pages.ask)
    app.router.add_get("/docs", pages.docs)
    app.router.add_get("/privacy", about_pages.privacy)
    app.router.add_get("/extension", about_pages.extension)
    app.router.add_get("/extension.zip", about_pages.extension_archive)
    finds = FindsPage(store_seconds=store_seconds)
    app.router.add_get("/finds", finds.show)
    app.router.add_post("/finds", finds.delete)
    app.router.add_post("/redeem", pages.redeem)
    app.router.add_post("/reports", pages.report)
    channels = ChannelPages(store_seconds=store_seconds)
    _add_channel_pages(app, channels)
    videos = VideoPages(store_seconds=store_seconds)
    app.router.add_get("/videos/{id}", videos.set_list)
    app.router.add_post("/videos/{id}", videos.change)
    songs = SongPages(store_seconds=store_seconds)
    app.router.add_get("/songs/{id}", songs.song)
    cards = {"answers/{id}": pages, "channels/{login}": channels, "songs/{id}": songs, "videos/{id}": videos}
    for name, drawn in cards.items():
        app.router.add_get(f"/cards/{name}.png", drawn.card)
    overlay = OverlayPage(store_seconds=store_seconds)
    app.router.add_get("/overlay", overlay.builder)
    app.router.add_get("/overlay/{login}", overlay.overlay)
    ways_in = WaysIn(assets, asset, root)
    app.router.add_get("/c/{login}", ways_in.channel)
    app.router.add_get("/manifest.webmanifest", ways_in.manifest)
    app.router.add_get("/robots.txt", ways_in.robots)
    app.router.add_get("/favicon.ico", ways_in.favicon)
    app.router.add_get("/apple-touch-icon.png", ways_in.touch_icon)
    app.router.add_get("/covers/{name}.svg", serve_drawn_cover)
    app.router.add_get("/static/{version}/{name:.+}", assets.serve)


def _add_channel_pages(app: web.Application, channels: ChannelPages) -> None:
    app.router.add_get("/channels/{login}", channels.set_list)
    app.router.add_get("/channels/{login}/songs.{kind}", channels.download)
    app.router.add_post("/channels/{login}/song-tokens", channels.make_token)
    app.router.add_post("/channels/{login}/song-tokens/revoke", channels.revoke_token)
    app.router.add_post("/channels/{login}/watch", channels.watch)
    app.router.add_post("/channels/{login}/plays", channels.change_plays)
    app.router.add_post("/channels/{login}/public", channels.choose_public)
    app.router.add_post("/channels/{login}/forget", channels.forget)


def _add_templates(app: web.Application, language: Language, shared: Mapping[str, Any]) -> None:
    """Add the templates in a language. Each language has them compiled for itself, once they are used."""
    environment = aiohttp_jinja2.setup(
        app,
        app_key=ENVIRONMENTS[language.code],
        loader=jinja2.FileSystemLoader(TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # looking whether a file has changed would block the event loop at each answer
        trim_blocks=True,
        lstrip_blocks=True,
    )
    translate_templates(environment, language)
    cast("dict[str, Any]", environment.globals).update(shared, details=details_of(language))
    cast("dict[str, Any]", environment.filters).update(
        code_parts=code_parts, detail=partial(translated_detail, language=language)
    )
