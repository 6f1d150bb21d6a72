"""What compose, systemd and nginx are given: the same processes, and no header to forge."""

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from prometheus_client.mmap_dict import MmapedDict

from policies import pki
from policies.authentication import CERTIFICATE_KEY
from smarthome import alive, behind_nginx, faces, metrics, names, nginx, processes
from smarthome.errors import envelope
from tests.conftest import JsonClient

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
UNITS = ROOT / "deploy" / "systemd"
VALUES = {
    "NGINX_DIR": "/run/nginx",
    "PKI_DIR": "/pki",
    "WEB_SOCKET": "/run/web.sock",
    "LIVE_SOCKET": "/run/live.sock",
    "HTTPS_LISTEN": "127.0.0.1:8444",
    "MTLS_LISTEN": "[::1]:8443",
}


# -- One process list ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*processes.HOUSE.items(), *processes.UPKEEP.items(), ("migrate", processes.FIRST)],
)
def test_compose_and_systemd_run_the_processes_of_the_list(name, arguments):
    unit = (UNITS / f"smarthome-{name}.service").read_text()

    assert COMPOSE[name]["command"] == ["python", "manage.py", *arguments]
    assert f"ExecStart=/opt/smarthome/.venv/bin/python manage.py {' '.join(arguments)}\n" in unit


@pytest.mark.parametrize(("name", "path"), processes.REDIS.items())
def test_both_redis_are_configured_by_the_same_files(name, path):
    unit = (UNITS / f"smarthome-{name}.service").read_text()

    assert COMPOSE[name]["command"][:2] == ["redis-server", f"/etc/redis/{path.name}"]
    assert f"/opt/smarthome/deploy/redis/{path.name} " in unit


def test_nobody_else_runs_in_a_production_house():
    everybody = {*processes.HOUSE, *processes.UPKEEP, *processes.REDIS, "migrate", "nginx"}

    assert set(COMPOSE) == {*everybody, "database"}
    assert {path.stem for path in UNITS.glob("smarthome-*.service")} == {
        f"smarthome-{name}" for name in everybody
    }


@pytest.mark.parametrize("name", COMPOSE)
def test_containers_are_locked_down(name):
    service = COMPOSE[name]

    assert service["user"] not in ("", "0", "root", "0:0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "healthcheck" in service or name in ("migrate", "upkeep")  # nobody waits for these
    assert re.fullmatch(r"smarthome-backend|[\w/]+:\d[\w.]*\d[\w.-]*", service["image"])


def test_compose_knows_no_password_by_itself():
    lines = (ROOT / "compose.yaml").read_text().splitlines()
    naming = [line for line in lines if "PASSWORD" in line]

    assert len(naming) == 9
    for line in naming:
        assert re.search(
            r"\$\{(POSTGRES|APP|MAINTENANCE|ADMIN)_PASSWORD[:}]", line
        ) or line.endswith('_PASSWORD: ""')


@pytest.mark.parametrize("name", processes.HOUSE)
def test_only_migrations_know_the_owners_password(name):
    known, owners = COMPOSE[name]["environment"], COMPOSE["migrate"]["environment"]

    assert known["POSTGRES_PASSWORD"] == known["MAINTENANCE_PASSWORD"] == ""
    assert "MIGRATION_DATABASE_URL" not in known
    assert "://smarthome_app:" in known["DATABASE_URL"]
    assert "://smarthome:" in owners["MIGRATION_DATABASE_URL"]
    unit = (UNITS / f"smarthome-{name}.service").read_text()
    assert "smarthome-owner.env" not in unit
    assert "smarthome-maintenance.env" not in unit


def test_upkeep_knows_the_maintenance_role_and_not_the_owner():
    known = COMPOSE["upkeep"]["environment"]

    assert known["POSTGRES_PASSWORD"] == known["MAINTENANCE_PASSWORD"] == ""
    assert "://smarthome_maintenance:" in known["MAINTENANCE_DATABASE_URL"]
    assert "smarthome-owner.env" not in (UNITS / "smarthome-upkeep.service").read_text()


def test_services_wait_for_what_they_need():
    for name in processes.HOUSE | processes.UPKEEP:
        assert COMPOSE[name]["depends_on"] == {
            "database": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
            "cache": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }


def test_the_image_has_a_fixed_base_and_no_root():
    text = (ROOT / "Dockerfile").read_text()

    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.11.14-slim-bookworm"}
    assert "USER 999:999" in text


def test_the_env_script_makes_passwords_once(tmp_path):
    (tmp_path / "deploy").mkdir()
    script = shutil.copy(ROOT / "deploy" / "compose_env.sh", tmp_path / "deploy")

    first = subprocess.run([script], capture_output=True, text=True, check=True)
    second = subprocess.run([script], capture_output=True, text=True, check=False)

    written = (tmp_path / ".env").read_text()
    settings = dict(line.split("=", 1) for line in written.splitlines())
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert len(settings["POSTGRES_PASSWORD"]) == 32
    assert settings["ADMIN_PASSWORD"] in first.stdout
    assert settings["POSTGRES_PASSWORD"] != settings["ADMIN_PASSWORD"]
    assert second.returncode == 1


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is missing")
def test_systemd_understands_the_units(tmp_path):
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    units = [path for path in tmp_path.iterdir() if path.suffix in (".service", ".target", ".path")]
    for path in units:  # systemd looks whether the programs exist
        path.write_text(
            re.sub(r"=(/\S+/(?:python|nginx|redis-server))\b", f"={python}", path.read_text())
        )

    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in checked.stderr.splitlines() if "smarthome" in line]
    assert (checked.returncode, ours) == (0, [])


# -- nginx ---------------------------------------------------------------------------------------


def templates() -> dict[str, str]:
    return {path.stem: path.read_text() for path in nginx.TEMPLATES.glob("*.template")}


def test_every_location_that_asks_the_house_includes_the_headers():
    blocks = re.findall(r"^location [^{]*\{[^}]*\}", templates()["locations.conf"], re.MULTILINE)

    assert len(blocks) == 6
    for block in blocks:
        assert "    include headers.conf;\n" in block
        assert "proxy_pass http://" in block
    others = [text for name, text in templates().items() if name != "locations.conf"]
    assert not any("proxy_pass" in text for text in others)


def test_errors_of_nginx_are_those_of_the_house():
    text = templates()["errors.conf"]
    found = re.findall(r"return (\d+) '(\{.*\})';", text)

    for status, body in found:
        wanted = envelope(int(status))["error"]
        error = json.loads(body)["error"]
        assert (error["code"], error["details"]) == (wanted["code"], {})
        assert error["message"] == wanted["message"] or status in ("401", "429")
    assert [status for status, _ in found] == [
        "400", "401", "403", "404", "405", "413", "429", "500", "503",
    ]  # fmt: skip


@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin"), reason="nginx is missing")
def test_nginx_understands_the_rendered_files(tmp_path):
    pki.create_ca(tmp_path / "pki")
    pki.ensure_server_certificate(tmp_path / "pki", ["localhost"], dt.datetime.now(dt.UTC))
    values = VALUES | {"NGINX_DIR": str(tmp_path / "nginx"), "PKI_DIR": str(tmp_path / "pki")}

    status = nginx.main([str(tmp_path / "nginx"), *(f"{k}={v}" for k, v in values.items())])
    checked = subprocess.run(
        ["/usr/sbin/nginx", "-t", "-e", "stderr", "-c", str(tmp_path / "nginx" / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert status == 0
    assert "syntax is ok" in checked.stderr
    assert "[warn]" not in checked.stderr


@pytest.mark.parametrize(
    "wrong", [{"PKI_DIR": "/a b"}, {"PKI_DIR": "/a;b"}, {"PKI_DIR": ""}, {"WEB_SOCKET": "/$x"}]
)
def test_a_value_that_nginx_would_misread_is_refused(tmp_path, wrong, capsys):
    values = VALUES | wrong

    status = nginx.main([str(tmp_path), *(f"{k}={v}" for k, v in values.items())])

    assert status == 1
    assert "cannot be" in capsys.readouterr().err


# -- What the house believes ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A device's certificate, escaped as nginx escapes it."""
    folder = tmp_path_factory.mktemp("pki")
    pki.create_ca(folder)
    return quote(pki.issue_device(folder, "front-door").certificate_pem, safe="")


def test_a_device_is_who_its_certificate_says(certificate):
    face, der = faces.said_by_nginx(["device"], [certificate])

    assert face == "device"
    assert der is not None
    assert der[:1] == b"\x30"


@pytest.mark.parametrize(
    ("face", "shown"),
    [
        ([], []),
        ([""], []),
        (["device"], []),
        (["device"], [""]),
        (["device"], ["nonsense"]),
        (["device"], ["{}", "{}"]),
        (["device"], ["{}{}"]),
        (["device"], ["{}%00"]),
        (["device"], ["%20{}"]),
        (["device"], ["\xff{}"]),
        (["device", "device"], ["{}"]),
        (["Device"], ["{}"]),
        (["device "], ["{}"]),
        (["device,people"], ["{}"]),
        (["people"], ["{}"]),
        (["people", "people"], []),
        (["everybody"], []),
    ],
)
def test_what_nginx_would_not_say_is_not_believed(certificate, face, shown):
    with pytest.raises(faces.NotFromNginx):
        faces.said_by_nginx(face, [text.replace("{}", certificate) for text in shown])


def test_headers_become_keys_that_no_header_can_reach(certificate):
    environ: dict[str, Any] = {
        "REMOTE_ADDR": "",
        "HTTP_HOST": "house.example:8443",
        "HTTP_X_HOUSE_FACE": "device",
        "HTTP_X_HOUSE_CERTIFICATE": certificate,
        "HTTP_X_FORWARDED_FOR": "192.168.1.20",
        "wsgi.url_scheme": "http",
    }

    behind_nginx.translate(environ)

    der = environ.pop(CERTIFICATE_KEY)
    assert isinstance(der, bytes)
    assert environ == {
        "REMOTE_ADDR": "192.168.1.20",
        "HTTP_HOST": "localhost",
        "smarthome.face": "device",
        "wsgi.url_scheme": "https",
    }


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_X_HOUSE_FACE": "device"},
        {"HTTP_X_HOUSE_FACE": "people", "REMOTE_ADDR": "127.0.0.1"},
    ],
)
def test_who_does_not_come_from_nginx_is_401(environ):
    answers: list[Any] = []
    application = behind_nginx.behind_nginx(lambda environ, start: pytest.fail("was let through"))

    body = application(environ, lambda status, headers: answers.append(status))

    assert answers == ["401 Unauthorized"]
    assert json.loads(b"".join(body))["error"]["code"] == "AUTHENTICATION_ERROR"


def test_metrics_are_open_to_whom_nginx_lets_pass(nobody):
    environ = {"REMOTE_ADDR": "", "HTTP_X_HOUSE_FACE": "people", "HTTP_X_HOUSE_METRICS": "open"}
    behind_nginx.translate(environ)
    let_pass = JsonClient(**environ)

    assert let_pass.get("/metrics").status_code == 200
    assert nobody.get("/metrics", REMOTE_ADDR="10.0.0.1").status_code == 401
    assert nobody.get("/metrics", headers={"X-House-Metrics": "open"},
                      REMOTE_ADDR="10.0.0.1").status_code == 401  # fmt: skip


# -- Counting, and looking after -----------------------------------------------------------------


def counted(folder: Path, kind: str, pid: int, value: float) -> None:
    """What a process leaves behind that counted one thing."""
    name = "checks" if kind.startswith("gauge") else "checks_total"
    file = MmapedDict(str(folder / f"{kind}_{pid}.db"))
    file.write_value(json.dumps(["checks", name, {}, "help"]), value, 0.0)
    file.close()


def test_what_the_dead_counted_is_added_up_once(tmp_path, monkeypatch):
    web, live = tmp_path / "web", tmp_path / "live"
    for folder in (web, live):
        folder.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(web))
    dead = 2**22 + 1  # above the largest number of a process
    counted(web, "counter", dead, 2)
    counted(web, "counter", dead + 1, 3)
    counted(web, "gauge_livesum", dead, 7)
    counted(live, "counter", 1, 10)

    metrics.bury_the_dead()
    metrics.bury_the_dead()
    counted(web, "counter", dead + 2, 100)
    metrics.bury_the_dead()

    assert sorted(path.name for path in web.iterdir()) == ["counter_0.db"]
    assert b"checks_total 115.0" in metrics.text()


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["house.example"], ["localhost", "127.0.0.1", "::1", "house.example"]),
        (["localhost", "a.example"], ["localhost", "127.0.0.1", "::1", "a.example"]),
    ],
)
def test_the_certificate_holds_the_names_it_is_told_and_loopback(settings, named, expected):
    settings.SERVER_NAMES = named

    assert names.server_names() == expected


def test_without_names_the_certificate_holds_this_machines(settings):
    settings.SERVER_NAMES = []

    assert names.server_names() == pki.host_names()


def test_a_process_that_is_away_is_not_alive(tmp_path, monkeypatch):
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    monkeypatch.setenv("CACHE_REDIS_URL", f"unix://{tmp_path}/nowhere.sock")

    assert [alive.main(name) for name in ("web", "live", "worker")] == [1, 1, 1]


@pytest.mark.django_db
def test_a_house_whose_redis_is_away_is_degraded(settings, nobody, tmp_path):
    settings.EMBEDDED = False
    settings.REDIS_URL = settings.CACHE_REDIS_URL = f"unix://{tmp_path}/nowhere.sock"

    health = nobody.get("/health")

    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    assert health.json()["services"]["redis"] == "disconnected"
