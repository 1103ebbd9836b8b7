"""`/admin`: the handlers of the operator's pages. Every change is a form that works without JavaScript."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import TwitchAudioError, invalid_input
from server import keys
from server.access.rules.recognizers import RecognizerStore
from server.access.rules.store import RulesStore
from server.access.rules.website import MOTD_LIMIT, AccessMode, WebsiteSettings
from server.audit.search import AuditPage
from server.own_command import own_command
from server.recognizer_trial import SECONDS
from server.web.admin.catalog import AdminCatalog
from server.web.admin.charts import HEIGHT, WIDTH
from server.web.admin.common import (
    AUDIT_LOG,
    CATALOG,
    NO_FORM,
    OVERVIEW,
    RECOGNIZERS,
    SETTINGS,
    TWITCH,
    FormResult,
    Navigation,
    Operator,
    Tab,
    render,
    require_admin,
    submit,
)
from server.web.admin.lists import find_section
from server.web.admin.log_filter import FIELDS, older, read_filter
from server.web.admin.overview import charts
from server.web.admin.queries import AdminQueries
from server.web.admin.recognizer_choice import RecognizerDesk
from server.web.admin.sections import AdminSection, Change, Form, FormField

_SWITCHES: Final = ("on", "off")
_SETTINGS: Final = (
    FormField(
        name="access_mode",
        label="Access",
        choices=tuple(str(mode) for mode in AccessMode),
        help="open: everyone. login: anyone signed in with Twitch. subscribers: subscribers of the listed "
        "broadcasters, the whitelist, and people with an access code. API keys work in every mode.",
    ),
    FormField(name="active", label="Service", choices=_SWITCHES, help="off: no one has access."),
    FormField(name="maintenance", label="Maintenance", choices=_SWITCHES, help="on: no one has access for now."),
    FormField(name="streams_enabled", label="Live streams and videos", choices=_SWITCHES),
    FormField(name="clips_enabled", label="Clips", choices=_SWITCHES),
    FormField(
        name="recent_songs",
        label="Songs on the start page",
        choices=_SWITCHES,
        help="on: the start page shows the songs that were named last on live channels, and where.",
    ),
    FormField(
        name="owner_watches",
        label="Streamers watch their own channel",
        choices=_SWITCHES,
        help="on: the owner of a channel can have it identified while it is live. In subscribers mode, only the "
        "listed broadcasters can.",
    ),
    FormField(
        name="owner_watch_captures",
        label="Identifications a day for each of these channels",
        number=True,
        required=True,
        help="What is left starts again at midnight UTC.",
    ),
    FormField(
        name="owner_watch_paid",
        label="Recognizers that cost money for these channels",
        choices=_SWITCHES,
        help="on: they are asked too, within their own budgets. off: only those that cost nothing.",
    ),
    FormField(name="motd", label="Message of the day", limit=MOTD_LIMIT, help="Shown to everybody. Empty: none."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminServices:
    """The stores through which an operator changes things; the audit log names the operator for each change."""

    rules: RulesStore
    recognizers: RecognizerStore
    sections: Sequence[AdminSection]


class AdminPages:
    """Handlers of the operator's pages. `services` gives stores that record changes under an operator's name."""

    def __init__(
        self,
        *,
        services: Callable[[Operator], AdminServices],
        queries: AdminQueries,
        catalog: AdminCatalog,
        recognizers: RecognizerDesk,
    ) -> None:
        self._services = services
        self._recognizers = recognizers
        self._catalog = catalog
        self._queries = queries

    def _open(self, request: web.Request) -> tuple[Navigation, AdminServices]:
        """The navigation and the operator's services. Raises what `require_admin` raises."""
        operator = require_admin(request)
        services = self._services(operator)
        lists = [Tab(section.slug, section.title) for section in services.sections]
        return Navigation(
            operator, [OVERVIEW, SETTINGS, *lists, CATALOG, RECOGNIZERS, TWITCH, AUDIT_LOG]
        ), services

    async def overview(self, request: web.Request) -> web.Response:
        """`GET /admin`: what runs now, and charts of the last days."""
        navigation, _ = self._open(request)
        today, figures = await self._queries.figures()
        return render(
            "overview.html",
            request,
            navigation,
            OVERVIEW,
            tiles=await self._queries.tiles(today, figures),
            charts=charts(figures, today),
            jobs=self._queries.jobs(),
            warning=request.app[keys.FORWARDING].warning(),
            width=WIDTH,
            height=HEIGHT,
        )

    async def catalog(self, request: web.Request) -> web.Response:
        """`GET` and `POST /admin/catalog`: the music, and what adds or removes some."""
        navigation, _ = self._open(request)
        result = await submit(request, lambda form: self._catalog.change(navigation.operator, form))
        query = Form({name: request.query.getall(name) for name in request.query})
        sent = result.form or Form({})
        try:
            shown = await self._catalog.page(query if request.method != "POST" else Form({}))
        except TwitchAudioError as error:
            result, shown = FormResult(error=error), await self._catalog.page(Form({}))
        return render(
            "catalog.html",
            request,
            navigation,
            CATALOG,
            result=result,
            shown=shown,
            job=await self._catalog.job.state(),
            typed=sent,
        )

    async def recognizers(self, request: web.Request) -> web.Response:
        """`GET` and `POST /admin/recognizers`: their order, state and budgets, and what tests one."""
        navigation, services = self._open(request)
        result = await submit(request, lambda form: self._recognizers.change(services.recognizers, form))
        return render(
            "recognizers.html",
            request,
            navigation,
            RECOGNIZERS,
            result=result,
            shown=await self._recognizers.shown(result.form),
            savings=await self._queries.savings(),
            seconds=round(SECONDS),
        )

    async def twitch(self, request: web.Request) -> web.Response:
        """`GET /admin/twitch`: the newest check of Twitch, and what it sent that is not known."""
        navigation, _ = self._open(request)
        return render(
            "twitch.html",
            request,
            navigation,
            TWITCH,
            report=request.app[keys.CANARY].newest,
            is_on=request.app[keys.CANARY].is_on,
            unknown=self._queries.unknown(),
            command=own_command(),
        )

    async def logs(self, request: web.Request) -> web.Response:
        """`GET /admin/logs`: the audit log, filtered by the query."""
        navigation, _ = self._open(request)
        query = Form({name: request.query.getall(name) for name in request.query})
        result, page = NO_FORM, AuditPage(entries=(), next=None)
        try:
            page = await self._queries.logs(read_filter(query))
        except TwitchAudioError as error:
            result = FormResult(error=error)
        return render(
            "logs.html",
            request,
            navigation,
            AUDIT_LOG,
            result=result,
            fields=FIELDS,
            typed=query,
            entries=page.entries,
            searched_to=page.searched_to,
            older=older(request.query, page),
        )

    async def settings(self, request: web.Request) -> web.Response:
        """`GET` and `POST /admin/settings`: the website settings."""
        navigation, services = self._open(request)
        result = await submit(request, lambda form: _change_settings(services.rules, form))
        texts = (await services.rules.read()).website.to_texts()
        return render(
            "settings.html",
            request,
            navigation,
            SETTINGS,
            result=result,
            fields=_SETTINGS,
            typed=result.form or Form({name: [text] for name, text in texts.items()}),
        )

    async def section(self, request: web.Request) -> web.Response:
        """`GET` and `POST /admin/{section}`: a list and its two buttons."""
        navigation, services = self._open(request)
        section = find_section(services.sections, request.match_info["section"])
        result = await submit(request, lambda form: _change_list(section, form))
        # A login that was entered is of the account that has it now.
        request.app[keys.NAMES].wake()
        return render(
            "section.html",
            request,
            navigation,
            Tab(section.slug, section.title),
            result=result,
            section=section,
            rows=await section.rows(),
            typed=result.form,
        )


async def _change_settings(rules: RulesStore, form: Form) -> Change:
    """Change the settings that differ, after all have been checked. Raises TwitchAudioError `invalid-input`."""
    before = (await rules.read()).website.to_texts()
    wanted = {name: form.text(name) for name in before if name in form.values}
    if not wanted:
        raise invalid_input("The form names no setting.")
    WebsiteSettings.check(wanted)
    changed: list[str] = []
    for name, text in wanted.items():
        if text != before[name]:
            old, new = await rules.set_website(name, text)
            changed += [f"{name} is {new or 'empty'}"] if old != new else []
    return Change(message=f"Saved: {', '.join(changed)}." if changed else "Nothing was different.")


async def _change_list(section: AdminSection, form: Form) -> Change:
    match form.text("action"):
        case "add":
            return await section.add(form)
        case "remove":
            return await section.remove(form.text("key"))
        case "undo":
            return await section.undo_remove(form.text("key"))
        case _:
            raise invalid_input("The form says neither to add nor to remove.")
