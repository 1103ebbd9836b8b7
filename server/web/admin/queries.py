"""What the operator's pages show: the server's state, its figures, its logs and its recognizers."""

from collections.abc import Sequence
from datetime import date, timedelta

from aiohttp import web

from fingerprint.domain.budgets import Period
from fingerprint.domain.problems import TwitchAudioError
from server import keys
from server.access.rules.website import setting_text
from server.audit.figures import ANSWER, day_of, read
from server.audit.search import AuditFilter, AuditPage
from server.audit.store import AuditStore
from server.learning.service import Savings
from server.web.admin.overview import DAYS, Figures, RunningJob
from server.web.admin.sections import Row


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
