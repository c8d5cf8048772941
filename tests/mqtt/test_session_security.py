"""Passwords and TLS 1.3 against a real mosquitto."""

import asyncio
import base64
import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mqtt import (
    BrokerAddress,
    CertificateError,
    ConnectionLostError,
    ConnectRefusedError,
    Session,
    tls_context,
)
from tests.mqtt.traffic import options, receive
from tests.servers import BrokerUnderTest

BrokerFactory = Callable[..., BrokerUnderTest]


def password_line(username: str, password: bytes) -> str:
    """Return a line as mosquitto_passwd writes it: PBKDF2 with SHA-512, 101 rounds."""
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", password, salt, 101)
    salt_text, digest_text = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{username}:$7$101${salt_text}${digest_text}\n"


@pytest.fixture
def password_file(readable_folder: Path) -> Path:
    """Knows the user `tracker` with the password `secret`."""
    path = readable_folder / "passwords"
    path.write_text(password_line("tracker", b"secret"))
    path.chmod(0o644)
    return path


@pytest.fixture
def certificate(readable_folder: Path) -> tuple[Path, Path]:
    """A self-made certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test broker")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = readable_folder / "broker.pem", readable_folder / "broker.key"
    certificate_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key_file.chmod(0o644)
    return certificate_file, key_file


async def test_the_right_password_connects_and_a_wrong_one_ends_the_session(
    private_broker: BrokerFactory, password_file: Path
):
    broker = private_broker(allow_anonymous="false", password_file=str(password_file))
    address = BrokerAddress.parse(broker.url)
    right = options(username="tracker", password=b"secret")
    async with Session(address, right) as it:
        await it.connected.wait()
    for wrong in (replace(right, password=b"wrong"), options()):
        async with Session(address, wrong) as it:
            with pytest.raises(ConnectRefusedError) as caught:
                await it.connected.wait()
            assert not caught.value.retryable
            with pytest.raises(ConnectRefusedError):
                await it.publish("t", b"")
            with pytest.raises(ConnectRefusedError):
                await it.receive()


async def test_messages_pass_over_tls_1_3(
    private_broker: BrokerFactory, certificate: tuple[Path, Path]
):
    certificate_file, key_file = certificate
    broker = private_broker(
        certfile=str(certificate_file), keyfile=str(key_file), tls_version="tlsv1.3"
    )
    url = f"mqtts://127.0.0.1:{broker.port}"
    address = BrokerAddress.parse(url, ca_file=certificate_file)
    async with Session(address, options("t")) as it:
        await it.connected.wait()
        payload = bytes(200_000)
        await it.publish("t", payload)
        assert (await receive(it, 1))[0].payload == payload
        it.abort()
        await it.publish("t", b"after the cut")
        assert (await receive(it, 1))[-1].payload == b"after the cut"


async def test_an_unknown_authority_ends_the_session_with_a_clear_error(
    private_broker: BrokerFactory, certificate: tuple[Path, Path]
):
    certificate_file, key_file = certificate
    broker = private_broker(certfile=str(certificate_file), keyfile=str(key_file))
    async with Session(BrokerAddress.parse(f"mqtts://127.0.0.1:{broker.port}"), options()) as it:
        with pytest.raises(CertificateError, match="self-signed"):
            await it.connected.wait()


async def test_a_certificate_for_another_host_is_not_accepted(
    private_broker: BrokerFactory, certificate: tuple[Path, Path]
):
    certificate_file, key_file = certificate
    broker = private_broker(certfile=str(certificate_file), keyfile=str(key_file))
    address = BrokerAddress("localhost", broker.port, tls_context(certificate_file))
    async with Session(address, options()) as it:
        with pytest.raises(CertificateError, match="localhost"):
            await it.connected.wait()


async def test_a_broker_that_speaks_only_tls_1_2_is_not_spoken_to(certificate: tuple[Path, Path]):
    certificate_file, key_file = certificate
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificate_file, key_file)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0, ssl=old)
    async with server:
        port = server.sockets[0].getsockname()[1]
        address = BrokerAddress.parse(f"mqtts://127.0.0.1:{port}", ca_file=certificate_file)
        async with Session(address, options()) as it:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await it.connected.wait()
            assert isinstance(it.last_error, ConnectionLostError)
