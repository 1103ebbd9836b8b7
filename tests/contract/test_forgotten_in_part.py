"""A channel whose forgetting failed in the middle, in DynamoDB: the next call forgets the rest."""

from datetime import timedelta

from fingerprint.domain.channel_traces import ChannelTraces, UsedName
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget
from fingerprint.jobs.dynamodb.client import open_client
from fingerprint.jobs.dynamodb.store import DynamoDbJobStore
from fingerprint.jobs.dynamodb.tables import TableNames
from tests.builders import NOON
from tests.contract.stored_answers import store_heard
from tests.dynamodb_proxy import Break, standing_before
from tests.emulators import Emulator, create_lasting_tables
from tests.fakes import FakeClock

MOST_CALLS = 40


async def test_a_channel_that_was_forgotten_in_part_is_forgotten_by_the_next_call(moto: Emulator) -> None:
    """Its broadcast's clip does not name it: only the channel's own answers lead there."""
    names = TableNames(*moto.new_names())
    traces = ChannelTraces(names=(UsedName(login="somechannel", since=NOON - timedelta(days=1)),))
    async with standing_before(moto.endpoint) as proxy, open_client(proxy.endpoint) as client:
        await create_lasting_tables(client, names)
        store = DynamoDbJobStore(client, names, clock=FakeClock(), call_seconds=60.0)
        for number in range(1, MOST_CALLS):
            for target in (ChannelTarget("somechannel"), ClipTarget("OnItsTimeLine-1")):
                await store_heard(store, target)
            calls = 0

            def fail(_operation: str, _parameters: object, number: int = number) -> Break | None:
                nonlocal calls
                calls += 1
                return Break.DENY if calls == number else None

            proxy.rule = fail
            refused = False
            try:
                await store.forget(traces, now=NOON + timedelta(hours=1))
            except TwitchAudioError:
                refused = True
            proxy.mend()
            if refused:
                await store.forget(traces, now=NOON + timedelta(hours=1))
            for table in (names.streams, names.clips):
                left = [item["Id"] for item in (await client.scan(TableName=table))["Items"]]
                assert left == [], f"call {number} had failed"
            if not refused:
                return
    raise AssertionError("it never passes")
