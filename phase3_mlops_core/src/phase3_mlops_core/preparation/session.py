"""The one session with Spark that a process has, and its errors in words that say what to do."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import grpc
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.connect.client import DefaultChannelBuilder
from pyspark.sql.connect.client.retries import DefaultPolicy

from phase3_mlops_core.errors import SparkError

REACH_SECONDS = 5.0
# Five attempts within two seconds: a server that was killed has lost the session, and waiting brings none back.
RETRIES, MOST_MILLISECONDS = 4, 500
# Some 5,000 raw rows: an interpreted plan takes a millisecond a row, and compiling it some five seconds.
LARGE_BYTES = 250_000


@contextlib.contextmanager
def spark_session(remote: str) -> Iterator[SparkSession]:
    """Open the session with the Spark Connect server at `remote`, such as sc://127.0.0.1:5201, and close it.

    Raises:
        SparkError: nothing answers there within seconds, the server was lost in the middle, or a query failed.

    """
    # On an error it writes the query's JSON to the log, which tells a learner nothing.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    with explained(remote):
        reach(remote)
        session: SparkSession = SparkSession.builder.remote(remote).getOrCreate()
        session.conf.set("spark.sql.sources.parallelPartitionDiscovery.threshold", 10_000)  # a job for 33 files is slow
        plan_for(session, 0)
        session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES, max_backoff=MOST_MILLISECONDS)])
        try:
            yield session
        finally:
            with contextlib.suppress(Exception):  # the server may be gone
                session.stop()


def plan_for(session: SparkSession, size: int) -> None:
    """Let Spark interpret its plans for raw files of few bytes, and compile them to Java for more.

    The compiler and the adaptive planner take seconds for each new query, whatever its number of rows.
    """
    is_large = size > LARGE_BYTES
    session.conf.set("spark.sql.codegen.wholeStage", is_large)
    session.conf.set("spark.sql.codegen.factoryMode", "FALLBACK" if is_large else "NO_CODEGEN")
    session.conf.set("spark.sql.adaptive.enabled", is_large)


def reach(remote: str) -> None:
    """Wait until a server answers, for a few seconds.

    Raises:
        SparkError: none does, or the address is none.

    """
    try:
        builder = DefaultChannelBuilder(remote)
    except PySparkException as error:
        raise SparkError(f"{remote} is no address of Spark Connect: write it as sc://127.0.0.1:5201") from error
    channel = builder.toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=REACH_SECONDS)
    except grpc.FutureTimeoutError as error:
        raise SparkError(f"Spark does not answer at {remote}: start it with  make phase3-up") from error
    finally:
        channel.close()


@contextlib.contextmanager
def explained(remote: str) -> Iterator[None]:
    """Turn what Spark's client raises into a SparkError."""
    try:
        yield
    except (grpc.RpcError, PySparkException) as error:
        if is_loss(error):
            raise SparkError(
                f"Spark at {remote} was lost in the middle; the table is as it was. "
                "Look at  make phase3-logs, start Spark with  make phase3-up, and run this again"
            ) from error
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SparkError(f"Spark refused the work: {text}") from error


def is_loss(error: BaseException) -> bool:
    """Say whether the server went away, or came back without this session."""
    if isinstance(error, grpc.RpcError):
        return True
    text = str(error)
    return any(word in text for word in ("UNAVAILABLE", "SESSION_NOT_FOUND", "SESSION_CHANGED", "SESSION_CLOSED"))
