"""What the operator's pages show: the server's state, its figures, its logs and its recognizers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from aiohttp import web

from fingerprint.domain.budgets import Period
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.providers.guard import ProviderStatus
from fingerprint.recognizers import chosen_names
from server import keys
from server.access.rules.website import setting_text
from server.audit.figures import ANSWER, day_of, read
from server.audit.search import AuditFilter, AuditPage
from server.audit.store import AuditStore
from server.learning.service import Savings
from server.web.admin.overview import DAYS, Figures, RunningJob
from server.web.admin.sections import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerRow:
    """A recognizer: its state, what is left of each budget, and what to know before it is tested, if anything."""

    name: str
    cells: tuple[str, ...]
    warning: str


class AdminQueries:
    """Reads from the server's services each time. All but `jobs` and `unknown` raise TwitchAudioError `busy`."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    async def tiles(self, today: date, figures: Figures) -> Sequence[tuple[str, str]]:
        """Names and values for the overview: access mode, what is off, running jobs, songs named today."""
        website = (await self._app[keys.ACCESS].rules()).website
        off = [
            text
            for text, is_off in (
                ("inactive", not website.active),
                ("maintenance", website.maintenance),
                ("no streams", not website.streams_enabled),
                ("no clips", not website.clips_enabled),
            )
            if is_off
        ]
        named = figures.get((today, f"{ANSWER}successful"), 0)
        asked = sum(amount for (day, name), amount in figures.items() if day == today and name.startswith(ANSWER))
        return [
            ("Access", setting_text(website.access_mode)),
            ("Service", ", ".join(off) or "on"),
            ("Jobs now", str(self._app[keys.SERVICE].job_count)),
            ("Named today", f"{named} of {asked}"),
        ]

    def jobs(self) -> Sequence[RunningJob]:
        """The jobs that this server works on or follows."""
        return [
            RunningJob(kind=job.kind, target=job.target, stage=job.stage, since=job.created_at)
            for job in self._app[keys.SERVICE].running_identifications()
        ]

    async def figures(self) -> tuple[date, Figures]:
        """Today in UTC, and the figures of the last `DAYS` days."""
        today = day_of(self._app[keys.CLOCK].now())
        since = today - timedelta(days=DAYS - 1)
        return today, await read(self._app[keys.DATABASE], since)

    async def logs(self, chosen: AuditFilter) -> AuditPage:
        """The entries of the audit log that match a filter, newest first."""
        return await AuditStore(self._app[keys.DATABASE]).search(chosen)

    def unknown(self) -> Sequence[Row]:
        """What Twitch sent that this version does not know, the most frequent first: kind, value and how often."""
        amounts = sorted(self._app[keys.UNKNOWN].amounts().items(), key=lambda item: (-item[1], item[0]))
        return [Row(key="", cells=(*labels, f"{amount:.0f}")) for labels, amount in amounts]

    async def recognizers(self) -> Sequence[RecognizerRow]:
        """The recognizers in their order: name, state, price, and what is left of each budget."""
        statuses = {status.name: status for status in await self._app[keys.PROVIDERS].statuses()}
        settings = self._app[keys.SETTINGS].pipeline
        return [
            _recognizer(name, statuses.get(name), settings.providers.prices.get(name))
            for name in chosen_names(settings)
        ]

    async def savings(self) -> str | None:
        """What the learned catalog saved, as a sentence; None where nothing is learned."""
        try:
            savings = await self._app[keys.LEARNER].savings()
        except TwitchAudioError:
            return None
        return None if savings is None else savings_text(savings)


def savings_text(savings: Savings) -> str:
    """What was saved, and what is kept, for the operator."""
    used = {each.period: each.used for each in savings.usage}
    today, month = used.get(Period.DAY, 0), used.get(Period.MONTH, 0)
    cost = "" if savings.price is None else f", worth {savings.price * month:.2f}"
    size = savings.size_bytes / (1 << 20)
    return (
        f"Saved by what was learned: {today} questions today, {month} this month{cost}. "
        f"Songs that can be named: {savings.songs}. Captures kept: {savings.captures} ({size:.1f} MiB)."
    )


def _recognizer(name: str, status: ProviderStatus | None, price: Decimal | None) -> RecognizerRow:
    if status is None:
        return RecognizerRow(name=name, cells=("free", "no limit", "no limit"), warning="")
    state = str(status.state) if status.detail is None else f"{status.state}: {status.detail}"
    warning = f"This asks {name} one question, which counts in its budget and may cost money"
    return RecognizerRow(
        name=name,
        cells=(state, *(_left(status, period) for period in (Period.DAY, Period.MONTH))),
        warning=f"{warning}." if price is None else f"{warning} ({price}).",
    )


def _left(status: ProviderStatus, period: Period) -> str:
    if status.spending is None:
        return "unknown"
    for each in status.spending:
        if each.period is period:
            return f"no limit, {each.used} asked" if each.most is None else f"{each.left} of {each.most}"
    return "no limit"
