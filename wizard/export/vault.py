"""Ansible Vault's file format, 1.1 with AES256: an export contains secrets in no other form.

Implemented here so that Ansible is needed only where the playbook runs, not where it is made. Source of the format:
docs.ansible.com, "Format of files encrypted with Ansible Vault".
"""

from __future__ import annotations

import os
from binascii import hexlify

from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from wizard.redact import Secret

_HEADER = b"$ANSIBLE_VAULT;1.1;AES256\n"
_ROUNDS = 10_000
"""Fixed by the format: the strength must come from the password."""
_WIDTH = 80


def encrypt(content: bytes, password: Secret) -> bytes:
    """Encrypts the content as `ansible-vault encrypt` does; each call gives a different text."""
    salt = os.urandom(32)
    keys = PBKDF2HMAC(algorithm=hashes.SHA256(), length=80, salt=salt, iterations=_ROUNDS).derive(
        password.reveal().encode()
    )
    cipher_key, sign_key, counter = keys[:32], keys[32:64], keys[64:]
    padder = padding.PKCS7(128).padder()
    padded = padder.update(content) + padder.finalize()
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CTR(counter)).encryptor()
    hidden = encryptor.update(padded) + encryptor.finalize()
    signer = hmac.HMAC(sign_key, hashes.SHA256())
    signer.update(hidden)
    body = hexlify(b"\n".join(hexlify(part) for part in (salt, signer.finalize(), hidden)))
    lines = [body[at : at + _WIDTH] for at in range(0, len(body), _WIDTH)]
    return _HEADER + b"\n".join(lines) + b"\n"
