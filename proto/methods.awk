# Reads the .proto files of package berth.node.v1 and prints one METHOD(service, method, reads) row
# an RPC: what the descriptors of protoc-c do not carry. 'reads' is 1 for an RPC that says
# NO_SIDE_EFFECTS; every other one is taken to have side effects.
function row() { if (rpc != "") printf "METHOD(\"berth.node.v1.%s\", \"%s\", %d)\n", service, rpc, reads; rpc = "" }
{ sub(/\/\/.*/, "") }
$1 == "service" { service = $2; sub(/\{.*/, "", service) }
$1 == "rpc" { row(); rpc = $2; sub(/\(.*/, "", rpc); reads = 0 }
/NO_SIDE_EFFECTS/ { reads = 1 }
/^}/ { row() }
