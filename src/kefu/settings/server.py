"""`[server]`: where the desk listens, and how much it takes on."""

from __future__ import annotations

import ipaddress

from pydantic import Field

from kefu.settings.section import Section


class ServerSettings(Section):
    host: str = Field(
        "127.0.0.1", description="Address to listen on; other than loopback asks for keys."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    allowed_origins: tuple[str, ...] = Field(
        (), description="Web origins (`https://shop.example`) whose pages may embed the widget."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Extra `Host` names answered on a loopback address (a reverse proxy's name).",
    )
    max_body_bytes: int = Field(64 * 1024, ge=1024, description="Largest request body of a chat.")
    max_open_requests: int = Field(
        1000, ge=1, description="Requests served at once; more are answered 503 with Retry-After."
    )
    aim_seconds: float = Field(
        0.15,
        gt=0,
        description="Replies that are not written aim at this; what comes beyond is refused.",
    )
    heartbeat_seconds: float = Field(15, gt=0, description="Comment line on a silent stream.")
    drain_seconds: float = Field(
        0,
        ge=0,
        description="How long a stop first answers as before, while `/readyz` says that it stops.",
    )
    shutdown_seconds: float = Field(10, gt=0, description="How long a stop waits for open turns.")

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
