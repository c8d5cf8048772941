"""The TLS listener, as sslyze sees it, by what Mozilla calls modern.

`tls.json` is Mozilla's modern configuration, version 5.7, with the curves X448 and P-521 added:
OpenSSL offers them beside the others, they are no weaker, and Python can choose one group only,
which would give up the hybrid of X25519 with ML-KEM.
"""

from pathlib import Path

from tests.api.test_process import answers, serving
from tests.audit.certificates import NAME, write_certificates
from tests.clients.make import TOOLS, run_python
from tests.servers import DatabaseUnderTest


async def test_the_tls_listener_is_modern(database: DatabaseUnderTest, tmp_path: Path) -> None:
    authority, chain, key = write_certificates(tmp_path)
    with serving(database, OPSC_TLS_CERT=str(chain), OPSC_TLS_KEY=str(key)) as (process, port):
        await answers(f"https://{NAME}:{port}", process, ssl=False)
        config = Path(__file__).with_name("tls.json")
        options = ("--custom_tls_config", config, "--certinfo_ca_file", authority)
        said = run_python(TOOLS / "sslyze", *options, f"{NAME}:{port}")
    assert f"{NAME}:{port}: OK - Compliant." in said
