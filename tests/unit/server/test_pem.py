"""Certificates are described as a library for certificates describes them."""

import pytest
from cryptography import x509

from service.errors import StartError
from service.server.pem import authority, blocks
from tests.support.certificates import DAY, NOW, Authority


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "Company, Inc.",
        'a "b" <c>; d=e+f\\g',
        "#hash",
        " space ",
        "# both ",
        "Zürich",
        "a\nb",
    ],
)
def test_authority_is_described(name, tmp_path):
    """Name, number and dates, with what RFC 4514 escapes."""
    made = Authority(name, not_after=NOW + DAY)
    told = authority(made.pem, path=tmp_path)
    expected = x509.load_pem_x509_certificate(made.pem.encode())

    assert told.subject == told.issuer == expected.subject.rfc4514_string()
    assert told.serial == f"{expected.serial_number:x}"
    assert told.not_before == expected.not_valid_before_utc.timestamp()
    assert told.not_after == (NOW + DAY).timestamp()
    assert told.names == ()


def test_certificate_of_nobody_who_signs_is_no_authority(tmp_path):
    """Nothing is told of it."""
    issued = Authority().issue("a.test")

    assert authority(issued.cert, path=tmp_path) is None


def test_block_that_is_no_certificate_is_refused(tmp_path):
    """It has the form and not the content."""
    text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    with pytest.raises(StartError, match="holds a certificate that can't be read"):
        authority(text, path=tmp_path)


def test_blocks_are_found_among_whatever_else_there_is(tmp_path):
    """Comments, keys and bytes that are no text are passed over."""
    first, second = Authority("a").pem, Authority("b").pem
    file = tmp_path / "ca.crt"
    file.write_bytes(b"\xff # a\n" + first.encode() + b"subject=b\n" + second.encode())

    assert blocks(file) == [first.strip(), second.strip()]
