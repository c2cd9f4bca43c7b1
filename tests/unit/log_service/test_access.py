"""Callers by what they prove, and what that lets them do."""

from types import SimpleNamespace

import pytest

from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Action, ListedAccess, OpenAccess, address_of
from service.settings.log_service import LogServiceSettings

TOKENS = {"app": "x" * 16, "other": "y" * 16}


def call(peer="ipv4:192.0.2.1:5000", metadata=(), **proved):
    return SimpleNamespace(
        peer=lambda: peer,
        invocation_metadata=lambda: metadata,
        auth_context=lambda: {
            f"x509_{name}": values for name, values in proved.items()
        },
    )


def bearer(token, scheme="Bearer"):
    return call(metadata=(("authorization", f"{scheme} {token}"),))


def listed(**permissions):
    settings = LogServiceSettings(
        access="listed", tokens=TOKENS, permissions=permissions
    )
    return ListedAccess(lambda: settings)


def reason_of(work):
    with pytest.raises(CallRefused) as caught:
        work()
    return caught.value.reason


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:5000", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:5000", "2001:db8::1"),
        ("ipv6:[::1]:5000", "::1"),
        ("unix:", "unix"),
        ("", ""),
    ],
)
def test_address_is_without_its_port(peer, address):
    """As gRPC writes it, brackets encoded or not."""
    assert address_of(call(peer)) == address


def test_certificate_gives_all_its_names():
    """Common name first, then the alternative ones, none twice."""
    names = {
        "common_name": [b"app"],
        "subject_alternative_name": [b"spiffe://x/app", b"app", b""],
    }
    caller = OpenAccess().identify(call(**names))

    assert caller.subjects == ("app", "spiffe://x/app")
    assert caller.name == "app"


def test_name_that_grpc_can_not_read_is_none():
    """It would be the same for all clients whose names are of another kind."""
    call_ = call(subject_alternative_name=[b"other types of SAN"])

    assert OpenAccess().identify(call_).name == "192.0.2.1"
    assert reason_of(lambda: listed().identify(call_)) is Reason.UNAUTHENTICATED


def test_caller_without_proof_is_an_address():
    """Its limits are counted under that."""
    assert OpenAccess().identify(call()).name == "192.0.2.1"


def test_token_stands_for_its_subject():
    """Of several the right one, whatever the case of the scheme."""
    access = listed(other={"produce": ["records"]})
    caller = access.identify(bearer("y" * 16, scheme="bearer"))
    access.allow(caller, "records", Action.PRODUCE)

    assert caller.subjects == ("other",)
    assert (
        reason_of(lambda: access.allow(caller, "records", Action.CONSUME))
        is Reason.PERMISSION_DENIED
    )
    assert (
        reason_of(lambda: access.allow(caller, "others", Action.PRODUCE))
        is Reason.PERMISSION_DENIED
    )


@pytest.mark.parametrize(
    "context",
    [call(), bearer(""), bearer("z" * 16), bearer("x" * 16, scheme="Basic")],
    ids=["nothing", "empty", "wrong", "scheme"],
)
def test_caller_whom_nobody_knows_is_unauthenticated(context):
    """Permissions are not looked at."""
    access = listed(app={"produce": ["*"]})

    assert reason_of(lambda: access.identify(context)) is Reason.UNAUTHENTICATED


def test_star_is_every_stream_and_one_action_of_several_is_enough():
    """GetOffsets is for producers and consumers."""
    access = listed(app={"consume": ["*"]})
    caller = access.identify(bearer("x" * 16))

    access.allow(caller, "anything", Action.PRODUCE, Action.CONSUME)


def test_wrong_certificate_name_gives_nothing():
    """A name that is listed for nobody."""
    access = listed(app={"produce": ["*"]})
    caller = access.identify(call(common_name=[b"nobody"]))

    assert (
        reason_of(lambda: access.allow(caller, "records", Action.PRODUCE))
        is Reason.PERMISSION_DENIED
    )
