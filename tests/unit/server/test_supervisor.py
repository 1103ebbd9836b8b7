"""The supervisor's address and its back-off; its processes are in tests/faults/test_workers.py."""

import socket
import sys

import pytest

from server.cli.supervisor import SharedAddress, restart_delay

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="connections are spread by Linux alone")


def test_a_first_death_costs_no_time_and_a_worker_that_keeps_dying_more_and_more() -> None:
    assert [restart_delay(failures) for failures in range(6)] == [0.0, 0.0, 0.5, 1.0, 2.0, 4.0]
    assert restart_delay(1_000) == 30.0


def test_several_sockets_share_an_address_whose_port_the_system_chose() -> None:
    address = SharedAddress("127.0.0.1", 0)
    sockets = [each for _ in range(3) for each in address.bind()]
    try:
        assert {each.getsockname() for each in sockets} == {("127.0.0.1", address.port)}
    finally:
        address.close()
        for each in sockets:
            each.close()


def test_an_address_is_taken_even_when_its_owner_would_share_it() -> None:
    address = SharedAddress("127.0.0.1", 0)
    [worker] = address.bind()
    worker.listen()
    try:
        with pytest.raises(OSError, match="in use"):
            SharedAddress("127.0.0.1", address.port)
    finally:
        address.close()
        worker.close()
    with socket.create_server(("127.0.0.1", address.port)), pytest.raises(OSError, match="in use"):
        SharedAddress("127.0.0.1", address.port)
