"""What every command that ends may do: push how it went to a Pushgateway."""

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from service.cli.output import complain

__all__ = ["PushgatewayOption", "measured"]

PushgatewayOption = Annotated[
    str | None,
    typer.Option(
        "--pushgateway",
        metavar="URL",
        envvar="HTTPSERVER_PUSHGATEWAY",
        help="Pushgateway that is told how long the command took and whether it "
        "succeeded.",
    ),
]


def measured(command: str, gateway: str | None) -> AbstractContextManager[None]:
    """
    Return what measures the run of *command* and pushes it to *gateway*, if any.

    Args:
        command: Name of the command, as it is typed.
        gateway: URL of the Pushgateway.
    """
    if gateway is None:
        return nullcontext()
    from service.observability.batch import measured as run

    return run(command, gateway=gateway, complain=complain)
