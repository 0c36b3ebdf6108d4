"""Which endpoints ask for a key, as FastAPI dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from kefu.http.auth import ApiKeys

# Only documents the scheme in /openapi.json; the check is ours, with errors that say what to do.
_bearer = HTTPBearer(auto_error=False, description="A key made by `kefu keys create`.")


@dataclass(frozen=True)
class Access:
    """Who may come in. Customers need a key only where the desk is open to the network."""

    keys: ApiKeys
    open_to_customers: bool

    def require_customer(self, authorization: str | None) -> None:
        if not self.open_to_customers:
            self.keys.require("chat", authorization)

    def require_admin(self, authorization: str | None) -> str:
        """The id of the key."""
        return self.keys.require("admin", authorization)


async def access_of(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


AccessDep = Annotated[Access, Depends(access_of)]


async def _require_customer(request: Request, access: AccessDep) -> None:
    access.require_customer(request.headers.get("authorization"))


async def _require_admin(request: Request, access: AccessDep) -> str:
    return f"key:{access.require_admin(request.headers.get('authorization'))}"


CustomerAccess = Depends(_require_customer)
AdminAccess = Depends(_require_admin)
AdminScheme = Security(_bearer)
# Who asks, as the audit names them: "key:" and the id of the key.
AdminActor = Annotated[str, AdminAccess]
