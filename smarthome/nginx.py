"""Fill in the nginx templates of `deploy/nginx`: `python -m smarthome.nginx FOLDER NAME=VALUE …`.

The image of nginx fills them in by itself (compose.yaml), in the same way: `${NAME}` becomes the
value. No Django here: systemd runs this before nginx starts.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent.parent / "deploy" / "nginx"
NAMES = {
    "NGINX_DIR": "nginx's own folder: its process number and bodies on their way",
    "PKI_DIR": "ca.crt, server.crt and server.key",
    "WEB_SOCKET": "where `manage.py web` listens",
    "LIVE_SOCKET": "where `manage.py live` listens",
    "HTTPS_LISTEN": "address and port for people",
    "MTLS_LISTEN": "address and port for devices",
}
# Anything else could end the directive it stands in.
VALUE = re.compile(r"[\w./:@+=\[\]-]+")


def render(folder: Path, values: Mapping[str, str]) -> Path:
    """Write every template into a folder; the path of its `nginx.conf`.

    ValueError for a name that is missing and for a value that nginx would misread.
    """
    for name in NAMES:
        if not VALUE.fullmatch(values.get(name, "")):
            raise ValueError(f"{name} ({NAMES[name]}) cannot be {values.get(name, '')!r}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for template in TEMPLATES.glob("*.template"):
        text = re.sub(r"\$\{([A-Z_]+)\}", lambda found: values[found[1]], template.read_text())
        (folder / template.stem).write_text(text)
    return folder / "nginx.conf"


def main(arguments: list[str]) -> int:
    folder, *pairs = arguments
    try:
        render(Path(folder), dict(pair.split("=", 1) for pair in pairs))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
