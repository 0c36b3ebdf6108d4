"""Every error kefu raises on purpose.

    KefuError                     500  internal
    ├── InvalidInput              422  invalid_input        the caller sent something we cannot take
    │   ├── InvalidFile           422  invalid_file         rows of an imported file, by line
    │   └── IdempotencyKeyReused  422  idempotency_key_reused
    ├── BodyTooLarge              413  body_too_large
    ├── Unauthorized              401  unauthorized
    ├── Forbidden                 403  forbidden
    ├── NotFound                  404  not_found
    ├── AlreadyDecided            409  review_decided       (review/review.py)
    ├── Overloaded                503  overloaded           a bounded queue is full; try later
    │   ├── TooManyWaiting        429  too_many_waiting     this customer already has turns waiting
    │   └── TooManyMessages       429  too_many_messages    (turn/rates.py)
    ├── GeneratorUnavailable      503  generator_unavailable
    ├── TurnTimedOut              504  turn_timed_out
    ├── TurnLost                  503  turn_lost            (conversations/transcript.py)
    ├── SharedStateAway           503  shared_state_away    (stores/redis/connection.py)
    ├── SettingsError             500  settings             a setting that cannot work
    ├── ModelError                500  model
    │   ├── ModelMissing          500  model_missing
    │   ├── ModelCorrupt          500  model_corrupt        a checksum or format that does not fit
    │   ├── EncoderUnavailable    503  encoder_unavailable  an encoder on another machine
    │   └── SourceUnavailable     502  source_unavailable   every source of a model file failed
    └── NotInstalled              500  not_installed        a package of an extra (bert/optional.py)

A message says what happened, to what, and what to do. `http/problems.py` writes these as RFC 9457
documents; the command line prints the message and exits with 1 (2 for `InvalidInput`).
"""

from __future__ import annotations

from dataclasses import dataclass


class KefuError(Exception):
    """Base of the tree. `status` is the HTTP status, `code` a stable name for programs."""

    status = 500
    code = "internal"
    retry_after_seconds: int | None = None


class InvalidInput(KefuError):
    status = 422
    code = "invalid_input"


@dataclass(frozen=True)
class RowProblem:
    """One thing wrong in one row of an imported file. `line` counts from 1, the header included."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: {self.reason}"


class InvalidFile(InvalidInput):
    """A file with rows that cannot be imported. Nothing of it was."""

    code = "invalid_file"

    def __init__(self, message: str, problems: tuple[RowProblem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class IdempotencyKeyReused(InvalidInput):
    code = "idempotency_key_reused"


class BodyTooLarge(KefuError):
    status = 413
    code = "body_too_large"


class Unauthorized(KefuError):
    status = 401
    code = "unauthorized"


class Forbidden(KefuError):
    status = 403
    code = "forbidden"


class NotFound(KefuError):
    status = 404
    code = "not_found"


class Overloaded(KefuError):
    status = 503
    code = "overloaded"
    retry_after_seconds = 2


class TooManyWaiting(Overloaded):
    status = 429
    code = "too_many_waiting"


class GeneratorUnavailable(KefuError):
    status = 503
    code = "generator_unavailable"
    retry_after_seconds = 5


class TurnTimedOut(KefuError):
    status = 504
    code = "turn_timed_out"
    retry_after_seconds = 5


class SettingsError(KefuError):
    code = "settings"


class ModelError(KefuError):
    code = "model"


class ModelMissing(ModelError):
    code = "model_missing"


class ModelCorrupt(ModelError):
    code = "model_corrupt"


class EncoderUnavailable(ModelError):
    status = 503
    code = "encoder_unavailable"
    retry_after_seconds = 5


class SourceUnavailable(ModelError):
    status = 502
    code = "source_unavailable"
