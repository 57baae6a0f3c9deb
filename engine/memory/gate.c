// SPDX-License-Identifier: MIT
// gate.c: the gate for one plain sentence. See gate.h.
#include "memory/gate.h"

#include "base/mem.h"

#include <string.h>
#include <strings.h>

enum { PLAIN_BYTES = 200 };

struct gate {
    struct gate_source source;
    const char *material;  // why the message is no plain statement; NULL: it is one
};

static const char *const result_words[] = {"refused", "quarantine", "supported"};
static const char *const author_words[] = {"nobody", "user", "material",
                                           "assistant", "tool", "recalled"};

const char *gate_result_word(enum gate_result r)
{
    return result_words[r];
}

const char *gate_author_word(enum gate_author a)
{
    return author_words[a];
}

static bool holds(struct slice text, struct slice part)
{
    return part.len && text.len >= part.len && memmem(text.ptr, text.len, part.ptr, part.len);
}

// Word for word in lower or upper case, between what are no letters.
static bool has_word(struct slice text, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i + len <= text.len; i++) {
        bool open = i == 0 || strchr(" ,.'-", text.ptr[i - 1]);
        bool closed = i + len == text.len || strchr(" ,.!'-", text.ptr[i + len]);

        if (open && closed && strncasecmp(text.ptr + i, word, len) == 0)
            return true;
    }
    return false;
}

static bool opens_in_first_person(struct slice text)
{
    static const char *const openers[] = {"I ", "I'm ", "I've ", "My "};

    for (size_t i = 0; i < sizeof(openers) / sizeof(*openers); i++)
        if (slice_starts(text, slice_str(openers[i])))
            return true;
    return false;
}

static const char *why_material(struct slice text)
{
    static const char *const words[] = {
        "if", "would", "d", "might", "may", "maybe", "not", "t", "never", "no", "said", "says",
        "told", "wrote", "read", "wish", "pretend", "used", "could", "should", "think", "thinks",
        "he", "she", "they", "you", "who", "sister", "brother", "friend", "mother", "father",
    };

    if (text.len > PLAIN_BYTES)
        return "more than a plain sentence";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool end = c == '.' && i + 1 == text.len;

        if (c < ' ' || c > '~' || (strchr("\"`?:;<>{}|()*#/.", c) && !end))
            return "more than a plain sentence";
    }
    if (!opens_in_first_person(text))
        return "no statement in the first person";
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (has_word(text, words[i]))
            return "no plain statement";
    return NULL;
}

int gate_past_add(struct gate_past *past, struct slice text, struct slice reply, struct err *err)
{
    (void)reply;
    (void)err;
    // Whatever was said before that is no plain statement may have begun something.
    past->play |= why_material(text) != NULL;
    return E_OK;
}

int gate_open(struct gate **out, const struct gate_source *source, struct err *err)
{
    struct gate *g = mem_zalloc(sizeof(*g));

    *out = g;
    if (!g)
        return err_set(err, E_NOMEM, "out of memory for the gate of facts");
    g->source = *source;
    g->material = why_material(source->text);
    if (!g->material && source->past && (source->past->play || source->past->work ||
                                         source->past->next))
        g->material = "of what an earlier message began";
    return E_OK;
}

void gate_close(struct gate *g)
{
    mem_free(g);
}

static bool in_any(const struct slice *texts, uint32_t len, struct slice part)
{
    for (uint32_t i = 0; i < len; i++)
        if (holds(texts[i], part))
            return true;
    return false;
}

static void verdict(struct gate_verdict *out, enum gate_result result, enum gate_author author,
                    const char *why)
{
    *out = (struct gate_verdict){.result = result, .author = author, .why = why};
}

int gate_judge(const struct gate *g, const struct gate_claim *claim, struct gate_verdict *out,
               struct err *err)
{
    const struct gate_source *s = &g->source;
    struct slice quote = claim->quote.len ? claim->quote : claim->value;

    (void)err;
    if (!holds(s->text, quote)) {
        if (in_any(s->tools, s->tools_len, quote))
            verdict(out, GATE_QUARANTINE, GATE_BY_TOOL, "a tool said it");
        else if (holds(s->reply, quote) || holds(s->asked, quote))
            verdict(out, GATE_QUARANTINE, GATE_BY_ASSISTANT, "the assistant said it");
        else if (in_any(s->recalled, s->recalled_len, quote))
            verdict(out, GATE_REFUSED, GATE_BY_RECALLED, "it was recalled, not said");
        else
            verdict(out, GATE_QUARANTINE, GATE_BY_NOBODY, "nobody said it in these words");
    } else if (g->material) {
        verdict(out, GATE_QUARANTINE, GATE_BY_MATERIAL, g->material);
    } else if (!holds(s->text, claim->value) || !slice_is(claim->subject, "user") ||
               claim->negates) {
        verdict(out, GATE_QUARANTINE, GATE_BY_USER, "said otherwise, or of somebody else");
    } else {
        verdict(out, GATE_SUPPORTED, GATE_BY_USER, "the user states it");
        out->end = s->text.len;
    }
    return E_OK;
}

bool gate_next_zone(const struct gate *g, size_t *at, struct gate_zone *out)
{
    size_t len = g->source.text.len;

    if (*at >= len)
        return false;
    *out = (struct gate_zone){*at, len, !g->material, g->material ? g->material : ""};
    *at = len;
    return true;
}
