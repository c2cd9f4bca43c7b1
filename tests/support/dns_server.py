"""A real DNS server, CoreDNS, on a free port, with zone files that a test changes."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

from tests.support.programs import free_port

__all__ = ["DnsServer", "dns_server"]

LIMIT = 60.0

ZONE = """\
$ORIGIN example.
@ {ttl} IN SOA ns.example. root.example. {serial} 60 60 60 1
@ {ttl} IN NS ns.example.
ns {ttl} IN A 127.0.0.1
{records}
"""


class DnsServer:
    """
    A server of the zone `example.`.

    Attributes:
        address: Where it listens, `127.0.0.1:port`.
    """

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._zone = folder / "db.example"
        self._config = folder / "Corefile"
        self._serial = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    def write(self, *records: str, ttl: int = 1) -> None:
        """Serve these records, such as `shop A 10.0.0.1`, from soon on."""
        self._serial += 1
        lines = [each.replace(" ", f" {ttl} IN ", 1) for each in records]
        text = ZONE.format(ttl=ttl, serial=self._serial, records="\n".join(lines))
        beside = self._zone.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self._zone)

    def start(self) -> None:
        self._config.write_text(
            f"example.:{self.port} {{\n bind 127.0.0.1\n"
            f" file {self._zone} example. {{\n  reload 100ms\n }}\n}}\n"
        )
        self._process = subprocess.Popen(
            [self._binary, "-conf", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + LIMIT
        query = dns.message.make_query("ns.example.", "A")
        while True:
            with contextlib.suppress(dns.exception.DNSException, OSError):
                dns.query.udp(query, "127.0.0.1", port=self.port, timeout=0.5)
                return
            assert time.monotonic() < end, "coredns does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def dns_server(folder: Path) -> Iterator[DnsServer]:
    """Run a server until the block ends; skip the test where none is installed."""
    binary = shutil.which("coredns")
    if binary is None:
        pytest.skip("coredns is not on PATH")
    server = DnsServer(binary, folder)
    server.write()
    try:
        server.start()
        yield server
    finally:
        server.stop()
