"""What a server tells systemd, over the socket that `Type=notify` gives it."""

import socket
from pathlib import Path

import pytest

from server.cli.serving import tell_service_manager


@pytest.mark.parametrize("name", ["notify.sock", "@twitchaudio-{}"])
def test_the_service_manager_hears_of_the_server(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may be 108 bytes long
    name = name.format(abs(hash(tmp_path)))
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(30)
        tell_service_manager("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_without_one_or_without_a_listener_the_server_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    tell_service_manager("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nothing-listens.sock"))
    tell_service_manager("READY=1")
