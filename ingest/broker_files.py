"""The folder that ingest shares with a mosquitto on its machine.

- `services.passwords`: lines of ingest itself and of other services, by who sets the broker up.
- `passwords`: the services' lines and then one for each tracker, by ingest. mosquitto has a plugin
  (`stack/broker_plugin.c`) that reads it, and reads it again once another one is in its place.

A line is `user:hash`. A user that begins with `trk_` is a tracker; no service is called so.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

SERVICE_PASSWORDS, PASSWORDS = "services.passwords", "passwords"
TRACKER_PREFIX = "trk_"


class BrokerFilesError(Exception):
    """The folder is not as it must be, or we may not do what is needed."""


def password_lines(services: str, trackers: Iterable[str]) -> str:
    """The text of `passwords`: the services' lines without any tracker, then `trackers`."""
    kept = [line for line in services.splitlines() if line and not _is_tracker(line)]
    return "".join(f"{line}\n" for line in (*kept, *trackers))


def tracker_lines(passwords: str) -> list[str]:
    """The trackers' lines of a text of `passwords`."""
    return [line for line in passwords.splitlines() if _is_tracker(line)]


class BrokerFiles:
    """The folder, as ingest uses it. All methods raise BrokerFilesError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._passwords = folder / PASSWORDS

    def services(self) -> str:
        """The text of `services.passwords`."""
        try:
            return (self.folder / SERVICE_PASSWORDS).read_text("utf-8", "replace")
        except OSError as error:
            raise _trouble(self.folder / SERVICE_PASSWORDS, "read", error) from error

    def passwords(self) -> str:
        """The text of `passwords`; empty where there is none."""
        try:
            return self._passwords.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise _trouble(self._passwords, "read", error) from error

    def stamp(self) -> tuple[int, ...] | None:
        """Changes when someone writes or replaces either file; None where one is missing."""
        try:
            found = [path.stat() for path in (self.folder / SERVICE_PASSWORDS, self._passwords)]
        except OSError:
            return None
        return tuple(n for one in found for n in (one.st_ino, one.st_size, one.st_mtime_ns))

    def write_passwords(self, text: str) -> None:
        """Beside, then renamed: the broker reads the old text or the new one, never a part.

        It gets the owner and the mode of `services.passwords`, which the broker can read.
        """
        try:
            like = (self.folder / SERVICE_PASSWORDS).stat()
            # A name of its own: a standby may be writing too.
            handle, partial = tempfile.mkstemp(prefix=f"{PASSWORDS}.new.", dir=self.folder)
            try:
                with os.fdopen(handle, "w") as file:
                    if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(file.fileno(), like.st_uid, like.st_gid)
                    os.fchmod(file.fileno(), like.st_mode & 0o640)
                    file.write(text)
                os.replace(partial, self._passwords)
            except BaseException:
                os.unlink(partial)
                raise
        except OSError as error:
            raise _trouble(self._passwords, "write", error) from error


def _is_tracker(line: str) -> bool:
    return line.startswith(TRACKER_PREFIX)


def _trouble(path: Path, what: str, error: OSError) -> BrokerFilesError:
    return BrokerFilesError(f"cannot {what} {path}: {error.strerror or error}")
