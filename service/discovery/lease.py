"""The block around one call of an endpoint, which remembers what comes of it."""

from collections.abc import Callable
from types import TracebackType

from service.discovery.load import Load
from service.discovery.model import Endpoint
from service.discovery.outliers import Outliers

__all__ = ["Lease", "speaks_against"]


def speaks_against(error: BaseException) -> bool:
    """Whether *error* is the endpoint's fault: any, but not that the caller left."""
    return isinstance(error, Exception)


class Lease:
    """
    One call of an endpoint, for one `with`.

    A block that ends is a success, one that raises a failure if the error speaks
    against the endpoint. One that is cancelled says nothing: a time limit that the
    endpoint is to answer for belongs inside the block.

    Args:
        endpoint: Who is called.
        load: Where the call is counted.
        outliers: Where its outcome is remembered.
        is_failure: Whether an error speaks against the endpoint.

    Attributes:
        endpoint: Who is called.
    """

    __slots__ = ("_failed", "_is_failure", "_load", "_outliers", "_since", "endpoint")

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        load: Load,
        outliers: Outliers,
        is_failure: Callable[[BaseException], bool] = speaks_against,
    ) -> None:
        self.endpoint = endpoint
        self._load = load
        self._outliers = outliers
        self._is_failure = is_failure
        self._failed = False
        self._since = 0.0

    def failed(self) -> None:
        """Say that the call failed though nothing is raised, as by an answer of 503."""
        self._failed = True

    def __enter__(self) -> Endpoint:
        self._since = self._load.begin(self.endpoint)
        return self.endpoint

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failed = self._failed or (error is not None and self._is_failure(error))
        # an error at once must not make the endpoint look fast
        self._load.end(
            self.endpoint, self._since, finished=error is None and not failed
        )
        if failed:
            self._outliers.failed(self.endpoint)
        elif error is None:
            self._outliers.succeeded(self.endpoint)
