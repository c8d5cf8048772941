"""The certificate of `opsc up`: the one that is given, or one made for development.

With a certificate, the API and the listener's TLS port speak TLS 1.3 and nothing older.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stack.errors import StackError

LIFETIME = datetime.timedelta(days=365)
RENEWED_BEFORE = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM: the chain and its key."""

    chain: Path
    key: Path


def certificate_of(folder: Path, *, develop: bool) -> Certificate | None:
    """Return the certificate of OPSC_TLS_CERT and OPSC_TLS_KEY; else, with `develop`, one of our
    own in `folder`.
    """
    chain, key = os.environ.get("OPSC_TLS_CERT"), os.environ.get("OPSC_TLS_KEY")
    if chain and key:
        given = Certificate(Path(chain).resolve(), Path(key).resolve())
        for path in (given.chain, given.key):
            if not os.access(path, os.R_OK):
                raise StackError(f"cannot read {path}: OPSC_TLS_CERT and OPSC_TLS_KEY name files")
        return given
    if chain or key:
        raise StackError("OPSC_TLS_CERT and OPSC_TLS_KEY must be set together")
    return development_certificate(folder) if develop else None


def pinned(chain: str | None) -> ssl.SSLContext | None:
    """Return a context for clients on this machine: it trusts this certificate alone, by whatever
    name it has.
    """
    if chain is None:
        return None
    context = ssl.create_default_context(cafile=chain)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


def development_certificate(folder: Path) -> Certificate:
    """Return a certificate that is kept from run to run, and made anew before it ends; for this
    machine, by name and address.

    A client that is given the file as its authority accepts it.
    """
    made = Certificate(folder / "development.crt", folder / "development.key")
    if not _is_good(made):
        folder.mkdir(mode=0o755, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        _write(made.key, _pem_of_key(key), 0o600)
        _write(made.chain, _self_signed(key), 0o644)
    return made


def _is_good(certificate: Certificate) -> bool:
    if not (certificate.chain.exists() and certificate.key.exists()):
        return False
    known = x509.load_pem_x509_certificate(certificate.chain.read_bytes())
    return known.not_valid_after_utc - RENEWED_BEFORE > datetime.datetime.now(datetime.UTC)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OPS Companion development")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
