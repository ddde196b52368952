"""One conversation with Vault, under one token, and what can go wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegold import Secret
from nicegold_ops.errors import NicegoldError
from nicegold_ops.telemetry.outgoing import Relay
from nicegold_ops.vault.settings import VaultSettings

if TYPE_CHECKING:
    import hvac


class VaultFailed(NicegoldError):
    """Vault has not done what it was asked."""


class Unavailable(VaultFailed):
    """Vault is sealed, overloaded, broken or cannot be reached."""


class Denied(VaultFailed):
    """The token is not valid, or its policies do not let it do this."""


class Missing(VaultFailed):
    """There is nothing at this path."""


class Tampered(VaultFailed):
    """Somebody else may have had what was meant for us."""


class Api:
    """Asks the Vault of *settings* under a token, or under none, and tells *outgoing* so.

    It belongs to the process that made it.
    """

    def __init__(
        self, settings: VaultSettings, token: Secret | None = None, outgoing: Relay | None = None
    ) -> None:
        # hvac takes a tenth of a second to import, and most configurations have no Vault.
        import hvac

        from nicegold_ops.vault.conversation import Conversation

        session = Conversation(outgoing or Relay())
        session.verify = str(settings.ca) if settings.ca else True
        self._client = hvac.Client(
            url=settings.address,
            # Without one, hvac looks for it in the environment and in ~/.vault-token.
            token=token.reveal() if token else "",
            verify=session.verify,
            timeout=settings.timeout,  # type: ignore[arg-type]  # requests takes parts of a second
            # A redirect would take the token to whoever it names.
            allow_redirects=False,
            session=session,
            namespace=settings.namespace,
        )
        self._address = settings.address

    def ask(self, call: Callable[[hvac.Client], Any]) -> Any:
        """What *call* answers. Raises VaultFailed in one of its kinds."""
        import requests
        from hvac import exceptions

        try:
            answer = call(self._client)
        except exceptions.Forbidden as error:
            raise Denied(f"{self._address} denies it: {_said(error)}") from None
        except exceptions.InvalidPath as error:
            raise Missing(f"{self._address} has nothing there: {_said(error)}") from None
        except exceptions.VaultDown as error:
            raise Unavailable(f"{self._address} is sealed or not ready: {_said(error)}") from None
        except exceptions.VaultError as error:
            kind = Unavailable if _passes(error) else VaultFailed
            raise kind(f"{self._address} refuses it: {_said(error)}") from None
        except requests.RequestException as error:
            raise Unavailable(f"{self._address} cannot be reached: {_reason(error)}") from None
        if isinstance(answer, requests.Response) and answer.is_redirect:
            raise VaultFailed(
                f"{self._address} sends us to {answer.headers['location']!r}; that is not followed, as the "
                "token would go there: name the active node, or what stands before all, as [vault] address"
            )
        if isinstance(answer, requests.Response) and answer.status_code == requests.codes.ok:
            raise VaultFailed(f"{self._address} answers what Vault does not say; is [vault] address right?")
        return answer

    def get(self, path: str) -> Any:
        """What is at *path* of the API."""
        return self.ask(lambda client: client.adapter.get(f"/v1/{path}"))

    def post(self, path: str, **said: Any) -> Any:
        """What *path* of the API answers to what is *said*."""
        return self.ask(lambda client: client.adapter.post(f"/v1/{path}", json=said))


def _passes(error: Any) -> bool:
    from hvac import exceptions

    kinds = (exceptions.InternalServerError, exceptions.BadGateway, exceptions.RateLimitExceeded)
    return isinstance(error, (*kinds, exceptions.VaultNotInitialized, exceptions.UnexpectedError))


def _said(error: Any) -> str:
    """What Vault answered, and to what request. Neither has a token in it."""
    return " ".join(str(error).split())


def _reason(error: Exception) -> str:
    """What is at the bottom of it, where requests and urllib3 wrap each other."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return " ".join(str(reason).rpartition(">: ")[2].split()) or type(error).__name__
