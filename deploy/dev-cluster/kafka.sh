# The Kafka part of up. Each broker is a controller too, so that any one of three may fail.

kafka_make() {
  local count=$1 number server voters='' jars id class_path
  jars=$(class_path kafka)
  # An id that begins with '-' would be taken for an option.
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c1-22)
  for number in $(seq "$count"); do
    server="$dir/kafka-$number"
    mkdir -p "$server/data" "$server/tmp"
    echo 127.0.0.1 >"$server/host"
    if [ "$number" = 1 ] && [ -n "$kafka_port" ]; then echo "$kafka_port"; else free_port 127.0.0.1; fi >"$server/port"
    free_port 127.0.0.1 >"$server/controller-port"
    voters+="${voters:+,}$number@127.0.0.1:$(cat "$server/controller-port")"
  done
  for number in $(seq "$count"); do
    server="$dir/kafka-$number"
    kafka_settings "$server" "$number" "$count" "$voters" >"$server/server.properties"
    java -Xmx256m -cp "$jars" kafka.tools.StorageTool format -t "$id" -c "$server/server.properties" >"$server/format.log" 2>&1 9>&- ||
      { cat "$server/format.log" >&2; fail "the storage of $server can't be formatted"; }
    printf '%s\n' java -Xms128m -Xmx512m -Djava.io.tmpdir="$server/tmp" -XX:+UseSerialGC -XX:TieredStopAtLevel=4 \
      -cp "$jars" kafka.Kafka "$server/server.properties" >"$server/command"
  done
}

kafka_settings() {
  local copies=$3 in_sync=1
  [ "$copies" -lt 3 ] || in_sync=2
  cat <<END
process.roles=broker,controller
node.id=$2
controller.quorum.voters=$4
listeners=PLAINTEXT://127.0.0.1:$(cat "$1/port"),CONTROLLER://127.0.0.1:$(cat "$1/controller-port")
advertised.listeners=PLAINTEXT://127.0.0.1:$(cat "$1/port")
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$1/data
# Topics are made by the program, with the settings it asks for.
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=1
# Tests wait for every rebalance and every broker that comes back.
group.initial.rebalance.delay.ms=0
# A broker that was killed is declared dead after this.
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
controlled.shutdown.enable=true
log.retention.check.interval.ms=5000
file.delete.delay.ms=1000
END
}

kafka_ready() {
  grep -q 'Kafka Server started' "$dir/$1/log" 2>/dev/null && answers 127.0.0.1 "$(setting "$1" port)"
}
