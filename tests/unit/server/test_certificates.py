"""New files become a new context; files that can't be used become a log line."""

import asyncio
import contextlib

import pytest
import structlog

from service.errors import StartError
from service.server.certificates import Certificates
from tests.support.certificates import DAY, NOW, Authority, TlsMount, client_context

AUTHORITY = Authority()

FILES = ("tls.crt", "tls.key", "ca.crt")

LIMIT = 20.0
"""Seconds until a change that is not seen fails the test."""

NEVER = 3600.0
"""Seconds between looks, so that only the kernel can have told."""


class Metrics:
    def __init__(self):
        self.ends = {}
        self.results = []

    def loaded(self, not_after):
        self.ends = dict(not_after)

    def reloaded(self, result):
        self.results.append(result)


class Rotating:
    """Certificates of a mounted Secret, with what came of each change."""

    def __init__(self, mount, **settings):
        self.mount = mount
        self.metrics = Metrics()
        self.part = Certificates(
            mount.settings(**settings),
            metrics=self.metrics,
            quiet_period=0.02,
            interval=NEVER,
        )
        self.contexts = asyncio.Queue()
        self.part.subscribe(self.contexts.put_nowait)

    async def next_context(self):
        async with asyncio.timeout(LIMIT):
            return await self.contexts.get()

    async def result(self, count):
        """Wait until *count* reloads are counted; return them."""
        async with asyncio.timeout(LIMIT):
            while len(self.metrics.results) < count:
                await asyncio.sleep(0.01)
        return self.metrics.results


@contextlib.asynccontextmanager
async def rotating(mount, **settings):
    found = Rotating(mount, **settings)
    await found.part.start()
    try:
        yield found
    finally:
        await found.part.stop()


@pytest.fixture
def mount(tmp_path):
    return TlsMount(tmp_path / "tls", AUTHORITY.server(), ca=AUTHORITY.pem)


def contents(mount):
    return {name: (mount.folder / name).read_text() for name in FILES}


async def test_rotated_secret_becomes_a_new_context_on_the_loop(mount):
    """Each swap of the mounted folder, authorities included, with its end measured."""
    async with rotating(mount, client_auth="required") as found:
        before = found.part.context
        for days in (30, 20):
            end = NOW + days * DAY
            mount.rotate(
                AUTHORITY.issue("localhost", not_after=end), ca=Authority().pem
            )
            context = await found.next_context()

            assert context is found.part.context
            assert context is not before
            assert found.metrics.ends["server"] == end.timestamp()
            before = context

        assert found.metrics.results == ["changed", "changed"]


async def test_authority_that_changes_alone_is_taken_in(mount):
    """The pair is the same, whom it believes is not."""
    async with rotating(mount, client_auth="required") as found:
        mount.swap(**contents(mount) | {"ca.crt": Authority().pem})
        await found.next_context()


@pytest.mark.parametrize("what", ["key of another", "half", "expired", "gone"])
async def test_files_that_cant_be_used_keep_the_old_context(mount, what):
    """One line in the log, one count; the repair is taken in."""
    good = AUTHORITY.server()
    broken = {
        "key of another": {"tls.crt": good.cert, "tls.key": AUTHORITY.server().key},
        "half": {"tls.crt": good.cert[:200], "tls.key": good.key},
        "expired": {
            "tls.crt": (old := AUTHORITY.expired()).cert,
            "tls.key": old.key,
        },
        "gone": {},
    }[what]
    async with rotating(mount) as found:
        before = found.part.context
        with structlog.testing.capture_logs() as log:
            mount.swap(**broken)
            assert await found.result(1) == ["failed"]
            found.part.look()
        kept = found.part.context
        mount.rotate(good)
        after = await found.next_context()

    assert [line["event"] for line in log] == ["tls_reload_failed"]
    assert str(mount.folder) in log[0]["reason"]
    assert kept is before
    assert after is not before
    assert found.metrics.results == ["failed", "changed"]


async def test_pair_written_file_by_file_comes_to_the_new_one(mount, tmp_path):
    """Between the two writes they don't match; that may fail once and heals."""
    cert, key = AUTHORITY.server().write(tmp_path / "plain")
    async with rotating(mount, cert_file=str(cert), key_file=str(key)) as found:
        issued = AUTHORITY.server()
        issued.write(tmp_path / "plain")
        context = await found.next_context()

    assert context.certificate_pem in issued.cert
    assert found.metrics.results[-1] == "changed"


async def test_files_that_change_while_they_are_loaded_are_left_to_the_next_look(mount):
    """What was read may be half of one and half of the other: it counts for nothing."""
    async with rotating(mount) as found:
        before = found.part.context
        changed = found.part._reload("of others", loop=asyncio.get_running_loop())

        assert not changed
        assert found.part.context is before
        assert found.metrics.results == []


async def test_files_that_say_the_same_are_not_loaded(mount):
    """Events without other content make no context; asked for, it is said so."""
    async with rotating(mount) as found:
        before = found.part.context
        mount.swap(**contents(mount))
        with structlog.testing.capture_logs() as log:
            changed = found.part.look(tell=True)

        assert not changed
        assert found.part.context is before
        assert found.metrics.results == ["unchanged"]
        assert log[0]["event"] == "tls_unchanged"


async def test_start_with_files_that_cant_be_used_is_refused(mount):
    """The reason is the text of the error."""
    mount.rotate(AUTHORITY.expired())
    with pytest.raises(StartError, match="expired on"):
        await Rotating(mount).part.start()


async def test_certificate_that_ends_soon_is_warned_of_once(mount):
    """At the start, and not at each look."""
    soon, before = NOW + 3 * DAY, NOW - 80 * DAY
    mount.rotate(AUTHORITY.issue("localhost", not_before=before, not_after=soon))
    with structlog.testing.capture_logs() as log:
        async with rotating(mount) as found:
            found.part.look()

    events = [line["event"] for line in log if line["log_level"] != "info"]
    assert events == ["tls_warning", "tls_expires_soon"]


async def test_subscriber_that_fails_or_leaves_keeps_nobody_from_the_context(mount):
    """Each is called on its own."""
    async with rotating(mount) as found:
        gone = []

        def fail(_context):
            raise RuntimeError("no")

        found.part._subscribers.insert(0, fail)
        found.part.subscribe(gone.append)()
        mount.rotate(AUTHORITY.server())
        await found.next_context()

    assert gone == []


async def test_look_before_the_start_does_nothing(mount):
    """A hangup may come at any time."""
    assert not Rotating(mount).part.look()


async def test_listener_sees_its_settings_and_new_connections_the_new_pair(mount):
    """What a server needs is there; a listener swapped by the subscriber serves it."""

    async def answer(_reader, writer):
        writer.write(b"hello")
        writer.close()

    async with rotating(mount, handshake_timeout=3, shutdown_timeout=1) as found:
        assert (found.part.handshake_timeout, found.part.shutdown_timeout) == (3, 1)
        issued = AUTHORITY.server()
        mount.rotate(issued)
        await found.next_context()
        server = await asyncio.start_server(
            answer, "127.0.0.1", 0, ssl=found.part.context
        )
        async with server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_context(AUTHORITY)
            )
            shown = writer.get_extra_info("peercert")["serialNumber"]
            await reader.read()
            writer.close()

    assert shown.lower().lstrip("0") == issued.serial
