"""The queries of every request use an index on MySQL: no table that grows is read whole."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import event, insert
from sqlalchemy.engine import Connection

from fingerprint.clock import SystemClock
from fingerprint.database import Database, heard_spans, identifications, leases, to_us
from fingerprint.domain.targets import ChannelTarget, ClipTarget
from fingerprint.jobs.sql import SqlJobStore
from fingerprint.jobs.sql_retention import delete_old_answers
from fingerprint.ports import ClipOwners
from fingerprint.setting_formats import Secret
from server.access.identity.api_keys import ApiKeyStore
from server.access.identity.oauth import Tokens
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import Limit
from server.access.quotas import slots
from server.access.quotas.admission import Admissions, QuotaRequest
from server.access.quotas.rate_limits import count_start, delete_old_counters
from server.access.quotas.store import SqlQuotas
from server.access.rules.clip_owners import CachedClipOwners
from server.access.rules.codes import CodeStore
from server.access.tables import (
    access_code_uses,
    access_codes,
    api_keys,
    clip_owners,
    job_slots,
    rate_counters,
    web_sessions,
)
from server.audit.entries import AuditEntry, AuditKind, Who
from server.audit.search import AuditFilter, search
from server.audit.store import AuditStore, new_row
from server.audit.tables import log_entries
from server.channels.reports import Reason, ReportStore
from server.channels.song_tokens import SongTokenStore
from server.channels.tables import reports, song_tokens, watches
from server.channels.watch_store import WatchStore
from tests.builders import NOON, answered
from tests.databases import migrated_database
from tests.fakes import FakeClock
from tests.mariadb import MariaDB

ROWS = 2_000
SMALL = {"website_settings"}
"""Tables that have a handful of rows for good."""


async def fill(database: Database) -> None:
    """As many rows in every table that a scan would not pass for cheap."""
    numbers = range(ROWS)
    moment = to_us(NOON)
    rows: dict[Any, list[dict[str, Any]]] = {
        identifications: [
            {"id": f"i{n}", "target_key": f"stream:c{n % 50}", "kind": "stream", "target": "c",
             "status": "no_match", "stage": "done", "fence": 1, "created_us": moment + n}
            for n in numbers
        ],
        heard_spans: [
            {"identification_id": f"i{n}", "broadcast_id": f"b{n % 50}", "start_s": n, "end_s": n + 6}
            for n in numbers
        ],
        leases: [
            {"target_key": f"stream:c{n}", "identification_id": f"i{n}", "owner": "o", "fence": 1, "expires_us": 0}
            for n in numbers
        ],
        api_keys: [
            {"id": f"k{n}", "sha256": f"h{n}", "shown": "ta_", "name": "n", "scopes": "clips",
             "created_us": moment}
            for n in numbers
        ],
        rate_counters: [
            {"subject": f"key:k{n}", "window_us": moment, "used": 1, "ends_us": moment + n} for n in numbers
        ],
        access_codes: [
            {"id": f"c{n}", "sha256": f"h{n}", "note": "", "most_uses": 1, "used": 1, "created_us": moment}
            for n in numbers
        ],
        web_sessions: [
            {"sha256": f"h{n}", "user_id": f"u{n % 500}", "login": "vic", "scopes": "", "tokens": "x",
             "token_expires_us": moment, "created_us": moment + n, "seen_us": moment, "validated_us": moment,
             "refreshing_us": 0, "due_us": moment + n}
            for n in numbers
        ],
        access_code_uses: [{"user_id": f"u{n}", "code_id": f"c{n}", "redeemed_us": moment} for n in numbers],
        job_slots: [
            {"holder": f"address:{n}", "number": 0, "token": f"t{n}", "kind": "stream", "target": f"c{n}",
             "taken_us": moment + n, "expires_us": moment + n}
            for n in numbers
        ],
        clip_owners: [
            {"slug": f"s{n}", "broadcaster_id": str(n), "login": f"b{n}", "seen_us": moment} for n in numbers
        ],
        log_entries: [
            new_row(
                AuditEntry(
                    moment=NOON + timedelta(seconds=n), kind=list(AuditKind)[n % len(AuditKind)], what="GET /",
                    subject=f"c{n}", who=Who(id=f"id:{n}", name=f"n{n}", address=f"10.0.{n >> 8}.{n & 255}"),
                )
            )
            for n in numbers
        ],
        song_tokens: [
            {"id": f"t{n}", "sha256": f"h{n}", "channel": f"c{n % 500}", "note": "", "made_by": "operator",
             "created_us": moment}
            for n in numbers
        ],
        reports: [
            {"id": f"r{n}", "identification_id": f"i{n}", "reporter": "user:1", "kind": "clip", "target": f"c{n}",
             "reason": "other", "note": "", "song": "", "created_us": moment + n}
            for n in numbers
        ],
        watches: [
            {"channel": f"c{n}", "every_seconds": 60, "budget": 9, "used": 1,
             "state": "ended" if n % 50 else "running", "made_by": "operator",
             "created_us": moment, "next_us": moment + n, "quiet": 0, "offline": 0,
             "owner": "", "lease_us": 0, "fence": 1}
            for n in numbers
        ],
    }  # fmt: skip

    def work(connection: Connection) -> None:
        for table, values in rows.items():
            connection.execute(insert(table), values)
            connection.exec_driver_sql(f"ANALYZE TABLE {table.name}")

    await database.transact(work)


async def test_no_query_of_a_request_reads_a_growing_table_whole(mariadb: MariaDB) -> None:
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            seen.append((statement, parameters))

    async with migrated_database(mariadb.new_database()) as database:
        await fill(database)
        jobs, keys, codes = SqlJobStore(database), ApiKeyStore(database), CodeStore(database)
        logs = AuditStore(database)
        owners = CachedClipOwners(database, cast("ClipOwners", None), clock=FakeClock())
        admissions = Admissions(
            SqlQuotas(database), clock=FakeClock(), running=lambda target: jobs.running(target, now=NOON)
        )

        async def admit(quota_key: str) -> None:
            admission = await admissions.admit(
                QuotaRequest(quota_key=quota_key, max_jobs=2), ChannelTarget("c"), lambda: None
            )
            assert admission is not None
            admission.job_ended()

        sessions = SessionStore(database, SessionKeys([Secret("a key of thirty-two characters or more")]))
        vic = TwitchUser(id="u7", login="vic", scopes=frozenset())
        tokens = Tokens(access=Secret("a"), refresh=Secret("r"), seconds=60, scopes=frozenset())
        song_keys, watch = SongTokenStore(database), WatchStore(database)
        _, token = await song_keys.create("c7", now=NOON)
        work: list[Callable[[], Awaitable[object]]] = [
            lambda: jobs.claim(ChannelTarget("c7"), owner="o", now=NOON + timedelta(hours=1), lease_seconds=5.0),
            lambda: jobs.running(ChannelTarget("c7"), now=NOON),
            lambda: jobs.answer(ClipTarget("c7")),
            lambda: jobs.history("c7", limit=20),
            lambda: delete_old_answers(database, SystemClock(), before=NOON + timedelta(microseconds=5)),
            lambda: keys.find("ta_anything"),
            lambda: keys.record_uses({"k7": NOON}),
            lambda: codes.redeemed("u7"),
            lambda: count_start(
                database, [Limit("key:k7", 9, 60), Limit("key:k8", 9, 60), Limit("new", 9, 60)], NOON
            ),
            lambda: delete_old_counters(database, NOON + timedelta(microseconds=5)),
            lambda: logs.delete_old_entries(NOON + timedelta(seconds=5)),
            lambda: logs.truncate_old_addresses(NOON + timedelta(seconds=9)),
            lambda: logs.write([new_row(AuditEntry(moment=NOON, kind=AuditKind.API, what="x"))], again=True),
            *(
                partial(logs.read, chosen)
                for chosen in (
                    AuditFilter(kinds=[AuditKind.CHANGE], limit=20),
                    AuditFilter(who="id:7"),
                    AuditFilter(who="n7"),
                    AuditFilter(address="10.0.0.7"),
                    AuditFilter(subject="c7"),
                    AuditFilter(code="busy"),
                    AuditFilter(code="busy", kinds=[AuditKind.API, AuditKind.REFUSAL], until=NOON),
                    AuditFilter(since=NOON + timedelta(seconds=1_990)),
                    AuditFilter(until=NOON + timedelta(seconds=20)),
                )
            ),
            lambda: slots.delete_old_slots(database, NOON + 2 * slots.SLOT_FOR + timedelta(microseconds=5)),
            lambda: owners.broadcaster("s7"),
            lambda: admit("address:7"),
            lambda: admit("address:new"),
            lambda: sessions.create("new", vic, tokens, now=NOON, due=NOON),
            lambda: sessions.get("new"),
            lambda: sessions.seen("new", NOON),
            lambda: sessions.validated("new", vic, now=NOON, due=NOON),
            lambda: sessions.renew("new", tokens, now=NOON, due=NOON),
            lambda: sessions.take_due(5, now=NOON, until=NOON),
            lambda: sessions.end("new", NOON),
            lambda: song_keys.find(token.reveal(), now=NOON),
            lambda: song_keys.all("c7"),
            lambda: ReportStore(database).add(
                answered(), reason=Reason.OTHER, note="", who=("user:7", "user:7"), now=NOON
            ),
            lambda: watch.due(NOON, limit=4),
            lambda: watch.take("c7", owner="o", now=NOON, lease_seconds=5.0),
            lambda: watch.get("c7"),
            lambda: count_start(database, [Limit("key:k7", 9, 60)], NOON),
        ]
        event.listen(database.engine, "before_cursor_execute", note)
        for step in work:
            await step()
        await admissions.close()
        event.remove(database.engine, "before_cursor_execute", note)
        assert len(seen) >= len(work)

        def whole(connection: Connection) -> list[str]:
            return [
                f"{row['table']}: {statement}"
                for statement, parameters in seen
                for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings()
                if row["type"] in ("ALL", "index")
                and row["table"] not in SMALL
                # What a statement has read itself, within its LIMIT.
                and not row["table"].startswith("<derived")
            ]

        assert await database.read(whole) == []


LOG_FILTERS = [
    (AuditFilter(), "sqlite_autoindex_log_entries_1"),
    (AuditFilter(since=NOON, until=NOON + timedelta(days=9)), "sqlite_autoindex_log_entries_1"),
    (AuditFilter(kinds=[AuditKind.API, AuditKind.CHANGE]), "ix_log_entries_kind"),
    (AuditFilter(who="id:7"), "ix_log_entries_who"),
    (AuditFilter(who="n7"), "ix_log_entries_name"),
    (AuditFilter(address="10.0.0.7"), "ix_log_entries_address"),
    (AuditFilter(subject="c7"), "ix_log_entries_subject"),
    (AuditFilter(code="busy"), "ix_log_entries_code"),
    # The rarest one leads.
    (AuditFilter(kinds=[AuditKind.API], subject="c8", until=NOON + timedelta(days=9)), "ix_log_entries_subject"),
    (AuditFilter(kinds=[AuditKind.API], subject="common", code="busy"), "ix_log_entries_code"),
    (AuditFilter(kinds=[AuditKind.CHANGE], subject="common"), "ix_log_entries_kind"),
]
"""Filters, and the index of SQLite that they are answered along."""


async def test_each_filter_of_the_logs_goes_along_one_index_of_sqlite(tmp_path: Path) -> None:
    entries = [
        AuditEntry(
            moment=NOON + timedelta(seconds=n),
            kind=AuditKind.API if n % 100 else AuditKind.CHANGE,
            what="GET /",
            subject="common" if n % 2 else f"c{n % 50}",
            code="busy" if n % 60 == 0 else None,
        )
        for n in range(ROWS)
    ]
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "count(" not in statement:
            seen.append((statement, parameters))

    def plans(connection: Connection, statements: Sequence[tuple[str, Any]]) -> list[str]:
        explained = [
            row[3]
            for statement, values in statements
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
        return [line for line in explained if "log_entries" in line]

    async with migrated_database(f"sqlite:///{tmp_path / 'log.sqlite3'}") as database:
        await AuditStore(database).write([new_row(each) for each in entries])
        for chosen, index in LOG_FILTERS:
            seen.clear()
            event.listen(database.engine, "before_cursor_execute", note)
            await search(database, chosen, seconds=0)
            event.remove(database.engine, "before_cursor_execute", note)
            lines = await database.read(partial(plans, statements=tuple(seen)))
            assert len(lines) >= 2
            assert [line for line in lines if index not in line] == [], chosen
