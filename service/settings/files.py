"""Settings of the file server."""

from typing import Literal

from pydantic import Field

from service.settings.fields import Bytes, Section, live

__all__ = ["FileSettings"]


class FileSettings(Section):
    """`/files/…`: files, served in parts, uploaded whole or never."""

    enabled: bool = Field(False, description="Serve files.")
    root: str = Field(
        "files",
        description="Directory of the files, made when it is missing. Nothing outside "
        "of it is ever read or written.",
        min_length=1,
    )
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
