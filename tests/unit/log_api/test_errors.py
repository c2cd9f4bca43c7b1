"""A failure comes out of the network as what went in, and tells nothing besides."""

import grpc
import pytest
from google.rpc.error_details_pb2 import LocalizedMessage, RetryInfo
from grpc_status import rpc_status

from service.commitlog import errors
from service.log_api.errors import CallRefused, Reason, error_of, status_of
from service.log_api.texts import LANGUAGES

OF_LOG = {
    errors.OffsetOutOfRange(7, lowest=2, next_offset=5): "OUT_OF_RANGE",
    errors.RecordTooLarge("secret"): "RESOURCE_EXHAUSTED",
    errors.LogBusy("secret"): "RESOURCE_EXHAUSTED",
    errors.LogUnreachable("secret"): "UNAVAILABLE",
    errors.LogFull("secret"): "RESOURCE_EXHAUSTED",
    errors.WritesRefused("secret"): "UNAVAILABLE",
    errors.OutcomeUnknown("secret"): "UNAVAILABLE",
    errors.LogClosed("secret"): "UNAVAILABLE",
    errors.LogDamaged("/secret", 1, "secret"): "DATA_LOSS",
}


class Failed(grpc.RpcError):
    """What a call raises that was answered with a status."""

    def __init__(self, status):
        sent = rpc_status.to_status(status)
        self.code = lambda: sent.code
        self.details = lambda: sent.details
        self.trailing_metadata = lambda: sent.trailing_metadata


def details_of(status, kind):
    found = kind()
    assert any(each.Unpack(found) for each in status.details)
    return found


@pytest.mark.parametrize("error", OF_LOG, ids=lambda each: type(each).__name__)
def test_failure_of_a_log_is_the_same_class_behind_the_network(error):
    """By its reason; no text of the log's own goes to clients, which may name files."""
    status = status_of(error)
    back = error_of(Failed(status))

    assert rpc_status.to_status(status).code.name == OF_LOG[error]
    assert type(back) is type(error)
    assert "secret" not in str(status)


def test_offset_out_of_range_keeps_its_offsets():
    """A client reads where the log begins and ends."""
    error = errors.OffsetOutOfRange(7, lowest=2, next_offset=5)
    back = error_of(Failed(status_of(error)))

    assert (back.offset, back.lowest, back.next_offset) == (7, 2, 5)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_code_and_a_sentence_in_every_language(reason):
    """No key is forgotten, and no placeholder is without its value."""
    about = {"request_id": "r", "offset": "1", "lowest": "1", "next": "1"}
    for language, (locale, _) in LANGUAGES.items():
        error = CallRefused(reason, "why", about=about)
        status = status_of(error, accept_language=language)
        told = details_of(status, LocalizedMessage)

        assert told.locale == locale
        assert told.message
        assert "{" not in told.message
        assert status.code


def test_call_that_is_refused_keeps_reason_and_wait():
    """What only the service raises."""
    refused = CallRefused(Reason.RATE_LIMITED, retry_after=1.5, about={"a": "b"})
    status = status_of(refused)
    back = error_of(Failed(status))

    assert details_of(status, RetryInfo).retry_delay.ToMilliseconds() == 1500
    assert (back.reason, back.retry_after) == (Reason.RATE_LIMITED, 1.5)
    assert back.about == {"a": "b"}


def test_status_of_somebody_else_is_nobodys_error():
    """The network's own UNAVAILABLE is no failure of the service."""
    failure = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
    )

    assert error_of(failure) is None


def test_reason_of_a_newer_service_is_told():
    """An old client says what it does not know."""
    status = status_of(CallRefused(Reason.STOPPING))
    status.details[0].value = status.details[0].value.replace(b"STOPPING", b"RESTING_")
    back = error_of(Failed(status))

    assert isinstance(back, CallRefused)
    assert "RESTING_" in str(back)


@pytest.mark.parametrize(
    ("accept", "locale"),
    [
        ("", "en-US"),
        ("zh", "zh-CN"),
        ("zh-TW;q=0.3, ko;q=0.4", "ko-KR"),
        ("de", "en-US"),
        ("zh;q=0", "en-US"),
        ("zh;q=nan", "en-US"),
        (",;=" * 1000 + "zh", "en-US"),
    ],
    ids=["none", "one", "quality", "unknown", "refused", "no number", "long"],
)
def test_language_is_the_one_that_the_caller_prefers(accept, locale):
    """As HTTP does it; English is what is left."""
    status = status_of(CallRefused(Reason.STOPPING), accept_language=accept)

    assert details_of(status, LocalizedMessage).locale == locale
