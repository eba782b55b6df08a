"""What can go wrong with a call. Wrong arguments that never leave this process are ValueError or TypeError."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc


class StylexError(Exception):
    """A call failed. The text is the server's: it names the thing, the value, and what would be right."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InvalidRequest(StylexError):
    """Something in the request is wrong, or belongs to another version of the model; every fault is named."""


class NotFound(StylexError):
    """There is no such model."""


class NotPermitted(StylexError):
    """The token, or the client's certificate, is missing or not accepted."""


class TooMuch(StylexError):
    """The request is over a limit of the server."""


class Unavailable(StylexError):
    """No server answers at the address, or it is starting or stopping, or has too much to do: the same call may succeed
    later."""


class DeadlineExceeded(StylexError):
    """The call took longer than its timeout."""


class ServerError(StylexError):
    """Anything else."""


_KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNAUTHENTICATED: NotPermitted,
    grpc.StatusCode.PERMISSION_DENIED: NotPermitted,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TooMuch,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def _is_the_servers(error: grpc.RpcError) -> bool:
    """Whether the server itself says so, and not gRPC, which has not reached one."""
    return any(key == 'x-request-id' for key, _ in error.trailing_metadata() or ())


@contextlib.contextmanager
def told(address: str) -> Iterator[None]:
    """Turns gRPC's errors into those of this module."""
    try:
        yield
    except grpc.RpcError as error:
        code = error.code()
        message = error.details() or code.name
        if code == grpc.StatusCode.UNAVAILABLE and not _is_the_servers(error):
            message = f'{address}: no server answers there: {message}'
        elif code == grpc.StatusCode.DEADLINE_EXCEEDED:
            message = f'{address}: no answer in time: {message}; give the client a greater timeout'
        raise _KINDS.get(code, ServerError)(code, message) from error
