# The Cassandra part of up. Drivers take the port of all nodes from the first one, so each node has an address of its
# own (127.0.0.1, .2, .3) and all the same port.

cql_make() {
  local count=$1 number server jars port storage jmx host hosts=()
  jars=$(class_path cassandra)
  for number in $(seq "$count"); do hosts+=("127.0.0.$number"); done
  port=${cql_port:-$(free_port "${hosts[@]}")}
  storage=$(free_port "${hosts[@]}")
  for number in $(seq "$count"); do
    server="$dir/cql-$number" host="127.0.0.$number"
    mkdir -p "$server/data" "$server/tmp"
    echo "$host" >"$server/host"
    echo "$port" >"$server/port"
    jmx=$(free_port 127.0.0.1)
    cql_settings "$server" "$host" "$port" "$storage" >"$server/cassandra.yaml"
    {
      printf '%s\n' java -Xms256m -Xmx1g -Xss512k "${quick_start[@]}" -Djava.io.tmpdir="$server/tmp"
      printf -- '-D%s\n' "cassandra.config=file://$server/cassandra.yaml" "cassandra.storagedir=$server/data" \
        "cassandra.logdir=$server" "cassandra.initial_token=$(cql_token "$number" "$count")" \
        "cassandra.jmx.local.port=$jmx" "logback.configurationFile=$here/logback.xml" cassandra-foreground=yes \
        jdk.attach.allowAttachSelf=true cassandra.skip_wait_for_gossip_to_settle=0 \
        cassandra.skip_sync=true
      cql_doors
      printf '%s\n' -cp "$jars" org.apache.cassandra.service.CassandraDaemon
    } >"$server/command"
  done
}

# The ring of 2^64 tokens cut into equal parts; the first part begins at 0.
cql_token() {
  case $1/$2 in
    1/*) echo 0 ;;
    2/2) echo -9223372036854775808 ;;
    2/3) echo 6148914691236517205 ;;
    3/3) echo -6148914691236517206 ;;
  esac
}

cql_settings() {
  cat <<END
cluster_name: smartlinks-dev
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
# An empty ring has nothing to hand over.
auto_bootstrap: false
# A table has some rows here, and tests make hundreds of tables: not a megabyte for each.
memtable_allocation_type: unslabbed_heap_buffers
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 16MiB
commitlog_total_space: 256MiB
listen_address: $2
rpc_address: $2
native_transport_port: $3
storage_port: $4
data_file_directories: [$1/data/data]
commitlog_directory: $1/data/commitlog
saved_caches_directory: $1/data/saved_caches
hints_directory: $1/data/hints
cdc_raw_directory: $1/data/cdc_raw
# A laptop that also compiles answers late: that is not what tests are about.
read_request_timeout: 10000ms
range_request_timeout: 15000ms
write_request_timeout: 10000ms
cas_contention_timeout: 10000ms
# Steps travel in batches over partitions, by design.
batch_size_warn_threshold: 64KiB
unlogged_batch_across_partitions_warn_threshold: 1000
# Tables of tests come and go; a dropped one is not worth a copy.
auto_snapshot: false
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:$4"
END
}

# What Java 17 keeps shut and Cassandra needs.
cql_doors() {
  local door
  for door in java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch \
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server \
    java.sql/java.sql; do
    printf -- '--add-exports=%s=ALL-UNNAMED\n' "$door"
  done
  for door in java.lang.module jdk.internal.loader jdk.internal.ref jdk.internal.reflect jdk.internal.math \
    jdk.internal.module jdk.internal.util.jar sun.nio.ch java.io java.util java.util.concurrent \
    java.util.concurrent.atomic java.nio; do
    printf -- '--add-opens=java.base/%s=ALL-UNNAMED\n' "$door"
  done
  echo --add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED
}

cql_ready() {
  grep -q 'Starting listening for CQL clients' "$dir/$1/log" 2>/dev/null &&
    answers "$(setting "$1" host)" "$(setting "$1" port)"
}
