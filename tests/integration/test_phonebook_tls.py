"""A phone book whose PostgreSQL speaks TLS: whom it believes, with which secrets."""

import os
from contextlib import contextmanager

import httpx2 as httpx
import pytest

from tests.support.certificates import Authority
from tests.support.phonebook import number
from tests.support.postgresql import postgresql_server
from tests.support.process import ServiceProcess, serving
from tests.support.settings_files import KubernetesMount
from tests.support.waiting import until

CONTACTS = "/api/v1/contacts"
PASSWORD = "correct-horse"
LIMIT = 60.0


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("The database's")


@pytest.fixture(scope="module")
def server(authority):
    with postgresql_server() as found:
        if found is None:
            pytest.skip("PostgreSQL is not installed")
        found.stop()
        found.speak_tls(authority.issue("localhost"))
        found.start()
        yield found


@pytest.fixture
def book(server) -> str:
    """A database and a user, both of this name."""
    name = f"book_{os.urandom(4).hex()}"
    server.ask(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    server.ask(f"CREATE DATABASE {name} OWNER {name}")
    return name


class Connected:
    """How a service is told of the server: its flags, and a mounted Secret."""

    def __init__(self, server, book: str, folder, authority: Authority) -> None:
        (folder / "ca.crt").write_text(authority.pem)
        self._server = server
        self.secret = KubernetesMount(folder / "secret")
        self.place = {
            "host": "localhost",
            "port": server.port,
            "database": book,
            "user": book,
            "ca_file": folder / "ca.crt",
        }

    def url(self, book: str, password: str = PASSWORD) -> str:
        """Return where *book* is, with all that is needed."""
        return f"postgresql://{book}:{password}@localhost:{self._server.port}/{book}"

    @contextmanager
    def serving(self, **others: object):
        """Run the service; its log never shows the password."""
        place = {f"postgresql__{k}": v for k, v in (self.place | others).items()}
        flags = {"enabled": True, "store": "postgresql", **place}
        settings = {f"phonebook__{name}": value for name, value in flags.items()}
        secrets = ("--secrets-dir", str(self.secret.folder))
        with serving(*secrets, **settings, probes__cache_ttl=0) as service:
            yield service
            told = checked(service)
        assert PASSWORD not in f"{told}{service.written}"


@pytest.fixture
def connected(server, book, tmp_path, authority) -> Connected:
    found = Connected(server, book, tmp_path, authority)
    found.secret.swap(phonebook__postgresql__password=PASSWORD)
    return found


def checked(service: ServiceProcess) -> str:
    """Return what the readiness says of the store."""
    answer = httpx.get(f"{service.admin_url}/readyz?verbose", timeout=60)
    return str(answer.json()["checks"]["phonebook"])


def add(service: ServiceProcess, place: int) -> int:
    values = {"first_name": "Ann", "number": number(place)}
    return httpx.post(service.url + CONTACTS, json=values, timeout=60).status_code


def refused(service: ServiceProcess) -> str:
    """Return why the store is away, as the log has it too; requests get a 503."""
    answer = httpx.get(service.url + CONTACTS, timeout=60)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "server" not in answer.text.replace("/errors", "")
    (line,) = until(lambda: service.events("phonebook_store_is_away"))
    assert line["reason"] in checked(service)
    return str(line["reason"])


def test_server_of_the_own_authority_is_believed(connected):
    """`verify-full` with the CA's file and the password of a mounted Secret."""
    with connected.serving() as service:
        assert checked(service) == "ok"
        assert add(service, 1) == 201


def test_server_of_another_authority_is_refused(connected, tmp_path):
    """Nothing is sent to who can't prove what it is; the reason is told."""
    (tmp_path / "ca.crt").write_text(Authority("Somebody else's").pem)

    with connected.serving() as service:
        assert "certificate verify failed" in refused(service)


def test_authorities_of_the_system_are_believed_without_a_file(connected):
    """They know nothing of this server's."""
    with connected.serving(ca_file="") as service:
        assert "certificate verify failed" in refused(service)


def test_server_of_another_name_is_refused(connected):
    """The certificate is for `localhost`, and the settings say `127.0.0.1`."""
    with connected.serving(host="127.0.0.1") as service:
        assert "does not match host name" in refused(service)


def test_server_without_tls_is_never_spoken_to(connected):
    """The server insists on TLS too: a client that leaves it is refused."""
    with connected.serving(tls="disable", ca_file="") as service:
        assert "no encryption" in refused(service)


def test_password_that_is_mended_is_taken_up(connected):
    """A wrong one is told; the right one works without a restart."""
    connected.secret.swap(phonebook__postgresql__password="other")
    with connected.serving() as service:
        assert "password authentication failed" in refused(service)
        connected.secret.swap(phonebook__postgresql__password=PASSWORD)
        until(lambda: checked(service) == "ok", limit=LIMIT)

        assert add(service, 1) == 201


def test_password_that_is_rotated_is_shown_from_then_on(server, connected, book):
    """Old connections go on, new ones show the new password."""
    with connected.serving() as service:
        assert add(service, 1) == 201
        server.ask(f"ALTER ROLE {book} PASSWORD 'new-{PASSWORD}'")
        assert add(service, 2) == 201
        connected.secret.swap(phonebook__postgresql__password=f"new-{PASSWORD}")
        service.await_event("settings_reloaded")
        server.ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{book}'")  # fmt: skip  # noqa: E501 - a name of ours

        assert add(service, 3) == 201
        assert checked(service) == "ok"


def test_url_of_a_secret_is_all_that_is_needed(server, connected, book):
    """What it names wins over the other settings; TLS stays what they say."""
    url = connected.url(book)
    connected.secret.swap(phonebook__postgresql__url=url)
    others = {"host": "nowhere.invalid", "port": 1, "database": "none", "user": "none"}
    with connected.serving(**others) as service:
        assert checked(service) == "ok"
        assert add(service, 1) == 201


def test_url_that_leads_elsewhere_is_followed_by_every_connection(
    server, connected, book
):
    """No connection to the place of before is used once the URL has changed."""
    server.ask(f"CREATE DATABASE {book}_b OWNER {book}")
    connected.secret.swap(phonebook__postgresql__url=connected.url(book))
    with connected.serving() as service:
        assert add(service, 1) == 201
        other = connected.url(book) + "_b"
        # the other has no tables yet: a contact that were added would be in the first
        connected.secret.swap(phonebook__postgresql__url=other)
        service.await_event("settings_reloaded")

        assert add(service, 2) == 503
        assert "does not exist" in checked(service)


def test_url_that_is_none_is_told_without_its_password(connected):
    """libpq would repeat what it can't read."""
    url = f"postgresql://ann:{PASSWORD}%ZZ@localhost/book"
    connected.secret.swap(phonebook__postgresql__url=url)
    with connected.serving() as service:
        assert "phonebook.postgresql.url can't be read" in refused(service)
