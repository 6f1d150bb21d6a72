"""What `make stack` does about missing programs: Debian's packages, where it may install them."""

import os
from pathlib import Path

import pytest

from smarthome import database_server, processes
from smarthome import stack as program
from smarthome.keeper import Problem

# It notes what it is asked, and "installs" what is missing into the PATH.
APT = """#!/bin/sh
[ -x {policy} ] && held=held
echo "$1 $DEBIAN_FRONTEND $held" >>{log}
shift $(($# - 1))
echo "$1" >>{log}
echo "E: no package" >&2
exit {status}
"""


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any of the servers, whose `apt-get` is ours."""

    def machine(status: int = 0) -> Path:
        apt = tmp_path / "apt-get"
        policy, log = tmp_path / "policy-rc.d", tmp_path / "asked"
        apt.write_text(APT.format(policy=policy, log=log, status=status))
        apt.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(program, "SERVICE_POLICY", policy)
        monkeypatch.setattr(program, "found", lambda name: "")
        monkeypatch.setattr(database_server, "programs", dict)
        return log

    return machine


def stack(folder: Path, **given: str) -> program.Stack:
    return program.Stack(folder, 8444, 8443, given)


BOTH = {"REDIS_URL": "redis://a", "CACHE_REDIS_URL": "redis://b"}


@pytest.mark.parametrize(
    ("given", "packages"),
    [
        ({}, "nginx redis-server postgresql"),
        ({"DATABASE_URL": "postgres://a"}, "nginx redis-server"),
        ({"REDIS_URL": "redis://a"}, "nginx redis-server postgresql"),  # one for the cache
        (BOTH, "nginx postgresql"),
        (BOTH | {"DATABASE_URL": "postgres://a"}, "nginx"),
        ({"DATABASE_URL": "", "REDIS_URL": ""}, "nginx redis-server postgresql"),
    ],
)
def test_who_may_not_install_is_told_what_is_missing(bare, tmp_path, monkeypatch, given, packages):
    log = bare()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(Problem) as told:
        stack(tmp_path, **given).install_missing()

    listed = packages.replace(" ", ", ")
    assert str(told.value) == (
        f"Install {listed} first; on Debian: apt install {packages} (as root)."
    )
    assert not log.exists()


def test_root_installs_without_a_question_and_without_starting_services(
    bare, tmp_path, monkeypatch, capsys
):
    log = bare()
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    stack(tmp_path, **BOTH, DATABASE_URL="postgres://a").install_missing()

    assert capsys.readouterr().out == "Installing nginx …\n"
    assert log.read_text().splitlines() == [
        "update noninteractive held", "-q", "install noninteractive held", "nginx",
    ]  # fmt: skip
    assert not program.SERVICE_POLICY.exists()


def test_what_apt_says_against_it_is_told(bare, tmp_path, monkeypatch):
    bare(status=100)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(Problem, match=r"apt install nginx.*E: no package"):
        stack(tmp_path, **BOTH, DATABASE_URL="postgres://a").install_missing()

    assert not program.SERVICE_POLICY.exists()


def test_a_policy_of_the_machine_is_left_alone(bare, tmp_path, monkeypatch):
    bare()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program.SERVICE_POLICY.write_text("its own")

    stack(tmp_path).install_missing()

    assert program.SERVICE_POLICY.read_text() == "its own"


def test_servers_are_found_where_users_paths_do_not_look(tmp_path, monkeypatch):
    (tmp_path / "nginx").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert processes.found("nginx") == str(tmp_path / "nginx")
    assert processes.found("no-such-program") == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("redis://:p%40ss@127.0.0.1:6379/0", "redis://:p%40ss@127.0.0.1:6379/0"),
        ("postgres://a@b/c?sslmode=require", "postgres://a@b/c?sslmode=require"),
        ("*", "*"),
        ("", ""),
        ("a b", "'a b'"),
        ("it's $HOME & `id`", "'it'\"'\"'s $HOME & `id`'"),
        ("~", "'~'"),
    ],
)
def test_stack_env_is_quoted_only_where_a_shell_needs_it(value, written):
    assert program.as_shell_reads_it(value) == written
