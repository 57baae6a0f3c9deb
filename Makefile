# parley: build, test, install. `make help` lists the targets.
#
# Variables: B=build folder · SAN=address|thread|undefined|memory · CC=gcc|clang · V=1 (show commands)
#            COV=1 (clang: counts what runs) · SLOW=50 (to run under a tool that is so many times slower)
#            ROOMS="base model" (only these rooms, for work on one room) · PREFIX=/usr/local
B        ?= build
CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
comma    := ,
PREFIX   ?= /usr/local
VERSION  := 0.1.0
RELEASED := 2026-11-21
Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-6s %s\n' '$(1)' '$(2)')

ALL_ROOMS := base model net redact vault tokens store llm ledger session memory policy lua turn jobs
ROOMS    ?= $(ALL_ROOMS)
whole    := $(filter turn,$(ROOMS))

PKGS     := lua5.4 libcurl sqlite3 libsodium libzstd libpcre2-8 libutf8proc
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# The program carries its Lua, where the archive is there: a call into another shared object costs
# some processors 5 cycles, and the sandbox's libraries make hundreds in a hook (6 % of one).
lua_archive := $(wildcard $(shell pkg-config --variable=libdir lua5.4 2>/dev/null)/liblua5.4.a)
EXE_LIBS   := $(if $(lua_archive),$(patsubst -llua%,$(lua_archive),$(PKG_LIBS)) -lm,$(PKG_LIBS))

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wnull-dereference \
            -Wno-format-nonliteral
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection
OPT      := -O2 -g
CFLAGS_  := -std=c11 -D_GNU_SOURCE -Iengine $(PKG_CFLAGS) $(WARN) $(HARDEN) -fPIC \
            -fvisibility=hidden -DPARLEY_VERSION='"$(VERSION)"' \
            -DPARLEY_RELEASED='"$(RELEASED)"' -pthread
LDFLAGS_ := -pthread -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
ifdef SAN
OPT      := -O1 -g
CFLAGS_  += -fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined) \
            -fno-sanitize-recover=all -fno-omit-frame-pointer -DPARLEY_SANITIZED=1
LDFLAGS_ += -fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined)
else ifdef COV
# Counters are in the file as they change, so that a process that is killed has counted, too.
OPT      := -O2 -g
CFLAGS_  += -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic \
            -mllvm -runtime-counter-relocation
LDFLAGS_ += -fprofile-instr-generate
else
CFLAGS_  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
ifdef SLOW
CFLAGS_  += -DLUA_SLOW=$(SLOW)
endif
ALL_CFLAGS = $(CFLAGS_) $(OPT) $(CFLAGS)

lib_src  := $(sort $(foreach r,$(ROOMS),$(wildcard engine/$(r)/*.c)))
lib_src  += $(if $(whole),$(wildcard engine/parley.c engine/parley_*.c))
cli_src  := $(sort $(wildcard engine/cli/*.c))
lib_obj  := $(lib_src:%.c=$(B)/%.o)
cli_obj  := $(cli_src:%.c=$(B)/%.o)
embedded := $(sort $(wildcard scripts/*.lua scripts/parley/*.lua scripts/data/* scripts/completion/* \
                               $(filter-out %_test.lua,$(wildcard policies/*.lua))))
lib_obj  += $(if $(filter base,$(ROOMS)),$(B)/gen/embedded.o)
lib_obj  += $(if $(filter tokens,$(ROOMS)),$(B)/engine/tokens/image.o)
lib_obj  += $(if $(filter redact,$(ROOMS)),$(B)/gen/phones.o)
lib_obj  += $(if $(filter memory,$(ROOMS)),$(B)/gen/gate_words.o)
inner    := $(B)/libparley_inner.a

.PHONY: all
all: $(B)/parley $(B)/libparley.so.0 $(B)/libparley.a $(B)/parley.pc

include make/rules.mk
include make/deps.mk
include make/test.mk
include make/install.mk
include make/deep.mk
-include make/bench.mk
include make/fault.mk
