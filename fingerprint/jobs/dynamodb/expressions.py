"""DynamoDB's expressions: what a write sets, and the conditions that hold only for a lease's own fencing token."""

from typing import Any, Final

from fingerprint.job_ports import Lease
from fingerprint.jobs.dynamodb.client import Item
from fingerprint.jobs.dynamodb.items import number, text

MINE: Final = "#Fence = :fence AND #Owner = :owner"
WORKING: Final = "#Fence = :fence AND attribute_not_exists(#FinishedAt)"
EARLIER: Final = "#Fence <= :fence AND attribute_not_exists(#FinishedAt)"
BEFORE: Final = "#Fence < :fence AND attribute_not_exists(#FinishedAt)"


def mine(lease: Lease) -> dict[str, Any]:
    """The values of `MINE`."""
    return {":fence": number(lease.fence), ":owner": text(lease.owner)}


def setting(fields: Item) -> str:
    """What sets the fields to the values of `values_of`."""
    return "SET " + ", ".join(f"#{name} = :{name}" for name in fields)


def values_of(fields: Item) -> dict[str, Any]:
    """The fields as values of an expression."""
    return {f":{name}": value for name, value in fields.items()}
