"""An address on which several worker processes listen, one socket for each (SO_REUSEPORT)."""

import socket


class SharedAddress:
    """An address that several processes listen on, reserved for as long as it is open.

    Raises OSError when a process listens there, even one that would share it.
    """

    def __init__(self, host: str, port: int) -> None:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self._addresses = list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
        # `::` alone means every address, of IPv4 as well.
        self._dual_stack = [address for _, address in self._addresses] == ["::"] and socket.has_dualstack_ipv6()
        for family, address in self._addresses:
            self._bound(family, address, port, shared=False).close()
        self._reserved: list[socket.socket] = []
        self.port = port
        try:
            self._reserved = self.bind()
        except OSError:
            self.close()
            raise

    @property
    def host(self) -> str:
        """The numeric address, the first one of a name with several."""
        return self._addresses[0][1]

    def bind(self) -> list[socket.socket]:
        """A further set of sockets on the address, which do not listen yet."""
        sockets: list[socket.socket] = []
        try:
            for family, address in self._addresses:
                sockets.append(self._bound(family, address, self.port, shared=True))
                # Port 0: the system's choice for the first is the others' port.
                self.port = sockets[0].getsockname()[1]
        except OSError:
            for each in sockets:
                each.close()
            raise
        return sockets

    def close(self) -> None:
        """Close the sockets that reserve the address."""
        for each in self._reserved:
            each.close()

    def _bound(self, family: int, address: str, port: int, *, shared: bool) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if self._dual_stack else 1)
            sock.bind((address, port))
        except OSError:
            sock.close()
            raise
        return sock
