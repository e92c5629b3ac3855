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
    │   │   └── ReadOnly  507       the home folder cannot be written to
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


class ReadOnly(OutOfSpace):
    """The home folder cannot be written to: its file system was mounted read-only, or its modes were changed."""


class Locked(Temporary):
    """Another program has locked the database."""


class Damaged(ServiceFault):
    """What the home folder stores is damaged. The message says which file, and what to do."""


class Unsupported(ServiceFault):
    """Azure ML has it, the local service does not."""

    status, code = 501, "NotImplemented"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# The last two come from modes of files, which do not change by themselves.
_UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DISTURBED = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EINTR, errno.EAGAIN}
)
# Of the machine, which may pass by themselves: a disk is full, read-only or does not answer, too many files are open.
_PASSING = _FULL | {errno.EROFS} | _DISTURBED


def as_fault(error: Exception) -> ServiceFault:
    """The fault itself, or one that says what an error of another kind means for the service."""
    if isinstance(error, ServiceFault):
        return error
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL:
        return OutOfSpace(
            "Cannot write to the local service's home folder: no space left on the disk. Nothing was changed."
        )
    if number in _UNWRITABLE:
        return ReadOnly(
            f"Cannot write to the local service's home folder: {_said(error)}. Nothing was changed. Make the folder "
            "writable again; the service does not have to be restarted."
        )
    if number in _DISTURBED:
        return Temporary(
            f"The machine of the local service prevents it: {_said(error)}. Nothing was changed. Try again later."
        )
    return ServiceFault(f"{type(error).__name__}: {error}")


def _said(error: Exception) -> str:
    """What the system says, and of which file."""
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)


def is_temporary(error: Exception) -> bool:
    """Whether the same work can succeed later."""
    return isinstance(error, Temporary) or (isinstance(error, OSError) and error.errno in _PASSING)
