"""Say by a digest what rows hold, whatever files and row groups they lie in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from phase1_docker_api.schemas import CATEGORIES, Sale

TEXTS = (*CATEGORIES, "sale_id", "property_id")


def _type_of(name: str) -> pa.DataType:
    if name in TEXTS:
        return pa.large_string()
    return {"sale_date": pa.date32(), "waterfront": pa.bool_()}.get(name, pa.float64())


SCHEMA = pa.schema([(name, _type_of(name)) for name in Sale.model_fields])


def content_digest(tables: Iterable[pa.Table]) -> str:
    """SHA-256 of the rows of tables with `SCHEMA`, in their order, however they are parted into tables."""
    hashes = {(name, kind): hashlib.sha256() for name in SCHEMA.names for kind in ("gaps", "values", "letters")}
    for table in tables:
        rows = table.select(SCHEMA.names).cast(SCHEMA)
        for name in SCHEMA.names:
            for kind, part in _parts(rows[name]):
                hashes[name, kind].update(part)
    return hashlib.sha256(b"".join(each.digest() for each in hashes.values())).hexdigest()


def _parts(column: pa.ChunkedArray) -> Iterator[tuple[str, bytes]]:
    """Give a column's bytes: where its gaps are, and its values with the gaps filled."""
    yield "gaps", _bytes_of(column.is_null().cast(pa.int8()))
    if pa.types.is_large_string(column.type):
        filled = column.fill_null("")
        yield "values", _bytes_of(pc.binary_length(filled))
        yield "letters", "".join(filled.to_pylist()).encode()
        return
    numbers = {pa.date32(): pa.int32(), pa.bool_(): pa.int8()}.get(column.type, column.type)
    yield "values", _bytes_of(column.cast(numbers).fill_null(0))


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    return bytes(column.to_numpy().tobytes())
