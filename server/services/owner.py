"""Names this server as the owner of leases."""

import os
import secrets
import socket


def lease_owner() -> str:
    """The owner of this server's leases: readable for operators, and unique to each start."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"
