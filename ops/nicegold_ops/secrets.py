"""What references lead to: a variable of the environment, a file, or a field of a secret in Vault."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from nicegold import Secret
from nicegold_ops.credentials import Login
from nicegold_ops.errors import ConfigurationError, NicegoldError
from nicegold_ops.reference import Reference
from nicegold_ops.report.secrets import MASK
from nicegold_ops.telemetry.logs import logger
from nicegold_ops.telemetry.outgoing import Relay
from nicegold_ops.vault.settings import VaultSettings
from nicegold_ops.vault.vault import Lent, Vault

#: Bytes of a file; what is longer is no secret, and might never end.
LONGEST = 65_536
#: Letters of a secret that is masked: what is shorter is in other words too.
_SHORTEST = 4
_log = logger("secrets")


class Local:
    """Secrets of this machine. *environment* has its variables; *warn* is told what should be mended."""

    def __init__(self, environment: Mapping[str, str], warn: Callable[[str], object] = _log.warning) -> None:
        self._environment = environment
        self._warn = warn

    def resolve(self, reference: Reference) -> Secret:
        """Raises ConfigurationError, which goes on after the setting's name."""
        if reference.scheme == "file":
            return self._in_file(reference)
        text = self._environment.get(reference.where, "")
        if not text:
            state = "is empty" if reference.where in self._environment else "is not set"
            raise ConfigurationError(f"{reference}: the variable {state}; export it, or name another place")
        return _secret(reference, text)

    def _in_file(self, reference: Reference) -> Secret:
        path = Path(reference.where)
        try:
            with path.open("rb") as file:
                content, mode = file.read(LONGEST + 1), os.fstat(file.fileno()).st_mode
        except OSError as error:
            raise ConfigurationError(
                f"{reference}: {error.strerror}; put the secret there, or name another place"
            ) from None
        if len(content) > LONGEST:
            raise ConfigurationError(f"{reference}: is longer than {LONGEST:,} bytes, so it is no secret")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            self._warn(
                f"{reference}: others than its owner may use the file; chmod 600",
                **{"event.action": "secret.exposed"},
            )
        try:
            return _secret(reference, content.decode())
        except UnicodeDecodeError:
            raise ConfigurationError(f"{reference}: is not UTF-8 text") from None


def _secret(reference: Reference, text: str) -> Secret:
    # Editors and `echo` end a file with it, and nobody means it.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigurationError(f"{reference}: is empty; put the secret there, or name another place")
    return Secret(text)


class Secrets:
    """All secrets that a run's *settings* refer to; Vault is asked from the first one on that is there."""

    def __init__(self, vault: VaultSettings | None, local: Local) -> None:
        self._local = local
        #: None without a table [vault].
        self.vault = None if vault is None else Vault(vault, local.resolve)
        #: Is told of each request to Vault, once somebody wants to know.
        self.outgoing = Relay() if self.vault is None else self.vault.outgoing
        self._read: list[Secret] = []
        #: When what is in Vault was made (s UTC), by its reference.
        self.created: dict[str, float] = {}

    def resolve(self, reference: Reference) -> Secret:
        """Raises ConfigurationError or VaultFailed, which goes on after the setting's name."""
        secret = self._resolved(reference)
        self._read.append(secret)
        return secret

    def masked(self, text: str) -> str:
        """*text* with a mask for each secret that was read; what is shorter than four letters is left."""
        # A longer one first: it may hold another.
        for value in sorted((each.reveal() for each in self._read), key=len, reverse=True):
            if len(value) >= _SHORTEST:
                text = text.replace(value, MASK)
        return text

    def _resolved(self, reference: Reference) -> Secret:
        if reference.scheme != "vault":
            return self._local.resolve(reference)
        if self.vault is None:
            raise ConfigurationError(f"{reference}: there is no table [vault] that says where that is")
        read = self.vault.read(reference)
        self.created[reference] = read.created
        return read.secret

    def of(self, setting: str, reference: Reference) -> Secret:
        """The same; what it raises names the *setting*."""
        try:
            return self.resolve(reference)
        except NicegoldError as error:
            raise type(error)(f"{setting}: {error}") from None

    def resolve_if_there(self, reference: Reference) -> Secret:
        """The same for a replay: what cannot be had is withheld, as most of it will not be asked for."""
        try:
            return self.resolve(reference)
        except NicegoldError as error:
            return Secret.withheld(str(error))

    def lent(self, role: str) -> Login:
        """How a database is entered as *role*, "mount/name", of Vault's; closing it gives all back."""
        if self.vault is None:
            raise ConfigurationError(f"{role}: there is no table [vault] that says where that is")
        mount, _, name = role.partition("/")
        return Lent(self.vault, mount, name, self.close)

    def keep(self) -> None:
        """From now on, renew in time what Vault has lent."""
        if self.vault is not None:
            self.vault.keep()

    def close(self) -> None:
        """Give back what Vault has lent."""
        if self.vault is not None:
            self.vault.close()
