"""API keys: who may manage the desk, and who may chat where it is open to the network."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal, Protocol

from kefu.errors import Forbidden, NotFound, Unauthorized

Role = Literal["admin", "chat"]


@dataclass(frozen=True)
class StoredKey:
    """What is kept of a key: not the key."""

    id: str
    role: str
    sha256: str
    note: str
    created_at_ms: int


class KeyStore(Protocol):
    def all(self) -> list[StoredKey]: ...
    def add(
        self, key_id: str, role: str, sha256: str, note: str, *, only_as_first: bool = False
    ) -> bool: ...
    def remove(self, key_id: str) -> bool: ...


class ApiKeys:
    """Creates and checks keys. Only a SHA-256 is stored: a key is 256 random bits, so no slow hash
    is needed, and the key itself is shown once."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._known: dict[str, StoredKey] = {}
        self.reload()

    def reload(self) -> None:
        """Read the keys again: another process may have made or revoked some."""
        self._known = {row.sha256: row for row in self._store.all()}

    def create(self, role: Role, note: str = "") -> str:
        """A new key, to be shown to the operator now and never again."""
        key = _new_key(role)
        self._store.add(secrets.token_hex(4), role, _sha256(key), note)
        self.reload()
        return key

    def create_first(self, role: Role, note: str = "") -> str | None:
        """As `create`, where there is no key of this role; None where there is one. Of several desks
        that start on one database at once only one makes it."""
        key = _new_key(role)
        is_first = self._store.add(
            secrets.token_hex(4), role, _sha256(key), note, only_as_first=True
        )
        self.reload()
        return key if is_first else None

    def revoke(self, key_id: str) -> None:
        if not self._store.remove(key_id):
            raise NotFound(f"No key has the id {key_id!r}. `kefu keys list` shows them.")
        self.reload()

    def all(self) -> list[StoredKey]:
        return self._store.all()

    def require(self, role: Role, authorization: str | None) -> str:
        """Check an `Authorization: Bearer` header; the id of its key.

        An admin key may do whatever a chat key may.

        Raises `Unauthorized` without a valid key and `Forbidden` for one of the wrong role.
        """
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized(f"This needs an {role} key: `Authorization: Bearer kefu-{role}-…`.")
        found = self._find(key.strip())
        if found is None:
            raise Unauthorized("This key is not known here. `kefu keys list` shows the known ones.")
        if found.role not in (role, "admin"):
            raise Forbidden(f"A {found.role} key may not do this; it needs an {role} key.")
        return found.id

    def _find(self, key: str) -> StoredKey | None:
        wanted = _sha256(key)
        for sha256, known in self._known.items():
            if hmac.compare_digest(sha256, wanted):
                return known
        return None


def _new_key(role: Role) -> str:
    return f"kefu-{role}-{secrets.token_urlsafe(32)}"


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
