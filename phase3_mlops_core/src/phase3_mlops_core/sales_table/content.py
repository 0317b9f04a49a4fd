"""Say by a digest what rows hold, whatever files and row groups they lie in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from phase1_docker_api.schemas import CATEGORIES, Sale

TEXTS = (*CATEGORIES, "sale_id", "property_id")


def _type_of(name: str) -> pa.DataType:
    if name in TEXTS:
        return pa.large_string()
    return {"sale_date": pa.date32(), "waterfront": pa.bool_()}.get(name, pa.float64())


SCHEMA = pa.schema([(name, _type_of(name)) for name in Sale.model_fields])
_EMPTY = {"large_string": "", "double": 0.0, "bool": False}


def content_digest(tables: Iterable[pa.Table]) -> str:
    """SHA-256 of the rows of tables with `SCHEMA`, in their order; takes the memory of one table at a time."""
    digest = hashlib.sha256()
    for table in tables:
        for column in table.select(SCHEMA.names).cast(SCHEMA).combine_chunks().columns:
            for part in _parts(column):
                digest.update(part)
    return digest.hexdigest()


def _parts(column: pa.ChunkedArray) -> Iterable[memoryview | bytes]:
    """Give a column's bytes: where its gaps are, and its values with the gaps filled."""
    yield f"{column.type} {len(column)} {column.null_count}".encode()
    if column.null_count:
        yield _bytes_of(pc.is_null(column).cast(pa.int8()))
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32()).fill_null(0)
    else:
        column = column.fill_null(_EMPTY[str(column.type)])
    if pa.types.is_large_string(column.type):
        yield _bytes_of(pc.binary_length(column))
        yield "".join(column.to_pylist()).encode()
    else:
        yield _bytes_of(column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column)


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    return bytes(column.to_numpy().tobytes())
