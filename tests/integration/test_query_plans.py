"""The queries of every request use an index on MySQL: no table that grows is read whole."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import event, insert

from fingerprint.database import Database, identifications, leases, open_database, to_us
from fingerprint.domain.targets import ChannelTarget, ClipTarget
from fingerprint.jobs.sql import SqlJobStore
from server import migrations
from server.access.api_keys import ApiKeyStore
from server.access.codes import CodeStore
from server.access.rates import Limit, RateCounters
from server.access.tables import access_code_uses, access_codes, api_keys, rate_counters
from tests.builders import NOON
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
        leases: [
            {"target_key": f"stream:c{n}", "identification_id": f"i{n}", "owner": "o", "fence": 1, "expires_us": 0}
            for n in numbers
        ],
        api_keys: [
            {"id": f"k{n}", "sha256": f"h{n}", "shown": "ta_", "name": "n", "scopes": "clips",
             "created_us": moment}
            for n in numbers
        ],
        rate_counters: [{"subject": f"key:k{n}", "window_us": moment, "used": 1} for n in numbers],
        access_codes: [
            {"id": f"c{n}", "sha256": f"h{n}", "note": "", "most_uses": 1, "used": 1, "created_us": moment}
            for n in numbers
        ],
        access_code_uses: [{"user_id": f"u{n}", "code_id": f"c{n}", "redeemed_us": moment} for n in numbers],
    }  # fmt: skip
    async with database.write() as connection:
        for table, values in rows.items():
            await connection.execute(insert(table), values)
            await connection.exec_driver_sql(f"ANALYZE TABLE {table.name}")


async def test_no_query_of_a_request_reads_a_growing_table_whole(mariadb: MariaDB) -> None:
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            seen.append((statement, parameters))

    async with open_database(mariadb.new_database()) as database:
        await migrations.upgrade(database)
        await fill(database)
        jobs, keys, codes = SqlJobStore(database), ApiKeyStore(database), CodeStore(database)
        work: list[Callable[[], Awaitable[object]]] = [
            lambda: jobs.claim(ChannelTarget("c7"), owner="o", now=NOON + timedelta(hours=1), lease_seconds=5.0),
            lambda: jobs.running(ChannelTarget("c7"), now=NOON),
            lambda: jobs.answer(ClipTarget("c7")),
            lambda: jobs.history("c7", limit=20),
            lambda: keys.find("ta_anything"),
            lambda: keys.record_uses({"k7": NOON}),
            lambda: codes.redeemed("u7"),
            lambda: RateCounters(database).spend([Limit("key:k7", 9, 60)], NOON),
        ]
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        for step in work:
            await step()
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        assert len(seen) >= len(work)
        whole: list[str] = []
        async with database.read() as connection:
            for statement, parameters in seen:
                plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                whole += [
                    f"{row['table']}: {statement}"
                    for row in plan.mappings()
                    if row["type"] in ("ALL", "index") and row["table"] not in SMALL
                ]
        assert whole == []
