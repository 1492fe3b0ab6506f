"""The file: JSON lines, gzipped if wanted, written and read as a stream.

::

    {"format": "sitefleet.site", "version": 1, "site": {...}, "models": {...}, ...}
    {"ref": "auth.User", "pk": 5, "key": ["anna"], ...}     shared, and referred to below
    {"row": "rooms.Room", "values": [1, "Hall", 5]}         in the order of "models"
    {"file": "photos/hall.jpg", "storage": "default", "size": 3}
    {"data": "AAEC"}                                        base64
    {"sha256": "..."}
    {"end": {"rows": 1, "files": 1}}
    {"digest": "sha256 of all lines before"}

Without the last two lines a file is not whole. A reader trusts nothing: lines have a length that
they may not exceed, and gzip a ratio.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from typing import IO, TYPE_CHECKING, Any

from sitefleet.exceptions import TransferRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT, VERSION = "sitefleet.site", 1
#: Bytes of a line, at most. A row with larger values cannot be exported.
LINE = 64 * 2**20
#: Bytes of a file in one line; a multiple of three, so that base64 needs no padding inside.
CHUNK = 96 * 1024
#: Text is seldom packed to less than a fiftieth; what claims more is a bomb.
RATIO, RATIO_FROM = 400, 64 * 2**20
#: Bytes of the name of a file or folder, which file systems have as their limit, and how many of
#: these a path may have.
NAME, FOLDERS = 255, 64
GZIP = b"\x1f\x8b"

Record = dict[str, Any]


def write(records: Iterable[Record], stream: IO[bytes], *, packed: bool = False) -> None:
    """Write records to a stream, which stays open. Raises TransferRefused for a row too long."""
    out: Any = gzip.GzipFile("", "wb", 6, stream, mtime=0) if packed else stream
    digest = hashlib.sha256()
    for record in records:
        line = _line(record)
        if len(line) > LINE:
            message = (
                f"A row of {record.get('row')} is longer than {LINE} bytes: exclude its model."
            )
            raise TransferRefused(message)
        digest.update(line)
        out.write(line)
    out.write(_line({"digest": digest.hexdigest()}))
    if packed:
        out.close()
    stream.flush()


def _line(record: Record) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def read(stream: IO[bytes]) -> Iterator[Record]:
    """Yield the records of a stream. Raises TransferRefused where it is not whole, or no export."""
    digest = hashlib.sha256()
    lines = _lines(stream)
    for number, line in enumerate(lines, 1):
        record = _record(line, number)
        if number == 1:
            _look_at_header(record)
        _look_at_shape(record, number)
        if "digest" in record:
            if record["digest"] != digest.hexdigest() or next(lines, None) is not None:
                message = "The file was changed on its way: its digest is another one."
                raise TransferRefused(message)
            return
        digest.update(line)
        yield record
    message = "The file is not whole: its end is missing."
    raise TransferRefused(message)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    source = _Unpacked(stream)
    try:
        while line := source.readline(LINE + 1):
            if len(line) > LINE:
                message = f"A line is longer than {LINE} bytes."
                raise TransferRefused(message)
            yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = "The file is not whole: it cannot be unpacked."
        raise TransferRefused(message) from error


def _record(line: bytes, number: int) -> Record:
    try:
        record = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not line.endswith(b"\n"):
        message = f"Line {number} is none of an exported site, or not whole."
        raise TransferRefused(message)
    return record


def _look_at_header(record: Record) -> None:
    if record.get("format") != FORMAT:
        message = "This is no exported site: `manage.py sites export SITE FILE` writes one."
        raise TransferRefused(message)
    if record.get("version") != VERSION:
        message = (
            f"The file has version {record.get('version')!r} of the format, and this sitefleet"
            f" reads {VERSION}: update the older one of both."
        )
        raise TransferRefused(message)


def _look_at_shape(record: Record, number: int) -> None:
    """Refuse what would break those that read it, so that they need not look at it again."""
    good = True
    if "ref" in record:
        good = _is_reference(record)
    elif "file" in record:
        good = _is_name(record["file"])
    if not good:
        message = f"Line {number} is not as an export has it."
        raise TransferRefused(message)


def _is_reference(record: Any, depth: int = 2) -> bool:
    if not isinstance(record, dict) or depth == 0:
        return False
    key, people = record.get("key") or [], record.get("people") or {}
    return (
        isinstance(key, list)
        and all(isinstance(part, str) and is_text(part) for part in key)
        and is_text(record.get("email") or "")
        and isinstance(people, dict)
        and all(_is_reference(person, depth - 1) for person in people.values())
    )


def is_text(value: Any) -> bool:
    """Tell whether a value is a text that a database takes."""
    try:
        return isinstance(value, str) and "\0" not in value and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


def _is_name(name: Any) -> bool:
    """Tell whether files may have a name; a storage asks whether they may be there."""
    if not isinstance(name, str):
        return False
    parts = name.encode("utf-8", "surrogatepass").split(b"/")
    return len(parts) <= FOLDERS and all(len(part) <= NAME for part in parts)


class _Counted:
    """A stream that counts what is read from it."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        self.stream, self.head, self.count = stream, head, 0

    def read(self, size: int = -1) -> bytes:
        if self.head:
            data, self.head = self.head, b""
        else:
            data = self.stream.read(size)
        self.count += len(data)
        return data


class _Unpacked:
    """The lines of a stream, unpacked where it is packed."""

    def __init__(self, stream: IO[bytes]) -> None:
        head = stream.read(len(GZIP))
        self.counted = _Counted(stream, head)
        self.packed = head == GZIP
        self.source: Any = gzip.GzipFile(fileobj=self.counted) if self.packed else None  # type: ignore[call-overload]
        self.plain = stream
        self.head = head
        self.count = 0

    def readline(self, size: int) -> bytes:
        if not self.packed:
            head, self.head = self.head, b""
            if head.endswith(b"\n"):
                return head
            return head + self.plain.readline(size)
        line: bytes = self.source.readline(size)
        self.count += len(line)
        if self.count > RATIO_FROM and self.count > RATIO * self.counted.count:
            message = f"The file unpacks to more than {RATIO} times its size: it is refused."
            raise TransferRefused(message)
        return line
