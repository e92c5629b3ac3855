"""What a transfer has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransferReport:
    """Names of files, relative to the folder; `bytes` that went over the network, and `seconds` of the whole call.

    `copied` were renamed: their content was there already. `ignored` are texts that say what was left out, and why.
    """

    uploaded: tuple[str, ...] = ()
    downloaded: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    bytes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        counted = {
            "uploaded": self.uploaded,
            "downloaded": self.downloaded,
            "copied": self.copied,
            "deleted": self.deleted,
            "unchanged": self.skipped,
            "ignored": self.ignored,
        }
        parts = [f"{len(names):,} {word}" for word, names in counted.items() if names]
        return f"{', '.join(parts) or 'no files'}; {size_text(self.bytes)} in {self.seconds:.1f} s"


def size_text(count: int) -> str:
    """12.3 MB, in powers of 1000 as disks are sold."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.0f} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
