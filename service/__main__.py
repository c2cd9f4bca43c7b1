"""`python -m service` is the command line."""

import os
import signal
from typing import NoReturn

__all__: list[str] = []


def _run() -> None:
    if os.getpid() == 1:
        # The kernel keeps from the first process of a container what it has no handler
        # for: a pod that is deleted while this imports would wait until it is killed.
        signal.signal(signal.SIGTERM, _end)
    try:
        from service.cli import main

        main()
    except KeyboardInterrupt:  # before a command is there that takes it
        raise SystemExit(130) from None


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    _run()
