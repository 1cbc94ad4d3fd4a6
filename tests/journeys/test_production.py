"""The portal as production runs it: static files by names with their hashes, nothing from the source folders."""

import os
import re
import subprocess
import sys
from urllib.request import urlopen

from tests import servers


def test_a_prepared_production_portal_serves_pages_and_their_files(live_environment: dict[str, str]) -> None:
    bind = f"127.0.0.1:{servers.port_free()}"
    environment = live_environment | {"TOLLGATE_ENV": "production", "TOLLGATE_PUBLIC_URL": f"http://{bind}"}
    argv = [sys.executable, "manage.py", "prepare"]
    done = subprocess.run(argv, cwd=servers.ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with servers.portal(environment, TOLLGATE_PORTAL_BIND=bind) as portal:
        for path in ("/", "/apis/", "/accounts/login/", "/errors/"):
            with urlopen(f"{portal.url}{path}", timeout=10) as answer:
                page = answer.read().decode()
            files = re.findall(r'(?:href|src)="(/static/[^"#]+)', page)
            assert files, path
            for file in files:
                assert re.search(r"\.[0-9a-f]{12}\.", os.path.basename(file)), file
                with urlopen(f"{portal.url}{file}", timeout=10) as answer:
                    assert "immutable" in answer.headers["Cache-Control"]
