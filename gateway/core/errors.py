"""Every failure a client can be told about, as one tree; the class attributes *are* the OpenAI mapping.

ThriftgateError
├── InvalidRequest            400 invalid_request_error
│   ├── UnsupportedParameter  400 unsupported_parameter
│   ├── ContextLengthExceeded 400 context_length_exceeded
│   ├── InvalidConfiguration  400 invalid_configuration
│   ├── ModelNotFound         404 model_not_found
│   ├── NotFound              404 not_found
│   ├── MethodNotAllowed      405 method_not_allowed
│   ├── RequestTooLarge       413 request_too_large
│   └── UnsupportedEncoding   415 unsupported_encoding
├── Unauthenticated           401 invalid_api_key
├── Forbidden                 403 model_not_allowed
├── AdminOnly                 403 admin_only
├── LimitExceeded             429 rate_limit_exceeded
│   └── BudgetExceeded        429 insufficient_quota
├── OutOfTime                 504 deadline_exceeded
├── Unavailable               503 service_unavailable
│   └── LedgerUnavailable     503 budget_unavailable
└── UpstreamError             502 upstream_error
    ├── UpstreamUnreachable   502 upstream_unreachable
    ├── UpstreamRejected      400 upstream_rejected
    │   └── UpstreamContextLength 400 context_length_exceeded
    ├── UpstreamAuth          502 upstream_auth
    ├── UpstreamRateLimited   429 rate_limit_exceeded
    ├── UpstreamOverloaded    503 upstream_overloaded
    ├── UpstreamMalformed     502 upstream_malformed
    │   └── UpstreamSchemaMismatch 502 schema_mismatch
    ├── UpstreamCut           502 upstream_cut
    └── UpstreamTimeout       504 upstream_timeout
        └── UpstreamQueued    504 upstream_timeout

Anything outside the tree that reaches the border is a bug and is answered as a 500 with an id.
`tests/test_house.py` holds this drawing against the classes.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.core.budget import Budget, Kind
from gateway.core.limits import Rate


class ThriftgateError(Exception):
    """The root. `retryable` says whether the *client* may usefully send the same request again."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class InvalidRequest(ThriftgateError):
    """The request cannot be served as written; the message names the field and the mend."""

    status = 400
    type = "invalid_request_error"


class UnsupportedParameter(InvalidRequest):
    """A parameter that changes meaning and that the chosen model cannot honour."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """The prompt does not fit the model's context window."""

    code = "context_length_exceeded"


class InvalidConfiguration(InvalidRequest):
    """A reload that was refused: the message has every problem, and the old configuration goes on."""

    code = "invalid_configuration"


class ModelNotFound(InvalidRequest):
    """No such model here, or its provider is absent."""

    status = 404
    code = "model_not_found"


class NotFound(InvalidRequest):
    """No such path or object."""

    status = 404
    code = "not_found"


class MethodNotAllowed(InvalidRequest):
    """The path exists, the verb does not."""

    status = 405
    code = "method_not_allowed"


class RequestTooLarge(InvalidRequest):
    """The body is over the configured limit."""

    status = 413
    code = "request_too_large"


class UnsupportedEncoding(InvalidRequest):
    """The body is compressed or not JSON."""

    status = 415
    code = "unsupported_encoding"


class Unauthenticated(ThriftgateError):
    """No key, or not one of ours."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class Forbidden(ThriftgateError):
    """The key is good, the service may not use this model."""

    status = 403
    type = "invalid_request_error"
    code = "model_not_allowed"


class AdminOnly(ThriftgateError):
    """The key is good, but this is another service's or everybody's."""

    status = 403
    type = "invalid_request_error"
    code = "admin_only"


class LimitExceeded(ThriftgateError):
    """A rate or concurrency limit of the service. `rate` is what is left of its requests a minute, if limited."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    retryable = True

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: float | None = None, rate: Rate | None = None
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.rate = rate


class BudgetExceeded(LimitExceeded):
    """The tokens or dollars of a budget are spent, or the share of them that an attempt on a rung of its ladder may
    fill. Retrying before `retry_after_s` cannot help. `kind` is which of the budget's limits refused."""

    type = "insufficient_quota"
    code = "insufficient_quota"
    retryable = False

    def __init__(self, message: str, *, budget: Budget, kind: Kind, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.budget = budget
        self.kind: Kind = kind


class OutOfTime(ThriftgateError):
    """The time that the client gave its request is over. It says nothing of any provider."""

    status = 504
    code = "deadline_exceeded"


class Unavailable(ThriftgateError):
    """Nothing here can answer now: still loading, or no model is reachable."""

    status = 503
    type = "server_error"
    code = "service_unavailable"
    retryable = True


class LedgerUnavailable(Unavailable):
    """The budget cannot be checked, and a hard budget fails closed."""

    code = "budget_unavailable"


class UpstreamError(ThriftgateError):
    """A provider failed. `try_again`: the same model may succeed. `try_host`: the same model elsewhere may. `try_next`:
    another model may.

    `upstream_status` is the provider's HTTP status, None when there was none. `reached` is true when the
    provider accepted the request and may have billed for it. `asked` is false when nothing was sent, because it is
    known that the provider would refuse now.
    """

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    retryable = True
    try_again: ClassVar[bool] = True
    try_host: ClassVar[bool] = True
    try_next: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        upstream_status: int | None = None,
        reached: bool = False,
        asked: bool = True,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status
        self.reached = reached
        self.asked = asked


class UpstreamUnreachable(UpstreamError):
    """Refused, reset or not resolved before the request was accepted: certainly not billed."""

    code = "upstream_unreachable"


class UpstreamRejected(UpstreamError):
    """The provider understood and refused the request itself (400, 404, 413, 422)."""

    status = 400
    type = "invalid_request_error"
    code = "upstream_rejected"
    retryable = False
    try_again = False
    try_host = False
    try_next = False


class UpstreamContextLength(UpstreamRejected):
    """The prompt does not fit this model's window; a model with a larger one may take it."""

    code = "context_length_exceeded"
    try_next = True


class UpstreamAuth(UpstreamError):
    """The provider refused *our* key (401, 403): an operator's fault, never shown as the client's 401."""

    code = "upstream_auth"
    retryable = False
    try_again = False


class UpstreamRateLimited(UpstreamError):
    """429 from the provider; `retry_after_s` is its own word, kept."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class UpstreamOverloaded(UpstreamError):
    """503, 529, or 402 (our account is empty)."""

    status = 503
    code = "upstream_overloaded"


class UpstreamMalformed(UpstreamError):
    """Not JSON, not the promised shape, an HTML page."""

    code = "upstream_malformed"


class UpstreamSchemaMismatch(UpstreamMalformed):
    """A whole answer that does not follow the JSON schema the client asked for, or calls no tool where it must."""

    code = "schema_mismatch"


class UpstreamCut(UpstreamError):
    """The answer ended without its terminal event: never a finished answer."""

    code = "upstream_cut"


class UpstreamTimeout(UpstreamError):
    """A deadline passed: connect, first token, between tokens, or total."""

    status = 504
    code = "upstream_timeout"


class UpstreamQueued(UpstreamTimeout):
    """No slot of the provider came free in time: it is busy, and that says nothing of how well it is."""
