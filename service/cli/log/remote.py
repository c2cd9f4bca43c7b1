"""
The options of the commands that call a log service, and what becomes of its failures.

Exit codes are those of all commands that call a service: 1 it refused, 2 wrong usage, 4
no answer.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.input import is_text
from service.cli.output import complain
from service.cli.remote import (
    CaOption,
    TokenFileOption,
    credential,
    trace,
    with_options,
)

if TYPE_CHECKING:
    from service.commitlog.errors import CommitLogError
    from service.log_client.client import LogClient
    from service.log_client.errors import IfUnknown
    from service.log_client.options import Tls
    from service.resilience.events import Event

__all__ = ["Server", "calls_log"]

ServerOption = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        envvar="HTTPSERVER_LOG",
        help="Where the log service is; several of the same streams with commas.",
    ),
]
StreamOption = Annotated[
    str, typer.Option(metavar="NAME", help="Which stream; its first one without.")
]
TlsOption = Annotated[
    bool, typer.Option("--tls", help="Call by TLS; --ca and --cert imply it.")
]
CertOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Own certificate and its chain, PEM (mTLS)."),
]
CertKeyOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")
]
ServerNameOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name that its certificate must have."),
]
TimeOutOption = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.001,
        max=3600,
        help="For a call that is no stream, retries included; 5 at most to connect.",
    ),
]
RetriesOption = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=1000,
        help="Further attempts in a row where nobody answers; never of what may be "
        "stored already.",
    ),
]

_HINTS = {
    "unauthenticated": "it wants credentials: HTTPSERVER_TOKEN, --token-file, --cert",
    "permission_denied": "these credentials don't allow it",
    "unknown_stream": "--stream NAME: log_service.streams of the service has them",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """
    A log service as the command line names it.

    Attributes:
        target: Addresses.
        stream: Which stream.
        tls: How it is encrypted, if it is.
        metadata: What is sent with each call.
        time_out: Seconds.
        retries: Further attempts in a row.
    """

    target: str
    stream: str
    tls: "Tls | None"
    metadata: tuple[tuple[str, str], ...]
    time_out: float
    retries: int

    def client(self, if_unknown: "IfUnknown" = "raise") -> "LogClient":
        """Return a client, which tells of a connection that is lost."""
        from service.log_client.client import LogClient
        from service.log_client.options import ChannelOptions
        from service.resilience.retry import RetryBudget

        options = ChannelOptions(tls=self.tls, connect_timeout=min(self.time_out, 5.0))
        return LogClient(
            self.target,
            stream=self.stream,
            options=options,
            metadata=lambda: self.metadata,
            if_unknown=if_unknown,
            deadline=self.time_out,
            attempts=self.retries + 1,
            resumptions=self.retries + 1,
            # --retries is all that bounds the attempts of a person
            budget=RetryBudget(burst=self.retries + 1.0),
            observe=_tell_lost,
        )


def _server(
    *,
    server: ServerOption = "127.0.0.1:8400",
    stream: StreamOption = "",
    tls: TlsOption = False,
    ca: CaOption = None,
    cert: CertOption = None,
    cert_key: CertKeyOption = None,
    server_name: ServerNameOption = None,
    token_file: TokenFileOption = None,
    time_out: TimeOutOption = 30.0,
    retries: RetriesOption = 30,
) -> Server:
    """Return what all calls of a command have in common."""
    # gRPC would tell of failures too, in its own words; it looks when it is imported
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    metadata = (*credential(token_file, []), *trace())
    if any(not value.isascii() or "\n" in value for _, value in metadata):
        raise typer.BadParameter("the token is none: it has more than ASCII")
    made = Server(
        target=server,
        stream=stream,
        tls=_tls(ca, cert, cert_key, server_name) if tls or ca or cert else None,
        metadata=metadata,
        time_out=time_out,
        retries=retries,
    )
    _check(made)
    return made


def calls_log(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give *command* the options of calls; its argument `server` is what they come to.

    A service that refuses, or does not answer, is told on standard error, and gives the
    exit code.
    """
    return with_options(command, "server", _server, _failures)


@contextmanager
def _failures(server: Server) -> Iterator[None]:
    from service.commitlog.errors import CommitLogError

    try:
        yield
    except CommitLogError as error:
        for line in filter(None, _lines(error, server)):
            complain(line)
        raise typer.Exit(_code(error)) from None


def _code(error: "CommitLogError") -> int:
    from service.commitlog.errors import LogUnreachable, OutcomeUnknown
    from service.getting.running import FAILED, NO_ANSWER

    unanswered = isinstance(error, LogUnreachable | OutcomeUnknown)
    return NO_ANSWER if unanswered else FAILED


def _lines(error: "CommitLogError", server: Server) -> tuple[str, str]:
    """Return what is wrong, and what may help."""
    from service.commitlog.errors import LogUnreachable, OffsetOutOfRange
    from service.log_api.errors import CallRefused
    from service.top.words import plain

    if isinstance(error, CallRefused):
        text, hint = error.detail or error.reason, _HINTS.get(error.reason, "")
        return plain(f"{server.target}: {text}"), hint
    if isinstance(error, OffsetOutOfRange):
        kept = f"it has {error.lowest} to {error.next_offset - 1}"
        if error.lowest == error.next_offset:
            kept = f"it is empty, and the first one will be {error.next_offset}"
        return plain(f"{server.target}: there is no offset {error.offset}: {kept}"), ""
    if isinstance(error, LogUnreachable):
        hint = "is it running, its log_service on, and --server right (--tls, --ca)?"
        return plain(f"no answer from {server.target}: {error}"), hint
    return plain(f"{server.target}: {error}"), ""


def _tls(
    ca: Path | None, cert: Path | None, key: Path | None, name: str | None
) -> "Tls":
    from service.log_client.options import Tls

    try:
        return Tls(ca=ca, cert=cert, key=key, server_name=name)
    except ValueError:
        raise typer.BadParameter("--cert and --cert-key go together") from None


def _check(server: Server) -> None:
    """Refuse what can't be called, before anything is sent."""
    from service.discovery.addresses import BadEndpoint
    from service.log_client.channels import check_files
    from service.log_client.targets import SCHEME, endpoints_of

    if not (is_text(server.target) and is_text(server.stream)):
        raise typer.BadParameter("--server and --stream are text in UTF-8")
    if server.target.startswith(SCHEME):
        raise typer.BadParameter("there is no discovery here; name a host")
    try:
        endpoints_of(server.target)
    except BadEndpoint as error:
        raise typer.BadParameter(f"--server: {error}") from None
    try:
        if server.tls is not None:
            check_files(server.tls)
    except OSError as error:
        files = ", ".join(map(str, server.tls.files)) if server.tls else ""
        raise typer.BadParameter(f"{files}: {error.strerror or error}") from None


def _tell_lost(event: "Event") -> None:
    if event.event == "retried" and event.fields.get("attempt") == 1:
        complain("no answer, trying again …")
