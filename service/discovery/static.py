"""
Services written down: in the settings, or in a file that is read again when it changes.

The file is YAML, of which JSON is a part; each service has its endpoints:

    catalogue:
      - 10.0.0.1:8080
      - {address: "10.0.0.2:8080", zone: eu-west-1b, weight: 2, priority: 1}
    billing: []

A file that can't be read, or holds anything else, changes nothing: the services stay as
they were, and the log tells the line.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from service.config.documents import DocumentError, parse
from service.discovery.addresses import BadEndpoint, endpoint_of
from service.discovery.known import Known, KnownServices, SourceObserver, unobserved
from service.discovery.model import Endpoint
from service.watching import FolderWatcher

__all__ = ["BadFile", "StaticRegistry", "read_services"]


class BadFile(Exception):
    """The file of services can't be used."""


class StaticRegistry(KnownServices):
    """
    Knows services that were written down.

    Args:
        services: Endpoints by service.
        file: Where more of them are; watched while the part runs.
        expected: Services that the file is to have: known without endpoints until then.
        observer: Is told what changes.
        interval: Seconds between looks at the file that nothing caused.

    Concurrency:
        The file is read on a thread of its own; the rest on any.
    """

    name = "discovery static"

    def __init__(
        self,
        services: Mapping[str, Iterable[Endpoint]] | None = None,
        *,
        file: Path | None = None,
        expected: Iterable[str] = (),
        observer: SourceObserver = unobserved,
        interval: float = 5.0,
    ) -> None:
        self._written = {name: tuple(each) for name, each in (services or {}).items()}
        self._expected = frozenset(expected)
        self._file = file
        self._content: bytes | None = None
        super().__init__(Known([*self._written, *self._expected], observer=observer))
        self._watcher = None if file is None else self._watching(file, interval)

    async def start(self) -> None:
        """Read the file, and watch it from now on."""
        for name, endpoints in self._written.items():
            self.known.tell(name, endpoints)
        if self._watcher is not None:
            self.look()
            await self._watcher.start()

    async def stop(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            await self._watcher.stop()

    def look(self) -> None:
        """Read the file now; nothing happens when it is as it was."""
        if self._file is None:
            return
        try:
            content = self._file.read_bytes()
            if content == self._content:
                self._confirm()
                return
            found = read_services(content)
        except (OSError, BadFile) as error:
            self._content = None
            self._fail(str(error))
            return
        self._content = content
        self._take(found)

    def _take(self, found: Mapping[str, tuple[Endpoint, ...]]) -> None:
        for name, endpoints in found.items():
            if name not in self._written:
                self.known.tell(name, endpoints)
        for name in self.known.services:
            if name in found or name in self._written:
                continue
            if name in self._expected:
                self.known.tell(name, ())
            else:
                self.known.forget(name)

    def _confirm(self) -> None:
        for name in self.known.services:
            if name not in self._written:
                self.known.confirm(name)

    def _fail(self, reason: str) -> None:
        for name in self.known.services:
            if name not in self._written:
                self.known.fail(name, reason)

    def _watching(self, file: Path, interval: float) -> FolderWatcher:
        return FolderWatcher(
            "discovery",
            folders=lambda: [file.parent],
            look=self.look,
            logger="httpserver.discovery",
            interval=interval,
        )


def read_services(content: bytes) -> dict[str, tuple[Endpoint, ...]]:
    """
    Return the endpoints by service in a file.

    Raises:
        BadFile: It is of another form.
    """
    try:
        document = parse(content, suffix=".yaml")
    except DocumentError as error:
        raise BadFile(f"line {error.line or '?'}: {error.reason}") from None
    if not content.strip():  # as a file is while it is written
        raise BadFile("it is empty; {} says that there are no services")
    for path, line in document.repeated:
        raise BadFile(f"line {line}: {path[-1]} stands there twice")
    services = {}
    for name, written in document.values.items():
        at = f"line {document.lines[(name,)]}"
        if not isinstance(name, str) or not isinstance(written, list):
            raise BadFile(f"{at}: a service needs a name and a list of endpoints")
        try:
            services[name] = tuple(endpoint_of(each) for each in written)
        except BadEndpoint as error:
            raise BadFile(f"{at}: {error}") from None
    return services
