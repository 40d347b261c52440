"""`AccessCheck`: only the page that the viewer served, on this computer, may send requests.

A page of any web site can send requests to 127.0.0.1. The Host check stops DNS rebinding, the
Origin check stops foreign pages, and the key, which only the printed address holds, stops other
users of the same computer.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from email.message import Message

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class AccessCheck:
    """The addresses and the key of one server."""

    port: int
    key: str

    @classmethod
    def for_port(cls, port: int) -> AccessCheck:
        """A check with a new random key."""
        return cls(port, secrets.token_urlsafe(24))

    def url(self) -> str:
        """The address to open."""
        return f"http://{ADDRESS}:{self.port}/?key={self.key}"

    def refusal(self, headers: Message, key: str) -> str | None:
        """Why a request is refused, or None. `key` is that of its address, "" for none."""
        hosts = {f"{ADDRESS}:{self.port}", f"localhost:{self.port}"}
        if headers.get_all("Host") is None or set(headers.get_all("Host", [])) - hosts:
            return "another host"
        origin = headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            return "another origin"
        if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            return "another site"
        given = headers.get("X-Key") or key
        if not hmac.compare_digest(given.encode("utf-8"), self.key.encode("utf-8")):
            return "no key: open the address that the command printed"
        return None
