"""The files that a running ``opsc up`` leaves in its data folder for other commands on the same
machine.

- ``lock``: held (flock) as long as it runs, so also free after a kill -9.
- ``secrets.json``: made once and kept, since stored webhook secrets hang on it.
- ``stack.json``: where everything listens, and the logins; there while the system is ready.
- ``restoring``: there from the beginning of an ``opsc restore`` until its data is whole.

All of them are readable by their owner only.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from db.core.secrets import new_secret_key
from db.maintenance.migrate import ROLES
from stack.errors import StackError

DEFAULT_DATA_DIR = Path("var")
SECRETS = "secrets.json"
RESTORING = "restoring"
SETTINGS_FOLDER = Path("/etc/ops-companion")  # of a server after docs/install.md
# What may lie in a data folder before its secrets do: `make` and a first start that was cut short.
MAY_BE_FIRST = {"lock", "log", "mail", "servers", "tls", "bench", "fresh", "lost+found"} | {
    f"{name}.new" for name in (SECRETS, RESTORING)
}


class AlreadyRunning(StackError):
    """Another ``opsc up`` holds the data folder."""


class NotRunning(StackError):
    """No ``opsc up`` runs on the data folder."""


class Secrets(msgspec.Struct, frozen=True):
    """Kept from run to run."""

    secret_key: str  # OPSC_SECRET_KEY: one key, or several with commas between
    role_passwords: dict[str, str]


class PartInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of the system; ``pid`` is ``None`` for a server that we did not start."""

    address: str
    pid: int | None = None
    metrics_url: str | None = None


class StackInfo(msgspec.Struct, frozen=True):
    """The addresses of a running system and the logins to its database, by role."""

    pid: int
    data_dir: str
    api_url: str
    broker_url: str  # where devices connect: the listener
    database: dict[str, str]
    secret_key: str
    parts: dict[str, PartInfo]
    certificate: str | None = None  # of the API and of the listener's TLS port, where there is one
    broker_tls_url: str | None = None
    ingest_url: str | None = None  # where devices send by HTTP


def make_data_dir(data_dir: Path, *, restores: bool = False) -> Path:
    """Make the folder if need be; the servers' user has to walk through it.

    Raises StackError for a folder that is not ours, or that we cannot write, and, but for what
    restores, for one with a restore that has not ended.
    """
    data_dir = data_dir.resolve()
    try:
        if not data_dir.exists():
            data_dir.mkdir(parents=True)
            data_dir.chmod(0o755)
    except OSError as error:
        raise StackError(f"cannot make the data folder {data_dir}: {error.strerror}") from error
    check_data_dir(data_dir, restores=restores)
    return data_dir


def check_data_dir(data_dir: Path, *, restores: bool = False) -> None:
    """Raise StackError as `make_data_dir` does."""
    if not data_dir.is_dir():
        raise StackError(f"{data_dir} is a file; --data must name a folder")
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise StackError(f"the data folder {data_dir} cannot be written by {_user(os.geteuid())}")
    if names := _foreign_names(data_dir):
        raise StackError(
            f"{data_dir} has files that are not of opsc"
            f" ({', '.join(names[:3])}{', ...' * (len(names) > 3)});"
            f" --data must name a folder for opsc alone, such as {data_dir / 'opsc'}"
        )
    if not restores and (data_dir / RESTORING).exists():
        raise StackError(
            f"a restore into {data_dir} has not ended: if none is running, do it again with"
            f" `opsc restore BACKUP --data {data_dir}`, or delete the folder, which has no data yet"
        )


def begin_restore(data_dir: Path) -> None:
    """Mark a folder without data, in which a backup is going to be restored."""
    _write_private(data_dir / RESTORING, b"by opsc restore, which has not ended\n")
    _flush(data_dir)


def end_restore(data_dir: Path) -> None:
    """Remove the mark: all data is there."""
    (data_dir / RESTORING).unlink()
    _flush(data_dir)


def _flush(folder: Path) -> None:
    """Have on the disk which files a folder has."""
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def _foreign_names(data_dir: Path) -> list[str]:
    """Return what lies in the folder and shows that it is not ours."""
    if any((data_dir / name).exists() for name in (SECRETS, RESTORING)):
        return []
    may_be_first = MAY_BE_FIRST | ({"postgres"} if _is_without_cluster(data_dir) else set())
    return sorted({path.name for path in data_dir.iterdir()} - may_be_first)


def _is_without_cluster(data_dir: Path) -> bool:
    """Return whether a disk of the database's own is mounted that holds nothing yet, before the
    first start.
    """
    return not (data_dir / "postgres" / "cluster").exists()


def _user(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"


@contextmanager
def sole_owner(data_dir: Path) -> Iterator[None]:
    """Hold the data folder; ``AlreadyRunning`` where another process does."""
    with _lock_file(data_dir) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"opsc up is already running on {data_dir}{_whose(data_dir)}; end it with Ctrl-C"
                " where it runs, or use another folder with --data"
            ) from None
        forget_stack(data_dir)
        try:
            yield
        finally:
            forget_stack(data_dir)


def _lock_file(data_dir: Path) -> BinaryIO:
    path = data_dir / "lock"
    try:
        return _private_file(path, os.O_WRONLY | os.O_CREAT)
    except PermissionError:
        raise StackError(_of_another_user(data_dir, path)) from None


def _of_another_user(data_dir: Path, path: Path) -> str:
    owner = _user(path.stat().st_uid)
    return f"the data folder {data_dir} belongs to {owner}: run opsc as that user"


def load_secrets(data_dir: Path) -> Secrets:
    """Return the secrets of this data folder; what is missing is made."""
    known = _known_secrets(data_dir)
    if known is None:
        known = Secrets(secret_key=new_secret_key(), role_passwords={})
    passwords = {role: secrets.token_urlsafe(24) for role in ROLES} | known.role_passwords
    complete = msgspec.structs.replace(known, role_passwords=passwords)
    if complete != known:
        _write_secrets(data_dir, complete)
    return complete


def known_secret_key(data_dir: Path) -> str | None:
    """Read OPSC_SECRET_KEY of this data folder; ``None`` where none was made yet."""
    known = _known_secrets(data_dir)
    return None if known is None else known.secret_key


def keep_secret_key(data_dir: Path, secret_key: str) -> None:
    """Store the key with which the system on this data folder goes on."""
    _write_secrets(data_dir, msgspec.structs.replace(load_secrets(data_dir), secret_key=secret_key))


def _known_secrets(data_dir: Path) -> Secrets | None:
    try:
        return msgspec.json.decode((data_dir / SECRETS).read_bytes(), type=Secrets)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise StackError(_of_another_user(data_dir, data_dir / SECRETS)) from None


def _write_secrets(data_dir: Path, known: Secrets) -> None:
    _write_private(data_dir / SECRETS, msgspec.json.format(msgspec.json.encode(known)))


def write_stack(info: StackInfo) -> None:
    _write_private(
        Path(info.data_dir) / "stack.json", msgspec.json.format(msgspec.json.encode(info))
    )


def forget_stack(data_dir: Path) -> None:
    (data_dir / "stack.json").unlink(missing_ok=True)


def read_stack(data_dir: Path = DEFAULT_DATA_DIR) -> StackInfo:
    """Read what runs on this data folder."""
    data_dir = data_dir.resolve()
    try:
        if data_dir.is_dir() and _foreign_names(data_dir):
            hint = "it is no data folder of opsc: name that of the running system with --data"
            raise _nothing_runs(data_dir, hint)
        with (data_dir / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise _nothing_runs(data_dir) from None
    except PermissionError:
        raise StackError(_of_another_user(data_dir, data_dir)) from None
    else:
        raise _nothing_runs(data_dir)
    try:
        return msgspec.json.decode((data_dir / "stack.json").read_bytes(), type=StackInfo)
    except FileNotFoundError:
        raise NotRunning(f"the system on {data_dir} is still starting") from None


def has_settings_files() -> bool:
    """Return whether settings of units are on this machine, as far as this user may see."""
    try:
        return any(path.suffix == ".env" for path in SETTINGS_FOLDER.iterdir())
    except PermissionError:
        return True  # it is for root, as docs/install.md makes it
    except (FileNotFoundError, NotADirectoryError):
        return False


def _nothing_runs(data_dir: Path, hint: str | None = None) -> NotRunning:
    hint = hint or f"start it with `opsc up --data {data_dir}`, or name its folder with --data"
    if has_settings_files():
        hint = (
            f"on this machine the roles have their settings in {SETTINGS_FOLDER}: `opsc status`"
            " shows them, and other commands take OPSC_DATABASE_URL, as docs/install.md says"
        )
    return NotRunning(f"nothing runs on {data_dir}; {hint}")


def _whose(data_dir: Path) -> str:
    try:
        info = msgspec.json.decode((data_dir / "stack.json").read_bytes(), type=StackInfo)
    except (FileNotFoundError, msgspec.ValidationError, msgspec.DecodeError):
        return ""
    return f" (process {info.pid}, {info.api_url})"


def _private_file(path: Path, flags: int) -> BinaryIO:
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _write_private(path: Path, content: bytes) -> None:
    """Write beside and rename: a reader sees the old text or the new one."""
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    with _private_file(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
        file.write(content)
    partial.rename(path)
