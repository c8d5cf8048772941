"""Which folders `--data` takes, and what is said of the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stack.errors import StackError
from stack.servers.runtime import begin_restore, end_restore, load_secrets, make_data_dir
from tests.stack.command import opsc

NOBODY = 65534


def test_a_folder_is_made_for_everybody_to_walk_through(data_dir: Path) -> None:
    assert make_data_dir(data_dir).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["servers", "log", "lock", "secrets.json.new", "secrets.json"])
def test_a_folder_of_ours_is_taken_again(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert make_data_dir(tmp_path) == tmp_path


def test_what_lies_beside_our_secrets_does_not_matter(tmp_path: Path) -> None:
    for name in ("secrets.json", "notes.txt"):
        (tmp_path / name).touch()
    assert make_data_dir(tmp_path) == tmp_path


def test_secrets_of_an_older_version_are_kept_and_completed(tmp_path: Path) -> None:
    made = load_secrets(tmp_path)
    kept = {role: made.role_passwords[role] for role in ("opsc_owner", "opsc_app")}
    older = msgspec.structs.replace(made, role_passwords=kept)
    (tmp_path / "secrets.json").write_bytes(msgspec.json.encode(older))
    completed = load_secrets(tmp_path)
    assert completed.secret_key == made.secret_key
    assert completed.role_passwords.items() >= kept.items()
    assert completed.role_passwords.keys() == made.role_passwords.keys()
    assert load_secrets(tmp_path) == completed


def test_a_disk_of_the_databases_own_may_be_mounted_first(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "lost+found").mkdir(parents=True)
    make_data_dir(tmp_path)
    (tmp_path / "postgres" / "cluster").mkdir()
    with pytest.raises(StackError, match="files that are not of opsc"):
        make_data_dir(tmp_path)


def test_a_folder_whose_restore_has_not_ended_is_for_another_restore_alone(tmp_path: Path) -> None:
    begin_restore(tmp_path)
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    said = f"has not ended: .* `opsc restore BACKUP --data {tmp_path}`, or delete the folder"
    for _ in range(2):  # whether the key was there first, or has come by now
        with pytest.raises(StackError, match=said):
            make_data_dir(tmp_path)
        assert make_data_dir(tmp_path, restores=True) == tmp_path
        load_secrets(tmp_path)
    end_restore(tmp_path)
    assert make_data_dir(tmp_path) == tmp_path


def test_a_folder_with_files_of_others_is_refused(tmp_path: Path) -> None:
    for name in ("log", "thesis.odt"):
        (tmp_path / name).touch()
    with pytest.raises(StackError, match=r"thesis\.odt.*such as .*/opsc"):
        make_data_dir(tmp_path)


@pytest.mark.parametrize("path", ["/var", "/etc", "/proc/opsc"])
def test_a_folder_of_the_system_is_refused_in_one_sentence(path: str) -> None:
    done = opsc("up", "--data", path)
    assert done.returncode == 1
    assert done.stderr.startswith("opsc: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["status"], ["org", "list"], ["backup", "copy"]])
def test_in_a_folder_whose_var_is_not_ours_a_command_asks_for_the_right_one(
    tmp_path: Path, command: list[str]
) -> None:
    """As in `/`, where `./var` is the system's, and its `lock` a folder."""
    (tmp_path / "var" / "lock").mkdir(parents=True)
    (tmp_path / "var" / "spool").mkdir()
    done = opsc(*command, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"opsc: nothing runs on {tmp_path}/var; it is no data folder of opsc:"
        " name that of the running system with --data\n"
    )


def test_a_file_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = opsc("up", "--data", tmp_path / "file")
    assert done.returncode == 2
    assert "is a file" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("mode", "said"), [(0o555, "cannot be written by"), (0o777, "belongs to the user")]
)
def test_a_folder_of_another_user_is_refused(readable_folder: Path, mode: int, said: str) -> None:
    """With 0777 the folder can be written, but what is in it is another's."""
    if os.geteuid() != 0:
        pytest.skip("takes another user's identity, which needs root")
    (readable_folder / "lock").touch(0o600)
    readable_folder.chmod(mode)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from stack.errors import StackError\n"
        "from stack.servers.runtime import make_data_dir, sole_owner\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "try:\n"
        "    with sole_owner(make_data_dir(Path(sys.argv[1]))): pass\n"
        "except StackError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, readable_folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said in done.stdout
