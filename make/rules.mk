# How things are built. Objects depend on a stamp of the flags, so that changing them rebuilds.
stamp := $(B)/flags.stamp
$(shell mkdir -p $(B)/gen; printf '%s' "$(CC) $(ALL_CFLAGS) $(LDFLAGS_)" | cmp -s - $(stamp) || \
        printf '%s' "$(CC) $(ALL_CFLAGS) $(LDFLAGS_)" > $(stamp))

$(B)/%.o: %.c $(stamp)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/embedded.o: $(B)/gen/embedded.c $(stamp)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/tools/embed: tools/embed.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -O1 -o $@ $<

# The list of files is part of what the table depends on.
$(shell printf '%s' "$(embedded)" | cmp -s - $(B)/gen/embedded.list || \
        printf '%s' "$(embedded)" > $(B)/gen/embedded.list)
$(B)/gen/embedded.c: $(B)/tools/embed $(embedded) $(B)/gen/embedded.list
	$(call say,GEN,$@)
	$(Q)$(B)/tools/embed $(embedded) > $@.tmp && mv $@.tmp $@

# The vocabularies of the tokens, ready for use (engine/tokens/image.h).
encodings := scripts/encodings/unicode-16.0.0.txt scripts/encodings/cl100k_base.merges.zst \
             scripts/encodings/o200k_base.merges.zst
$(B)/tools/encodings: tools/encodings.c engine/tokens/image.h
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -Iengine -o $@ $< -lzstd

$(B)/gen/encodings.img: $(B)/tools/encodings $(encodings)
	$(call say,GEN,$@)
	$(Q)$(B)/tools/encodings $@.tmp $(encodings) && mv $@.tmp $@

$(B)/engine/tokens/image.o: engine/tokens/image.S $(B)/gen/encodings.img $(stamp)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HARDEN) -c -Wa,-I$(B)/gen -o $@ $<

# The numbering plans of the world as one automaton (engine/redact/phone_plan.h).
$(B)/tools/phones: tools/phones.c engine/redact/phone_plan.h
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O1 -Iengine -o $@ $<

$(B)/gen/phones.c: $(B)/tools/phones scripts/phones/plans.txt
	$(call say,GEN,$@)
	$(Q)$(B)/tools/phones scripts/phones/plans.txt > $@.tmp && mv $@.tmp $@

$(B)/gen/phones.o: $(B)/gen/phones.c engine/redact/phone_plan.h $(stamp)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The words by which the gate of facts reads (engine/memory/gate_words.h).
$(B)/tools/words: tools/words.c engine/memory/gate_words.h
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O1 -Iengine -o $@ $< -lutf8proc

$(B)/gen/gate_words.c: $(B)/tools/words scripts/words/gate.txt
	$(call say,GEN,$@)
	$(Q)$(B)/tools/words scripts/words/gate.txt > $@.tmp && mv $@.tmp $@

$(B)/gen/gate_words.o: $(B)/gen/gate_words.c engine/memory/gate_words.h $(stamp)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Everything with its inner symbols: what the unit tests link.
$(inner): $(lib_obj)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# For embedders: one object whose hidden symbols are local, so that only parley_* is visible.
$(B)/libparley.a: $(lib_obj)
	$(call say,AR,$@)
	$(Q)ld -r -o $(B)/parley_whole.o $^
	$(Q)objcopy --localize-hidden $(B)/parley_whole.o
	$(Q)rm -f $@ && ar rcs $@ $(B)/parley_whole.o

$(B)/libparley.so.0: $(lib_obj)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libparley.so.0 $(LDFLAGS_) -o $@ $^ $(PKG_LIBS)
	$(Q)ln -sf libparley.so.0 $(B)/libparley.so

# The program uses parley.h and base/, which is not exported, so it links the inner archive; that it uses
# nothing else is held by tests/tidy.lua.
$(B)/parley: $(cli_obj) $(inner)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDFLAGS_) -o $@ $(cli_obj) $(inner) $(EXE_LIBS) -ledit

$(B)/parley.pc: $(stamp)
	$(Q)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	  'Name: parley' 'Description: a chatbot engine that remembers' 'Version: $(VERSION)' \
	  'Requires.private: $(PKGS)' 'Libs: -L$${libdir} -lparley' 'Libs.private: -pthread' \
	  'Cflags: -I$${includedir}' > $@

-include $(lib_obj:.o=.d) $(cli_obj:.o=.d)
