"""Files become a context, or an error that says what is wrong with them."""

import datetime as dt
import socket
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from service.errors import StartError
from service.server.tls import load
from tests.support.certificates import (
    DAY,
    NOW,
    Authority,
    TlsMount,
    client_context,
)

AUTHORITY = Authority()


@pytest.fixture
def mount(tmp_path):
    return TlsMount(tmp_path / "tls", AUTHORITY.server(), ca=AUTHORITY.pem)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext):
    """Shake hands in memory; return both ends."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
    ]
    waiting = [1, 0]
    while waiting:
        for end in tuple(waiting):
            try:
                ends[end].do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return ends


def test_context_speaks_only_what_is_safe(mount):
    """TLS 1.2 with forward secrecy and AEAD, and 1.3; no compression, HTTP/1.1."""
    context = load(mount.settings()).context
    suites = {each["name"] for each in context.get_ciphers()}

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in suites)
    assert all("GCM" in name or "CHACHA20" in name for name in suites)
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_client_that_believes_the_authority_shakes_hands(mount, version):
    """The certificate is verified, the version is the client's, ALPN is HTTP/1.1."""
    client = client_context(AUTHORITY, maximum_version=ssl.TLSVersion[version])
    client.set_alpn_protocols(["h2", "http/1.1"])
    _, end = handshake(load(mount.settings()).context, client)

    assert end.version() == version.replace("_", ".")
    assert end.selected_alpn_protocol() == "http/1.1"
    assert end.compression() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("lowest", "offered"),
    [("1.2", "TLSv1"), ("1.2", "TLSv1_1"), ("1.3", "TLSv1_2")],
)
def test_version_below_the_lowest_is_refused(mount, lowest, offered):
    """Even when the client itself would take it."""
    client = client_context(AUTHORITY)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion[offered]
    with pytest.raises(ssl.SSLError, match=r"PROTOCOL|VERSION"):
        handshake(load(mount.settings(min_version=lowest)).context, client)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["RSA", "Ed25519", "P-384"],
)
def test_any_usual_key_is_taken(tmp_path, key):
    """Whatever cert-manager was told to make."""
    issued = AUTHORITY.issue("localhost", key=key)
    context = load(TlsMount(tmp_path, issued).settings()).context
    _, end = handshake(context, client_context(AUTHORITY))

    assert end.getpeercert()


def test_certificate_for_clients_alone_is_refused(tmp_path):
    """Clients would refuse it; better to say so at the start."""
    issued = AUTHORITY.issue("localhost", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    with pytest.raises(StartError, match=r"tls.crt: can't be used: .*purpose"):
        load(TlsMount(tmp_path, issued).settings())


def test_server_certificate_names_no_client(mount):
    """A certificate that is for servers alone lets nobody in."""
    issued = AUTHORITY.issue("a.test", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    server = load(mount.settings(client_auth="required")).context
    with pytest.raises(ssl.SSLError, match="CERTIFICATE"):
        handshake(server, client_context(AUTHORITY, issued))


def test_chain_is_sent_so_that_the_root_is_enough(tmp_path):
    """The authority between comes from the server."""
    issued = Authority("between", parent=AUTHORITY).server()
    context = load(TlsMount(tmp_path, issued).settings()).context
    _, end = handshake(context, client_context(AUTHORITY))

    assert end.getpeercert()["issuer"] == ((("commonName", "between"),),)


def test_facts_of_the_certificate_are_told(tmp_path):
    """Serial number, names, and the first end in each file."""
    first = NOW + 5 * DAY
    issued = Authority("between", parent=AUTHORITY, not_after=first).server()
    mount = TlsMount(tmp_path, issued, ca=AUTHORITY.pem)
    loaded = load(mount.settings(client_auth="optional"))

    assert loaded.serial == issued.serial
    assert loaded.names == ("127.0.0.1", "localhost")
    assert loaded.not_after["server"] == first.timestamp()
    assert loaded.not_after["client_ca"] > first.timestamp()
    assert loaded.context.certificate_pem in issued.cert
    assert loaded.warn_at == (NOW + 83 * DAY).timestamp()


def test_certificate_without_alternative_names_is_named_by_its_subject(tmp_path):
    """Old ones are like that; clients of today refuse them."""
    issued = AUTHORITY.issue(common_name="old.test")

    assert load(TlsMount(tmp_path, issued).settings()).names == ("CN=old.test",)


def test_short_lived_certificate_is_warned_of_in_its_last_fifth(tmp_path):
    """One of ten hours is no news before its last two."""
    hour = dt.timedelta(hours=1)
    issued = AUTHORITY.issue(
        "localhost", not_before=NOW - hour, not_after=NOW + 9 * hour
    )

    assert load(TlsMount(tmp_path, issued).settings()).warn_at == (
        (NOW + 7 * hour).timestamp()
    )


def mixed(issued, **parts):
    for name, value in parts.items():
        setattr(issued, name, value)
    return issued


BROKEN = {
    "no certificate file": (lambda: {"tls.key": "x"}, "can't read .*tls.crt: No such"),
    "no key file": (
        lambda: {"tls.crt": AUTHORITY.server().cert},
        "can't read .*tls.key: No such",
    ),
    "empty certificate": (
        lambda: {"tls.crt": "", "tls.key": ""},
        "tls.crt: holds no certificate",
    ),
    "half a certificate": (
        lambda: {
            "tls.crt": AUTHORITY.server().cert[:300],
            "tls.key": AUTHORITY.server().key,
        },
        "tls.crt: holds no certificate",
    ),
    "chain with rubbish": (
        lambda: {
            "tls.crt": AUTHORITY.server().cert
            + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "tls.key": AUTHORITY.server().key,
        },
        "tls.crt, .*tls.key: can't be used: ",
    ),
    "empty key": (
        lambda: {"tls.crt": AUTHORITY.server().cert, "tls.key": ""},
        "tls.key: can't be used",
    ),
    "key of another": (
        lambda: {"tls.crt": AUTHORITY.server().cert, "tls.key": AUTHORITY.server().key},
        "tls.key: is not the key of .*tls.crt",
    ),
    "encrypted key": (
        lambda: {
            "tls.crt": (issued := AUTHORITY.server()).cert,
            "tls.key": issued.encrypted_key,
        },
        "tls.key: is encrypted",
    ),
    "expired": (
        lambda: {
            "tls.crt": (issued := AUTHORITY.expired()).cert,
            "tls.key": issued.key,
        },
        f"tls.crt: expired on {NOW - DAY:%Y-%m-%d}T",
    ),
    "too large": (
        lambda: {"tls.crt": "x" * 1_048_577, "tls.key": ""},
        "tls.crt: is larger than 1048576 bytes",
    ),
}


@pytest.mark.parametrize(("files", "reason"), BROKEN.values(), ids=BROKEN)
def test_files_that_cant_be_used_are_named_with_the_reason(mount, files, reason):
    """The error stands in the log of a pod that does not start."""
    mount.swap(**files())
    with pytest.raises(StartError, match=reason):
        load(mount.settings())


@pytest.mark.parametrize("content", ["", "rubbish"])
def test_authorities_that_cant_be_read_are_refused_only_if_needed(mount, content):
    """Without client certificates nobody reads them."""
    mount.rotate(AUTHORITY.server(), ca=content)

    assert "client_ca" not in load(mount.settings()).not_after
    with pytest.raises(StartError, match=r"ca.crt: holds no certificate"):
        load(mount.settings(client_auth="required"))


def test_what_works_and_should_not_be_is_warned_of(tmp_path):
    """A key for everybody, a chain out of order, authorities that are expired."""
    old = Authority("old", not_after=NOW - DAY)
    issued = mixed(AUTHORITY.issue("localhost", not_before=NOW + DAY))
    issued.cert += AUTHORITY.pem + old.pem
    mount = TlsMount(tmp_path, issued, ca=AUTHORITY.pem + old.pem)
    warnings = load(mount.settings(client_auth="optional")).warnings

    assert [each.removeprefix(f"{tmp_path}/") for each in warnings] == [
        "tls.key: may be read by everybody",
        f"tls.crt: is not valid before {NOW + DAY:%Y-%m-%dT%H:%M:%S}+00:00",
        "tls.crt: the chain is not in order",
        "tls.crt: CN=old is expired",
        "ca.crt: CN=old is expired",
    ]


def test_key_for_nobody_else_is_not_warned_of(mount):
    """As the chart mounts it."""
    (mount.folder / "tls.key").resolve().chmod(0o640)

    assert load(mount.settings()).warnings == ()


@pytest.mark.parametrize(
    ("wanted", "shown", "works"),
    [
        ("none", None, True),
        ("optional", None, True),
        ("optional", "good", True),
        ("optional", "stranger", False),
        ("required", None, False),
        ("required", "good", True),
        ("required", "stranger", False),
        ("required", "expired", False),
    ],
)
def test_client_certificate_is_asked_for_and_verified(mount, wanted, shown, works):
    """By the authorities of the file and the dates; optional may be left out."""
    issued = {
        None: None,
        "good": AUTHORITY.issue("client.test"),
        "stranger": Authority("other").issue("client.test"),
        "expired": AUTHORITY.expired("client.test"),
    }[shown]
    server = load(mount.settings(client_auth=wanted)).context
    client = client_context(AUTHORITY, issued)
    if works:
        end, _ = handshake(server, client)

        assert bool(end.getpeercert()) == (shown is not None and wanted != "none")
    else:
        with pytest.raises(ssl.SSLError, match="CERTIFICATE"):
            handshake(server, client)


def test_intermediate_authority_alone_is_believed(mount):
    """Whoever stands in the file is; its own root needs not."""
    between = Authority("between", parent=AUTHORITY)
    mount.rotate(AUTHORITY.server(), ca=between.pem)
    server = load(mount.settings(client_auth="required")).context
    end, _ = handshake(server, client_context(AUTHORITY, between.issue("a.test")))

    assert end.getpeercert()
    with pytest.raises(ssl.SSLError, match="CERTIFICATE"):
        handshake(server, client_context(AUTHORITY, AUTHORITY.issue("b.test")))


def test_session_of_an_old_context_is_not_taken_up(mount):
    """Authorities that are gone let nobody in by a session of before."""
    client = client_context(AUTHORITY, maximum_version=ssl.TLSVersion.TLSv1_2)
    before = load(mount.settings()).context
    _, end = handshake(before, client)
    resumed = []
    for server in (before, load(mount.settings()).context):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        second = client.wrap_bio(
            to_client, to_server, server_hostname="localhost", session=end.session
        )
        other = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (second, other, second, other, second):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        resumed.append(second.session_reused)

    assert resumed == [True, False]


async def test_listener_of_asyncio_serves_with_it(mount):
    """The context is one that any server takes."""
    import asyncio

    closed = asyncio.Event()

    async def answer(_reader, writer):
        writer.write(b"hello")
        writer.close()
        try:
            await writer.wait_closed()
        finally:
            closed.set()

    server = await asyncio.start_server(
        answer, "127.0.0.1", 0, ssl=load(mount.settings()).context
    )
    async with server:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_context(AUTHORITY)
        )

        assert await reader.read() == b"hello"
        writer.close()
        await closed.wait()


def test_plain_client_does_not_shake_hands(mount):
    """What is no TLS is an error of TLS and nothing worse."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"GET / HTTP/1.1\r\n\r\n")
        context = load(mount.settings()).context
        with pytest.raises(ssl.SSLError, match=r"HTTP_REQUEST|WRONG_VERSION"):
            context.wrap_socket(right, server_side=True)
