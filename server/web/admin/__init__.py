"""The operator's pages, `/admin`: what `twitchaudio admin` does, with forms."""

from collections.abc import AsyncGenerator

from aiohttp import web

from server import keys
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.broadcaster_lookup import look_up_broadcaster
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.codes import CodeStore
from server.access.rules.list_store import ListStore
from server.access.rules.recognizers import RecognizerStore
from server.access.rules.store import RulesStore
from server.audit.changes import ChangeLog
from server.channels.reports import ReportStore
from server.channels.song_tokens import OPERATOR, SongTokenStore
from server.channels.unknown_store import UnknownStore
from server.channels.watch_store import WatchStore
from server.web.admin.catalog import AdminCatalog
from server.web.admin.channel_lists import Reports, SongTokens, UnknownMoments, Watches
from server.web.admin.common import Operator
from server.web.admin.credentials import Codes, Keys
from server.web.admin.lists import Blacklisted, Broadcasters, Whitelist
from server.web.admin.pages import AdminPages, AdminServices
from server.web.admin.queries import AdminQueries
from server.web.admin.recognizer_choice import RecognizerDesk
from server.web.admin.recognizer_trials import RecognizerTrials


def add_admin_pages(app: web.Application) -> None:
    """Add the operator's pages to an application."""

    def services(operator: Operator) -> AdminServices:
        database, clock = app[keys.DATABASE], app[keys.CLOCK]
        changes = ChangeLog(operator.who, clock=clock)
        lists = ListStore(database, changes=changes)
        watches = Watches(
            WatchStore(database, changes=changes),
            clock,
            made_by=OPERATOR,
            most=app[keys.SETTINGS].watches,
            wake=app[keys.WATCHER].wake,
        )
        sections = (
            Broadcasters(
                BroadcasterStore(database, changes=changes),
                clock,
                lambda value: look_up_broadcaster(app[keys.SETTINGS], value),
            ),
            Whitelist(lists, clock),
            Blacklisted(lists, clock, lambda channel: app[keys.FORGETTER].forget(channel, changes=changes)),
            Codes(CodeStore(database, changes=changes), clock),
            Keys(ApiKeyStore(database, changes=changes), clock),
            watches,
            SongTokens(SongTokenStore(database, changes=changes), clock),
            Reports(ReportStore(database, changes=changes), clock),
            UnknownMoments(UnknownStore(database)),
        )
        return AdminServices(
            rules=RulesStore(database, changes=changes),
            recognizers=RecognizerStore(database, changes=changes),
            sections=sections,
        )

    catalog = AdminCatalog(app)

    async def closing(_app: web.Application) -> AsyncGenerator[None]:
        yield
        await catalog.close()

    app.cleanup_ctx.append(closing)
    recognizers = RecognizerDesk(app, RecognizerTrials(app))
    pages = AdminPages(services=services, queries=AdminQueries(app), catalog=catalog, recognizers=recognizers)
    app.router.add_get("/admin", pages.overview)
    app.router.add_get("/admin/twitch", pages.twitch)
    app.router.add_get("/admin/logs", pages.logs)
    for path, handler in (
        ("/admin/settings", pages.settings),
        ("/admin/catalog", pages.catalog),
        ("/admin/recognizers", pages.recognizers),
        ("/admin/{section}", pages.section),
    ):
        app.router.add_get(path, handler)
        app.router.add_post(path, handler)
