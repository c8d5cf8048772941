"""The log over TLS: who is believed, and what is said of who is not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.amqp import rabbitmq
from service.amqp.address import LogAddress, log_tls
from service.amqp.rabbitmq import LogConnection, LogLost
from tests.audit.certificates import NAME, write_certificates
from tests.servers import LogUnderTest


async def connect(url: str, authority: Path | None) -> LogConnection:
    address = LogAddress.parse(url)
    tls = log_tls(address, authority)
    return await rabbitmq.connect(address, address.hosts[0], "test", tls)


@pytest.fixture
def other(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Another authority, of the same name, and a certificate by it."""
    return write_certificates(tmp_path)


@pytest.fixture
def expired(log_server: LogUnderTest, tmp_path: Path) -> Iterator[Path]:
    """The authority of a log whose certificate has ended."""
    authority, *files = write_certificates(tmp_path, lasts=timedelta(minutes=-1))
    log_server.show(*files)
    yield authority
    log_server.show(*log_server.certificate)


async def test_a_certificate_for_its_host_is_believed(log_server: LogUnderTest) -> None:
    log = await connect(log_server.new_url(tls_host=NAME), log_server.authority)
    await rabbitmq.declare(log)
    assert await log.depth(rabbitmq.UNREADABLE) == 0
    log.close()


async def test_another_authority_is_refused(
    log_server: LogUnderTest, other: tuple[Path, Path, Path]
) -> None:
    url = log_server.new_url(tls_host=NAME)
    for authority in (other[0], None):
        with pytest.raises(LogLost, match=f"{NAME}:.*certificate is refused: .*"):
            await connect(url, authority)


async def test_a_certificate_for_another_host_is_refused(log_server: LogUnderTest) -> None:
    url = log_server.new_url(tls_host="127.0.0.1")
    with pytest.raises(LogLost, match=r"is refused: .* not valid for '127.0.0.1'"):
        await connect(url, log_server.authority)


async def test_a_certificate_that_has_ended_is_refused(
    log_server: LogUnderTest, expired: Path
) -> None:
    url = log_server.new_url(tls_host=NAME)
    with pytest.raises(LogLost, match="is refused: certificate has expired"):
        await connect(url, expired)


async def test_tls_is_spoken_on_its_own_port_alone(log_server: LogUnderTest) -> None:
    url = log_server.new_url()
    with pytest.raises(LogLost, match=r"does not speak TLS 1\.3"):
        await connect(url.replace("amqp://", "amqps://"), log_server.authority)
    url = log_server.new_url(tls_host=NAME)
    with pytest.raises(LogLost, match="localhost:"):
        await connect(url.replace("amqps://", "amqp://"), None)
