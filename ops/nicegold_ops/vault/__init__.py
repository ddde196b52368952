"""HashiCorp Vault, or OpenBao, which speaks the same API: where secrets are, and what they are lent for."""
