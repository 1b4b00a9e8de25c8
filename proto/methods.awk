# Reads the .proto files of package berth.node.v1 and prints one METHOD(service, method, effect, role)
# row an RPC: what the descriptors of protoc-c do not carry. 'effect' comes from idempotency_level: none
# said is ONCE. 'role' is the comment right above the RPC, "// Role: read." or "// Role: admin."; an RPC
# without one is an error, and nothing is built.
function row() {
	if (rpc != "") printf "METHOD(\"berth.node.v1.%s\", \"%s\", %s, %s)\n", service, rpc, effect, role
	rpc = ""
}
/^[ \t]*\/\/ Role: (read|admin)\.$/ { said = $3 == "read." ? "ROLE_READ" : "ROLE_ADMIN"; next }
{ sub(/\/\/.*/, "") }
$1 == "service" { service = $2; sub(/\{.*/, "", service) }
$1 == "rpc" {
	row()
	rpc = $2; sub(/\(.*/, "", rpc)
	effect = "METHOD_ONCE"
	role = said
	if (role == "") {
		printf "%s:%d: rpc %s has no role; write \"// Role: read.\" or \"// Role: admin.\" right above it\n", FILENAME, FNR, rpc > "/dev/stderr"
		failed = 1
	}
}
{ said = "" }
/NO_SIDE_EFFECTS/ { effect = "METHOD_READS" }
/IDEMPOTENT/ { effect = "METHOD_REPEATABLE" }
/^}/ { row() }
END { exit failed }
