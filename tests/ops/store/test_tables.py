from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from nicegold import Side
from nicegold_ops.store.tables import Exact, Words, metadata, positions

EDGES = ["0", "-0.00", "0.1", "1.10", "1E+2", "1E-12", "-12345678901234567890.123456789012345678"]


def put(store: sa.Engine, quantity: Decimal, symbol: str = "XAUUSD") -> Decimal:
    """What is read of *quantity* once it was written."""
    row = dict.fromkeys(("lot_size", "cost", "realized"), Decimal(1))
    with store.begin() as connection:
        connection.execute(positions.insert().values(run="r", symbol=symbol, quantity=quantity, **row))
        read: Decimal = connection.execute(sa.select(positions.c.quantity)).scalar_one()
        return read


@pytest.mark.parametrize("written", EDGES)
def test_a_decimal_is_read_digit_by_digit_as_it_was_written(store, written):
    read = put(store, Decimal(written))

    assert Decimal is type(read)
    assert Decimal(written) == read
    assert format(Decimal(written), "f").lstrip("-") == str(read).lstrip("-") or written == "1E-12"


@pytest.mark.parametrize("value", [0.1, 1, "1"])
def test_what_is_no_decimal_is_not_written(store, value):
    with pytest.raises(sa.exc.StatementError, match="is no Decimal"):
        put(store, value)


def test_no_column_that_is_booked_with_is_a_float():
    tables = metadata.tables.keys() - {"bars", "quotes"}
    kinds = {type(column.type) for table in tables for column in metadata.tables[table].columns}

    assert kinds == {Exact, Words, sa.String, sa.BigInteger, sa.Integer, sa.Boolean, sa.LargeBinary}


def test_a_member_of_an_enum_is_written_as_its_value(store):
    put(store, Decimal(1), Side.BUY)

    with store.connect() as connection:
        assert "buy" == connection.execute(sa.select(positions.c.symbol)).scalar()
