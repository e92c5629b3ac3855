"""The errors of the local Azure ML, as the services report them.

    ServiceFault                    answered as Azure ML's error envelope
    ├── NotFound          404       a name or id that the workspace does not have
    ├── Invalid           400       a request that Azure would refuse, too
    ├── Conflict          409       the name is taken, or the state does not allow it
    ├── PreconditionFailed 412      an If-Match or If-None-Match condition does not hold
    ├── Unauthenticated   401       no token, or not one of this service
    ├── Forbidden         403       a token without the permission
    ├── TooLarge          413       more than the service accepts at once
    ├── OutOfRange        416       bytes after the end of a blob
    ├── Temporary         503       it can succeed later, unchanged
    │   ├── OutOfSpace    507       the disk of the home folder is full
    │   └── Locked        503       another program uses the database
    ├── Damaged           500       the database of the home folder is damaged
    └── Unsupported       501       Azure has it, the local service does not

Handlers and stores raise these; only http/ turns them into responses.
"""

from __future__ import annotations

import errno


class ServiceFault(Exception):
    """The local service cannot do what was requested."""

    status = 500
    code = "ServiceError"
    inner_code: str | None = None

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class NotFound(ServiceFault):
    """Not found in this workspace."""

    status, code, inner_code = 404, "UserError", "NotFoundError"


class Invalid(ServiceFault):
    """The request is malformed or breaks one of Azure's rules."""

    status, code, inner_code = 400, "UserError", "BadArgument"


class Conflict(ServiceFault):
    """The name is taken, or the state does not allow the operation."""

    status, code, inner_code = 409, "UserError", "ConflictError"


class PreconditionFailed(ServiceFault):
    """A condition of the request does not hold."""

    status, code = 412, "ConditionNotMet"


class Unauthenticated(ServiceFault):
    """The request has no token of this service."""

    status, code, inner_code = 401, "UserError", "AuthenticationError"


class Forbidden(ServiceFault):
    """The token does not permit this."""

    status, code, inner_code = 403, "UserError", "ForbiddenError"


class TooLarge(ServiceFault):
    """The body is larger than the service accepts at once."""

    status, code = 413, "RequestBodyTooLarge"


class OutOfRange(ServiceFault):
    """The requested range begins after the end."""

    status, code = 416, "InvalidRange"


class Temporary(ServiceFault):
    """Something outside of the service prevents it; the same request can succeed later."""

    status, code = 503, "ServiceUnavailable"


class OutOfSpace(Temporary):
    """The disk that holds the home folder is full."""

    status, code = 507, "InsufficientStorage"


class Locked(Temporary):
    """Another program has locked the database."""


class Damaged(ServiceFault):
    """What the home folder stores is damaged. The message says which file, and what to do."""


class Unsupported(ServiceFault):
    """Azure ML has it, the local service does not."""

    status, code = 501, "NotImplemented"


# Of the machine, which may pass by themselves: a disk is full or does not answer, or too many files are open.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def as_fault(error: Exception) -> ServiceFault:
    """The fault itself, or one that names an error of another kind."""
    return error if isinstance(error, ServiceFault) else ServiceFault(f"{type(error).__name__}: {error}")


def is_temporary(error: Exception) -> bool:
    """Whether the same work can succeed later."""
    return isinstance(error, Temporary) or (isinstance(error, OSError) and error.errno in _PASSING)
