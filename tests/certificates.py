"""Certificates for tests: an authority of our own, and what it signs."""

import datetime
import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID: Final = datetime.timedelta(days=2)
LOOPBACK: Final = "127.0.0.1"


class Authority:
    """Signs the certificates of servers and clients."""

    def __init__(self, name: str = "test-ca") -> None:
        self.name = name
        self._key = new_key()
        self._certificate = _authority(name, self._key)

    @property
    def certificate_pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self._key)

    @property
    def hashed_name(self) -> str:
        """Its file's name in a directory of authorities, as `openssl rehash` makes it.

        OpenSSL hashes the canonical form of the subject; of a short lower-case name that is its DER without the header.
        """
        digest = hashlib.sha1(self._certificate.subject.public_bytes()[2:], usedforsecurity=False).digest()
        return f"{int.from_bytes(digest[:4], 'little'):08x}.0"

    def issue(self, common_name: str, names: Sequence[str]) -> tuple[bytes, bytes]:
        """Certificate and key, as PEM, of a server that is known by `names` (of hosts, or IPv4 addresses)."""
        known_by = x509.SubjectAlternativeName([_general(name) for name in names])
        return self._sign(_named(common_name), ExtendedKeyUsageOID.SERVER_AUTH, known_by)

    def issue_client(self, user: str, group: str = "") -> tuple[bytes, bytes]:
        """Certificate and key, as PEM, by which an API server knows `user`."""
        return self._sign(_named(user, group), ExtendedKeyUsageOID.CLIENT_AUTH)

    def trust(self) -> ssl.SSLContext:
        """What a client needs to trust this authority and no other."""
        return ssl.create_default_context(cadata=self.certificate_pem.decode())

    def _sign(
        self, subject: x509.Name, usage: x509.ObjectIdentifier, *extensions: x509.ExtensionType
    ) -> tuple[bytes, bytes]:
        key = new_key()
        unsigned = _unsigned(subject, _named(self.name), key.public_key())
        for extension in (
            *extensions,
            x509.ExtendedKeyUsage([usage]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        ):
            unsigned = unsigned.add_extension(extension, critical=False)
        certificate = unsigned.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), key_pem(key)

    def server_context(self, *names: str) -> ssl.SSLContext:
        """What a server needs to be known by `names`."""
        certificate, key = self.issue("server", names)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with tempfile.NamedTemporaryFile(suffix=".pem") as chain:  # the library reads files only
            chain.write(certificate + key)
            chain.flush()
            context.load_cert_chain(chain.name)
        return context


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _named(common_name: str, organization: str = "") -> x509.Name:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(names)


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    unsigned = (
        _unsigned(_named(name), _named(name), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return unsigned.sign(key, hashes.SHA256())
