# Berth's one Makefile. `make help` lists the targets. A new source file touches nothing here: rooms
# are wildcards, objects and generated code live only under build/.
#
#   V=1                     show the commands
#   DEVELOPER=1             warnings are errors
#   SAN=address,undefined   sanitizers, in a build folder of their own
#   IMAGE=NAME              the node image's name

VERSION := 0.1.0
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

comma   := ,
BUILD   := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
SHAREDIR ?= $(PREFIX)/share/berth
SBINDIR ?= $(PREFIX)/sbin
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d

PKG_CONFIG ?= pkg-config
PROTOC_C   ?= protoc-c
CC         ?= cc
CFLAGS     ?= -O2 -g

say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$@';)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# --- flags ----------------------------------------------------------------------------------------

# Asked for only when something is compiled: a machine before `make deps` may have no pkg-config.
pkg_cflags = $(shell $(PKG_CONFIG) --cflags $(1) 2>/dev/null)
pkg_libs   = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)

warnings := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
	-Wformat=2 -Wvla -Werror=incompatible-pointer-types -Werror=implicit-function-declaration \
	$(if $(DEVELOPER),-Werror)
# What the descriptors of protobuf-c need of the loader is packed, and nothing here is unwound: a third of berthd.
small     := $(if $(SAN),,-fno-asynchronous-unwind-tables)
hardening := $(small) -ffunction-sections -fdata-sections -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -fPIE
sanitize  := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -U_FORTIFY_SOURCE -O1)

cflags = -std=gnu11 -D_GNU_SOURCE $(warnings) $(hardening) -pthread \
	-I. -I$(BUILD)/gen -DBERTH_VERSION='"$(VERSION)"' $(CFLAGS) $(sanitize) $(CPPFLAGS)
ldflags = -pie -pthread -Wl,-z,relro,-z,now,-z,pack-relative-relocs,--as-needed,--gc-sections $(LDFLAGS) $(sanitize)

SHARED_LIBS     = $(call pkg_libs,libprotobuf-c libarchive)
CONTROLLER_LIBS = -lnng $(call pkg_libs,libprotobuf-c json-c libfyaml libssl libcrypto) $(ARCHIVE_LIBS)
AGENT_LIBS      = -lnng $(call pkg_libs,libprotobuf-c libsystemd libnghttp2)
FRONT_LIBS      = $(call pkg_libs,libssl libcrypto libmicrohttpd libprotobuf-c libsystemd)
COPY_LIBS       = $(ARCHIVE_LIBS)
# The static one: of the shared one's many dependencies none is needed for plain tar, and loading them is
# half of a short command's time.
ARCHIVE_LIBS    = -l:libarchive.a
TEST_LIBS       = $(call pkg_libs,cmocka)

# --- rooms ----------------------------------------------------------------------------------------

proto_src  := $(shell find proto -name '*.proto' 2>/dev/null | sort)
proto_c    := $(proto_src:proto/%.proto=$(BUILD)/gen/%.pb-c.c)
proto_h    := $(proto_c:.c=.h)
proto_o    := $(proto_c:.c=.o)
gen_h      := $(BUILD)/gen/methods.inc

shared_c     := $(shell find shared -name '*.c' | sort)
controller_c := $(shell find controller -name '*.c' ! -path controller/main.c | sort)
agent_c      := $(shell find agent -name '*.c' ! -path agent/main.c ! -path 'agent/front/*' ! -path 'agent/copy/*' | sort)
# Programs of their own beside the agent, for what its small root process does not link (DESIGN.md section 4).
front_c      := $(shell find agent/front agent/ask -name '*.c' ! -name main.c 2>/dev/null | sort)
copy_main    := $(wildcard agent/copy/main.c)
copy_c       := $(filter-out $(copy_main),$(shell find agent/copy -name '*.c' | sort))
front_main   := $(wildcard agent/front/main.c)
helpers      := $(if $(front_main),$(BUILD)/berthd-front) $(if $(copy_main),$(BUILD)/berthd-copy)
support_c    := $(shell find tests/support -name '*.c' | sort)
objects       = $(1:%.c=$(BUILD)/%.o)

shared_a     := $(BUILD)/libshared.a
controller_a := $(BUILD)/libcontroller.a
agent_a      := $(BUILD)/libagent.a
support_a    := $(BUILD)/libsupport.a
front_a      := $(BUILD)/libfront.a

.PHONY: all
all: $(BUILD)/berth $(BUILD)/berthd $(helpers) ## builds build/berth and build/berthd (the default)

$(BUILD)/berth: $(BUILD)/controller/main.o $(controller_a) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -o $@ $^ $(CONTROLLER_LIBS)

$(BUILD)/berthd: $(BUILD)/agent/main.o $(agent_a) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -o $@ $^ $(AGENT_LIBS)

$(BUILD)/berthd-front: $(BUILD)/agent/front/main.o $(front_a) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -o $@ $^ $(FRONT_LIBS)

$(BUILD)/berthd-copy: $(BUILD)/agent/copy/main.o $(call objects,$(copy_c)) $(shared_a)
	$(call say,LD)$(CC) $(ldflags) -o $@ $^ $(COPY_LIBS)

$(shared_a): $(call objects,$(shared_c)) $(proto_o)
$(controller_a): $(call objects,$(controller_c))
$(agent_a): $(call objects,$(agent_c))
$(support_a): $(call objects,$(support_c))
$(front_a): $(call objects,$(front_c))
$(shared_a) $(controller_a) $(agent_a) $(support_a) $(front_a):
	$(call say,AR)rm -f $@ && $(AR) rcsD $@ $^

# Generated headers first, once; after that -MMD knows.
all_c := $(shared_c) $(controller_c) $(agent_c) $(support_c) $(front_c) controller/main.c agent/main.c $(copy_main) $(copy_c) $(front_main)
$(call objects,$(sort $(all_c))) $(proto_o): | $(proto_h) $(gen_h)

$(BUILD)/%.o: %.c
	$(call say,CC)mkdir -p $(@D) && $(CC) $(cflags) -MMD -MP -c -o $@ $<

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(call say,CC)$(CC) $(cflags) -Wno-unused-parameter -Wno-shadow -MMD -MP -c -o $@ $<

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: proto/%.proto $(proto_src)
	$(call say,PROTO)mkdir -p $(BUILD)/gen && $(PROTOC_C) -Iproto --c_out=$(BUILD)/gen $<

$(gen_h): $(proto_src) proto/methods.awk
	$(call say,GEN)mkdir -p $(@D) && awk -f proto/methods.awk $(filter proto/node/%,$(proto_src)) > $@

# version.c alone knows the commit, so that a new commit rebuilds one file.
$(BUILD)/shared/base/version.o: CPPFLAGS += -DBERTH_COMMIT='"$(COMMIT)"'
$(BUILD)/shared/base/version.o: $(BUILD)/gen/commit
$(BUILD)/gen/commit: FORCE
	@mkdir -p $(@D); echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@
.PHONY: FORCE
FORCE:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# --- the rest, room by room -----------------------------------------------------------------------

-include images/module.mk
-include tests/module.mk

.PHONY: deps
deps: ## installs the Debian packages that Berth builds and runs with (as root), or names the missing
	@.ci/deps

.PHONY: install
install: $(BUILD)/berth ## installs berth below $(DESTDIR)$(PREFIX)
	install -D -m 0755 $(BUILD)/berth $(DESTDIR)$(BINDIR)/berth

.PHONY: install-images
install-images: all ## installs what `berth build node-image` builds from
	install -d $(DESTDIR)$(SHAREDIR)/agent
	cp -R images $(DESTDIR)$(SHAREDIR)/
	cp -R agent/systemd $(DESTDIR)$(SHAREDIR)/agent/
	install -m 0755 $(BUILD)/berthd $(helpers) $(DESTDIR)$(SHAREDIR)/

.PHONY: install-agent
install-agent: $(BUILD)/berthd $(helpers) ## installs berthd, its helpers and units, for a node of your own
	install -D -m 0755 -t $(DESTDIR)$(SBINDIR) $(BUILD)/berthd $(helpers)
	install -D -m 0644 -t $(DESTDIR)$(UNITDIR) $(wildcard agent/systemd/*.service agent/systemd/*.socket agent/systemd/*.path)
	install -D -m 0644 agent/systemd/berthd-front.sysusers $(DESTDIR)$(SYSUSERSDIR)/berthd-front.conf

.PHONY: format
format: ## lays the sources out as .clang-format says
	clang-format -i $$(git ls-files '*.c' '*.h')

.PHONY: clean
clean: ## removes build/
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST) | sort
