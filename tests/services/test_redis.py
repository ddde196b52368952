"""What Redis was told outlives it."""

from __future__ import annotations

from tests.services.redis import redis


def test_what_it_was_told_outlives_a_stop():
    with redis() as server:
        assert "+OK" == server.says("SET order gold-1")

        server.stop()
        assert "" == server.says("PING")
        server.start()

        assert "$6" == server.says("GET order")
