# Installing, and the two commands of the README.
DESTDIR ?=
# Where the shells look by themselves, for PREFIX=/usr and /usr/local.
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS  ?= $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS ?= $(PREFIX)/share/fish/vendor_completions.d
SYSTEMD_UNITS    ?= $(PREFIX)/lib/systemd/system

.PHONY: run install help clean distclean
run: deps
	$(Q)$(MAKE) -s --no-print-directory -j$(JOBS) build/parley
	@exec build/parley chat

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include \
	    $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/parley/policies \
	    $(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS) $(DESTDIR)$(FISH_COMPLETIONS) \
	    $(DESTDIR)$(SYSTEMD_UNITS)
	install -m 755 $(B)/parley $(DESTDIR)$(PREFIX)/bin/parley
	install -m 755 $(B)/libparley.so.0 $(DESTDIR)$(PREFIX)/lib/libparley.so.0
	ln -sf libparley.so.0 $(DESTDIR)$(PREFIX)/lib/libparley.so
	install -m 644 $(B)/libparley.a $(DESTDIR)$(PREFIX)/lib/libparley.a
	install -m 644 engine/parley.h engine/parley_tools.h $(DESTDIR)$(PREFIX)/include/
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(B)/parley.pc > $(DESTDIR)$(PREFIX)/lib/pkgconfig/parley.pc
	$(B)/parley help --man > $(DESTDIR)$(PREFIX)/share/man/man1/parley.1
	$(B)/parley completion bash > $(DESTDIR)$(BASH_COMPLETIONS)/parley
	$(B)/parley completion zsh > $(DESTDIR)$(ZSH_COMPLETIONS)/_parley
	$(B)/parley completion fish > $(DESTDIR)$(FISH_COMPLETIONS)/parley.fish
	for u in service timer; do sed 's|@PREFIX@|$(PREFIX)|' scripts/systemd/parley-upkeep.$$u \
	    > $(DESTDIR)$(SYSTEMD_UNITS)/parley-upkeep.$$u || exit 1; done
	install -m 644 policies/*.lua $(DESTDIR)$(PREFIX)/share/parley/policies

# A Debian package of the same, for the release of Debian that it is made on.
DEB ?= $(B)/parley_$(VERSION).deb
.PHONY: deb
deb: all
	$(Q)rm -rf $(B)/deb && mkdir -p $(B)/deb
	$(Q)$(MAKE) -s --no-print-directory install PREFIX=/usr DESTDIR=$(CURDIR)/$(B)/deb/root >$(B)/deb/log
	$(call say,DEB,$(DEB))
	$(Q)tools/deb.sh $(CURDIR)/$(B)/deb/root $(VERSION) $(DEB)
	$(Q)rm -rf $(B)/deb

help:
	@printf '%s\n' \
	  'make            build the program and the library' \
	  'make run        install what is missing, build, chat (offline, no key)' \
	  'make test       install what the tests need, build, run every test' \
	  'make check      the same: what CI runs' \
	  'make bench      figures, as ratios against raw limits in the same run' \
	  'make fault      the long fault harnesses' \
	  'make check-deep ThreadSanitizer and valgrind over the tests and the command line (about 30 minutes)' \
	  'make coverage   lines and branches that the tests reach; ledger/ and store/ are held to all' \
	  'make fuzz       every fuzz target for FUZZ_SECONDS (600)' \
	  'make unit T=x   one test program' \
	  'make install    PREFIX=/usr/local DESTDIR=' \
	  'make deb        a Debian package in the build folder' \
	  'make clean      remove the build folders' \
	  '' 'Variables: V=1 (show commands) CC=clang SAN=address|thread|undefined|memory B=folder'

clean distclean:
	rm -rf build build-*
