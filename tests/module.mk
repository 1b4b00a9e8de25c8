# Tests: every tests/{unit,loop,e2e,bench}/**/test_*.c or bench_*.c is one program, linked with the
# side it is about. `make test` is the whole proof.

unit_c  := $(shell find tests/unit -name 'test_*.c' | sort)
loop_c  := $(shell find tests/loop -name 'test_*.c' | sort)
e2e_c   := $(shell find tests/e2e -name 'test_*.c' | sort)
bench_c := $(shell find tests/bench -name 'bench_*.c' | sort)

unit_bin  := $(unit_c:%.c=$(BUILD)/%)
loop_bin  := $(loop_c:%.c=$(BUILD)/%)
e2e_bin   := $(e2e_c:%.c=$(BUILD)/%)
bench_bin := $(bench_c:%.c=$(BUILD)/%)

$(call objects,$(unit_c) $(loop_c) $(e2e_c) $(bench_c)): | $(proto_h) $(gen_h)

test_ld = $(call say,LD)$(CC) $(ldflags) -o $@ $< $(support_a)

$(BUILD)/tests/unit/agent/front/%: $(BUILD)/tests/unit/agent/front/%.o $(front_a) $(support_a) $(shared_a)
	$(test_ld) $(front_a) $(shared_a) $(FRONT_LIBS) $(TEST_LIBS)
# The agent first: here the call is the server's own, not tests/support/call_stub.c.
$(BUILD)/tests/unit/agent/server/%: $(BUILD)/tests/unit/agent/server/%.o $(agent_a) $(support_a) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -o $@ $< $(agent_a) $(support_a) $(agent_a) $(shared_a) $(AGENT_LIBS) $(TEST_LIBS)
$(BUILD)/tests/unit/agent/%: $(BUILD)/tests/unit/agent/%.o $(agent_a) $(support_a) $(shared_a)
	$(test_ld) $(agent_a) $(shared_a) $(AGENT_LIBS) $(TEST_LIBS)
$(BUILD)/tests/unit/controller/%: $(BUILD)/tests/unit/controller/%.o $(controller_a) $(support_a) $(shared_a)
	$(test_ld) $(controller_a) $(shared_a) $(CONTROLLER_LIBS) $(TEST_LIBS)
# The nodes' own programs, run as processes.
$(BUILD)/tests/unit/images/%: $(BUILD)/tests/unit/images/%.o $(controller_a) $(support_a) $(shared_a)
	$(test_ld) $(controller_a) $(shared_a) $(CONTROLLER_LIBS) $(TEST_LIBS)
$(BUILD)/tests/unit/shared/%: $(BUILD)/tests/unit/shared/%.o $(support_a) $(shared_a)
	$(test_ld) $(shared_a) $(SHARED_LIBS) $(TEST_LIBS)
$(loop_bin) $(e2e_bin) $(bench_bin): $(BUILD)/%: $(BUILD)/%.o $(controller_a) $(support_a) $(shared_a)
	$(test_ld) $(controller_a) $(shared_a) $(CONTROLLER_LIBS) $(TEST_LIBS)

# The same tests under the sanitizers, in a build folder of their own.
san_make = $(MAKE) --no-print-directory SAN=address,undefined DEVELOPER=$(DEVELOPER)

# Fuzzing, in a build folder of its own: clang's libFuzzer with ASan and UBSan. The same targets go
# over their corpora in `make test` with another main(): tests/fuzz/replay.c.
fuzz_c         := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_bin       := $(fuzz_c:%.c=$(BUILD)/%)
replay_bin     := $(fuzz_c:tests/fuzz/fuzz_%.c=$(BUILD)/tests/fuzz/test_%)
fuzz_help      := $(call objects,$(filter-out $(fuzz_c) tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
fuzz_both       = $(foreach t,$(1),$(BUILD)/tests/fuzz/fuzz_$(t) $(BUILD)/tests/fuzz/test_$(t))
fuzz_agent     := $(call fuzz_both,request reply journal grpc streams handlers probe gate logs proc store session)
fuzz_controller := $(call fuzz_both,cluster manifest engine lines values command)
fuzz_front     := $(call fuzz_both,http certificate)
FUZZ_SECONDS   ?= 60

$(call objects,$(wildcard tests/fuzz/*.c)): | $(proto_h) $(gen_h)
$(fuzz_agent): $(agent_a)
$(fuzz_agent): LDLIBS = $(agent_a) $(shared_a) $(AGENT_LIBS)
$(fuzz_controller): $(controller_a)
$(fuzz_controller): LDLIBS = $(controller_a) $(shared_a) $(CONTROLLER_LIBS)
$(fuzz_front): $(front_a)
$(fuzz_front): LDLIBS = $(front_a) $(shared_a) $(FRONT_LIBS)
$(call fuzz_both,certificate): $(controller_a)
$(call fuzz_both,certificate): LDLIBS = $(front_a) $(controller_a) $(shared_a) $(FRONT_LIBS) $(CONTROLLER_LIBS)
# What a target must not really do is replaced by its own; the target says why.
replaced        = $(1:%=-Wl,--wrap=%)
$(call fuzz_both,handlers): ldflags += $(call replaced,children_open child_stream_open \
	forward_stream_open kmsg_open volumes_prepare helper_start helper_cancel)
$(call fuzz_both,streams logs session): ldflags += $(call replaced,children_open)
$(call fuzz_both,http): ldflags += $(call replaced,MHD_start_daemon probe_new probe_ask)

$(fuzz_bin) $(replay_bin): LDLIBS ?= $(shared_a) $(SHARED_LIBS)
$(fuzz_bin): $(BUILD)/%: $(BUILD)/%.o $(fuzz_help) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -fsanitize=fuzzer -o $@ $< $(fuzz_help) $(LDLIBS)
$(replay_bin): $(BUILD)/tests/fuzz/test_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(fuzz_help) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -o $@ $< $(BUILD)/tests/fuzz/replay.o $(fuzz_help) $(LDLIBS)

# The targets' own code is not what they are to find their way through.
fuzz_seen  := -fsanitize=fuzzer-no-link
$(call objects,$(wildcard tests/fuzz/*.c)): override CFLAGS := $(filter-out $(fuzz_seen),$(CFLAGS))
fuzz_flags = BUILD=build/fuzz CC=clang LDFLAGS=-fsanitize=address,undefined \
	CPPFLAGS='-U_FORTIFY_SOURCE -DSTREAM_BUFFER_BYTES=65536u' \
	CFLAGS='-O1 -g $(fuzz_seen) -fsanitize=address,undefined -fno-sanitize-recover=undefined'

.PHONY: fuzz fuzz-smoke fuzz-bins
fuzz-bins: $(fuzz_bin)

fuzz: ## every decoder against random input: FUZZ_SECONDS=60 each, FUZZ=journal for one
	@$(MAKE) --no-print-directory $(fuzz_flags) fuzz-bins
	@tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ)

fuzz-smoke: ## the same for 3 seconds each
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=3

# Under the thread sanitizer: what has threads.
threaded := loop/test_client loop/test_server loop/test_pods unit/controller/cluster/test_apply \
	unit/controller/cluster/test_apply_wait unit/controller/cluster/test_prepare \
	unit/controller/exec/test_exec loop/test_exec loop/test_cli loop/test_cli_events \
	loop/test_cli_logs loop/test_files loop/test_front loop/test_relay \
	unit/controller/client/test_ahead unit/controller/client/test_bridge

.PHONY: tests threaded-tests e2e test check check-sanitized bench check-source
threaded-tests: $(BUILD)/berthd $(BUILD)/berth $(helpers) $(threaded:%=$(BUILD)/tests/%)

tests: all $(unit_bin) $(loop_bin) $(e2e_bin) $(bench_bin) $(if $(SAN),$(replay_bin))

check: $(unit_bin) $(loop_bin) $(if $(SAN),$(replay_bin)) $(BUILD)/berthd $(BUILD)/berth $(helpers) ## unit and loop tests: no engine needed
	@tests/run --title='unit ($(BUILD))' $(filter-out %/test_cri_real %/test_unit_systemd,$(unit_bin)) \
		--title='loop ($(BUILD))' $(loop_bin) \
		$(if $(SAN),--title='corpora ($(BUILD))' $(replay_bin))

check-sanitized: ## unit and loop tests under ASan and UBSan
	@$(san_make) check

check-source: ## house rules: includes, banned functions, comments, layout, coverage
	@tests/house/check-source

e2e: tests image ## end to end on podman
	@tests/run --title='end to end' --timeout=900 $(e2e_bin)

bench: tests image ## compares with what people use today, side by side in one run
	@$(BUILD)/tests/bench/bench_call
	@$(BUILD)/tests/bench/bench_clients
	@$(BUILD)/tests/bench/bench_berth
	@$(BUILD)/tests/bench/bench_create
	@$(BUILD)/tests/bench/bench_life
	@$(BUILD)/tests/bench/bench_streams
	@awk -f tests/bench/chart.awk build/bench/*.json >build/bench/chart.svg
	@echo 'Drawn in build/bench/chart.svg.'

test: deps ## the whole proof: installs what is missing, builds, runs everything
	@tests/prove

.PHONY: demo
demo: deps ## from nothing to a running pod: installs, builds, creates, stops, starts, with times
	@tests/timed 'Building berth and berthd' $(MAKE) --no-print-directory -j$(shell nproc) all
	@tests/timed 'Building the node image' $(MAKE) --no-print-directory image
	@tests/demo
