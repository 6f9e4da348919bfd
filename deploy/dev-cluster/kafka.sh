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
    [ -z "$tls" ] || kafka_door "$server"
    voters+="${voters:+,}$number@127.0.0.1:$(cat "$server/controller-port")"
  done
  for number in $(seq "$count"); do
    server="$dir/kafka-$number"
    kafka_settings "$server" "$number" "$count" "$voters" >"$server/server.properties"
    java -Xmx256m "${quick_start[@]}" -cp "$jars" kafka.tools.StorageTool format -t "$id" -c "$server/server.properties" \
      ${tls:+--add-scram "SCRAM-SHA-256=[name=$kafka_user,password=$kafka_user]"} >"$server/format.log" 2>&1 9>&- ||
      { cat "$server/format.log" >&2; fail "the storage of $server can't be formatted"; }
    printf '%s\n' java -Xms128m -Xmx512m -Djava.io.tmpdir="$server/tmp" "${quick_start[@]}" \
      -cp "$jars" kafka.Kafka "$server/server.properties" >"$server/command"
  done
}

# Name and password behind the door with TLS.
kafka_user=smartlinks

# kafka_door DIRECTORY: a port and a certificate that vouches for itself, which clients find in tls.pem.
kafka_door() {
  local store=(-alias broker -keystore "$1/tls.p12" -storetype PKCS12 -storepass "$kafka_user")
  free_port 127.0.0.1 >"$1/tls-port"
  keytool -genkeypair "${store[@]}" -keyalg EC -groupname secp256r1 -validity 3650 -dname CN=127.0.0.1 \
    -ext SAN=IP:127.0.0.1 -ext bc=ca:true >"$1/format.log" 2>&1 9>&- || { cat "$1/format.log" >&2; fail "no certificate for $1"; }
  keytool -exportcert -rfc "${store[@]}" >"$1/tls.pem" 2>/dev/null 9>&-
}

# The door beside the open one, which brokers go on using among themselves.
kafka_door_settings() {
  local login=org.apache.kafka.common.security
  cat <<END
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
ssl.keystore.type=PKCS12
ssl.keystore.location=$1/tls.p12
ssl.keystore.password=$kafka_user
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_$kafka_user="$kafka_user";
END
}

kafka_settings() {
  local copies=$3 in_sync=1 door=''
  [ "$copies" -lt 3 ] || in_sync=2
  [ ! -f "$1/tls-port" ] || door=",SASL_SSL://127.0.0.1:$(cat "$1/tls-port")"
  cat <<END
process.roles=broker,controller
node.id=$2
controller.quorum.voters=$4
listeners=PLAINTEXT://127.0.0.1:$(cat "$1/port")$door,CONTROLLER://127.0.0.1:$(cat "$1/controller-port")
advertised.listeners=PLAINTEXT://127.0.0.1:$(cat "$1/port")$door
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
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
  [ -z "$door" ] || kafka_door_settings "$1"
}

kafka_ready() {
  grep -q 'Kafka Server started' "$dir/$1/log" 2>/dev/null && answers 127.0.0.1 "$(setting "$1" port)"
}
