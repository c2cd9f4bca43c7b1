"""Settings of the file server."""

from typing import Literal

from pydantic import Field, SecretStr

from service.settings.fields import Bytes, HttpUrl, Seconds, Section, live

__all__ = ["FileSettings", "S3Settings"]


class S3Settings(Section):
    """Where the files are, with `files.store: s3`."""

    bucket: str = Field(
        "files",
        description="Bucket of the files; it must be there.",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    prefix: str = Field(
        "",
        description="Begin of all keys, such as `team/files/`; the rest of the bucket "
        "is left alone.",
        pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*/)*$",
        max_length=256,
    )
    endpoint: HttpUrl | None = Field(
        None,
        description="URL of the object store; that of AWS for the region without. With "
        "`https` its certificate is verified, always.",
    )
    region: str = Field(
        "us-east-1",
        description="Region that requests are signed for.",
        pattern=r"^[a-z0-9-]+$",
    )
    addressing: Literal["path", "virtual"] = Field(
        "path",
        description="Where the bucket is named: in the path of URLs, or as their host.",
    )
    ca_file: str = Field(
        "", description="Authorities that are believed, PEM; well-known ones without."
    )
    access_key_id: SecretStr | None = live(
        None,
        "Access key. Without one, credentials are looked for as AWS's clients do: in "
        "the environment, by web identity (IRSA), from the container or the machine.",
    )
    secret_access_key: SecretStr | None = live(None, "Secret of the access key.")
    session_token: SecretStr | None = live(None, "Token of temporary credentials.")
    connect_timeout: Seconds = Field(
        2.0, description="Seconds to wait for a connection.", gt=0
    )
    read_timeout: Seconds = Field(
        10.0, description="Seconds to wait for the next bytes of an answer.", gt=0
    )
    time_limit: Seconds = Field(
        30.0,
        description="Seconds that a request may take with its three attempts, a part "
        "of a file may be in it; 503 after them.",
        gt=0,
    )


class FileSettings(Section):
    """`/files/…`: files, served in parts, uploaded whole or never."""

    enabled: bool = Field(False, description="Serve files.")
    root: str = Field(
        "files",
        description="Directory of the files, made when it is missing. Nothing outside "
        "of it is ever read or written.",
        min_length=1,
    )
    store: Literal["disk", "s3"] = Field(
        "disk",
        description="Where the files are: in the root, or in an S3-compatible object "
        "store; then only uploads that wait to be resumed are in the root.",
    )
    s3: S3Settings = S3Settings()
    writers: Literal["anyone", "users", "nobody"] = live(
        "anyone",
        "Who may upload and delete: anyone who reaches the port, users who are logged "
        "in, or nobody.",
    )
    max_upload_bytes: Bytes = live(
        10_000_000_000, "Largest file that is taken, in bytes; 413 above it.", gt=0
    )
    quota_bytes: Bytes = live(
        0, "Bytes that all files together may take; 507 above it, 0 for any number."
    )
    quota_files: int = live(
        0, "Files that there may be; 507 above it, 0 for any number.", ge=0
    )
    max_stopped_uploads: int = live(
        1000, "Uploads that may wait to be resumed; 507 above it.", ge=1, le=1_000_000
    )
    stopped_upload_ttl: float = live(
        86_400.0,
        "Seconds that an upload which was stopped can be resumed; then it is removed.",
        gt=0,
        le=2_592_000,
    )
