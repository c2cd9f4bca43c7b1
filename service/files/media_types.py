"""
The media type of a file by its name, from a table of our own, and what a browser may do
with it.

The system's tables differ from machine to machine, and what a client said at the upload
is the word of a stranger. A browser that shows a page, a script or a drawing of our
origin runs what is in it as if it were ours: so whatever can be active is never shown,
only saved, and what is shown runs nothing.

Source: https://mimesniff.spec.whatwg.org, https://html.spec.whatwg.org/#sandboxing
"""

__all__ = ["CONTENT_POLICY", "UNKNOWN", "is_shown", "media_type_of"]

UNKNOWN = "application/octet-stream"

CONTENT_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; sandbox"
)
"""Content-Security-Policy of each file: nothing runs, loads, or has our origin."""

_SHOWN = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "flac": "audio/flac",
    "gif": "image/gif",
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "log": "text/plain; charset=utf-8",
    "m4a": "audio/mp4",
    "md": "text/markdown; charset=utf-8",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
"""What a browser may show by the end of the name: it holds nothing that could run."""

_SAVED = {
    "7z": "application/x-7z-compressed",
    "bz2": "application/x-bzip2",
    "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "gz": "application/gzip",
    "htm": "text/html; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "iso": "application/x-iso9660-image",
    "jar": "application/java-archive",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "mjs": "text/javascript; charset=utf-8",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "otf": "font/otf",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "toml": "application/toml",
    "ttf": "font/ttf",
    "vcf": "text/vcard; charset=utf-8",
    "wasm": "application/wasm",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
}
"""What is saved and never shown."""


def media_type_of(name: str) -> str:
    """Return the media type of a file of this name."""
    ending = _ending(name)
    return _SHOWN.get(ending) or _SAVED.get(ending, UNKNOWN)


def is_shown(name: str) -> bool:
    """Whether a browser may show a file of this name instead of saving it."""
    return _ending(name) in _SHOWN


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
