// SPDX-License-Identifier: MIT
// render.c: a request as the JSON body of a dialect.
//
// A step is rendered once per dialect and keeps the result (step->wire), so a long history costs
// one memcpy per step and only new steps are escaped. What a wire form holds:
//   Anthropic   the content blocks, joined by commas
//   OpenAI      HEAD "\n" TEXT: HEAD is what stands outside the content string (of a user step its
//               tool results as whole messages, of an assistant step its tool calls), TEXT the
//               string's escaped inside. Escaped JSON holds no raw newline: one parts the two.
//
// Invariants:
//   1. The same request renders to the same bytes; a request that only appends messages begins with
//      the bytes of the one before, up to the end of its last message: but for the mark of a cache
//      breakpoint, where that message is fresh (anthropic_breakpoint), which is not cached itself.
//   2. Nothing invalid is sent: empty and blank text blocks, thinking that is unsigned or that
//      nothing follows or that another model is not to see (Anthropic), and what a dialect has no
//      words for, are left out. A message that then says nothing is an ellipsis, as a session
//      cannot get rid of it; but the last one, which is refused.
// Runs on the worker's thread, which owns the steps.
#include "llm/llm_int.h"

#include "base/mem.h"
#include "base/utf8.h"

#define ELLIPSIS "\xE2\x80\xA6"
#define CACHE_CONTROL "\"cache_control\":{\"type\":\"ephemeral\"}"
enum { WIRE_BYTES_MAX = 8 << 20 };  // of one step: its content escaped at worst

// ---- pieces of JSON

static void add_string(struct buf *out, struct safe_text text)
{
    json_quote(out, safe_slice(text));
}

static void add_member(struct buf *out, const char *lead, struct safe_text text)
{
    buf_add_str(out, lead);
    add_string(out, text);
}

// The inside of a JSON string.
static void add_escaped(struct buf *out, struct safe_text text)
{
    size_t at = out->len;

    if (text.len == 0)
        return;
    add_string(out, text);
    if (!buf_ok(out))
        return;
    memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 2);
    buf_truncate(out, out->len - 2);
}

static bool blank(struct safe_text text)
{
    return utf8_blank(safe_slice(text));
}

static struct safe_text tool_input(const struct block *b)
{
    return b->json.len ? b->json : SAFE_LIT("{}");
}

// ---- Anthropic

static void anthropic_block(struct buf *out, const struct block *b)
{
    switch (b->type) {
    case BLOCK_TEXT:
        add_member(out, "{\"type\":\"text\",\"text\":", b->text);
        break;
    case BLOCK_TOOL_USE:
        add_member(out, "{\"type\":\"tool_use\",\"id\":", b->id);
        add_member(out, ",\"name\":", b->name);
        buf_add_str(out, ",\"input\":");
        buf_add_slice(out, safe_slice(tool_input(b)));
        break;
    case BLOCK_TOOL_RESULT:
        add_member(out, "{\"type\":\"tool_result\",\"tool_use_id\":", b->id);
        add_member(out, ",\"content\":", b->text);
        if (b->is_error)
            buf_add_str(out, ",\"is_error\":true");
        break;
    case BLOCK_THINKING:
        add_member(out, "{\"type\":\"thinking\",\"thinking\":", b->text);
        add_member(out, ",\"signature\":", b->signature);
        break;
    case BLOCK_OTHER:
        buf_add_slice(out, safe_slice(b->json));
        return;
    }
    buf_add_char(out, '}');
}

// Thinking, open or sealed. In JSON the quoted word can only be a whole string, here the type.
static bool is_thinking(const struct block *b)
{
    static const char sealed[] = "\"redacted_thinking\"";

    if (b->type != BLOCK_OTHER || !b->json.len)
        return b->type == BLOCK_THINKING;
    return memmem(b->json.ptr, b->json.len, sealed, sizeof(sealed) - 1) != NULL;
}

// How many blocks there are without those at the end that lead to nothing: a reply that was cut, or
// hit its limit, while the model still thought. The provider refuses a message that ends so, and
// would refuse every later request of the session with it.
static uint32_t spoken_len(const struct content *content)
{
    uint32_t len = content->len;

    while (len > 0) {
        const struct block *last = &content->blocks[len - 1];
        if (!is_thinking(last) && !(last->type == BLOCK_TEXT && blank(last->text)))
            break;
        len--;
    }
    return len;
}

static bool anthropic_leaves_out(const struct step *step, const struct block *b)
{
    // Blank text is refused by the provider; thinking counts only as it was signed, and only where
    // it was: other models refuse it, as other providers do blocks that they do not know.
    if (b->type == BLOCK_TEXT)
        return blank(b->text);
    if (b->type == BLOCK_THINKING)
        return step->foreign || b->signature.len == 0;
    return b->type == BLOCK_OTHER && step->foreign;
}

static void anthropic_step(struct buf *out, const struct step *step)
{
    const struct content *content = &step->content;
    uint32_t len = spoken_len(content);

    for (uint32_t i = 0; i < len; i++) {
        const struct block *b = &content->blocks[i];
        if (anthropic_leaves_out(step, b))
            continue;
        if (out->len)
            buf_add_char(out, ',');
        anthropic_block(out, b);
    }
}

static bool anthropic_message(struct buf *out, const struct llm_message *m, bool last)
{
    buf_add_str(out, m->role == ROLE_USER ? "{\"role\":\"user\",\"content\":["
                                          : "{\"role\":\"assistant\",\"content\":[");
    size_t start = out->len;
    for (uint32_t i = 0; i < m->len; i++) {
        const struct wire_form *wire = &m->steps[i]->wire;
        if (wire->len && out->len > start)
            buf_add_char(out, ',');
        buf_add(out, wire->ptr, wire->len);
    }
    bool any = out->len > start;
    if (!any && (m->role == ROLE_ASSISTANT || !last)) {
        buf_add_str(out, "{\"type\":\"text\",\"text\":\"" ELLIPSIS "\"}");
        any = true;
    }
    buf_add_str(out, "]}");
    return any;
}

static bool caches(const struct llm_caps *caps, const struct llm_request *r)
{
    return r->cache && caps->cache_min_tokens > 0;
}

// A breakpoint at the end of the message that was added last. What is before the marks counts for
// the provider's cache, not the marks: the next request may carry them elsewhere.
static void anthropic_breakpoint(struct buf *out)
{
    static const char end[] = "}]}";
    size_t len = sizeof(end) - 1;

    if (!buf_ok(out) || out->len < len || memcmp(out->ptr + out->len - len, end, len) != 0)
        return;
    buf_truncate(out, out->len - len);
    buf_add_str(out, "," CACHE_CONTROL);
    buf_add_str(out, end);
}

static void anthropic_head(struct buf *out, const struct llm_caps *caps,
                           const struct llm_request *r)
{
    uint64_t limit = caps->output_tokens_max;

    if (r->max_output_tokens && (r->max_output_tokens < limit || !limit))
        limit = r->max_output_tokens;
    add_member(out, "{\"model\":", (struct safe_text){r->model, strlen(r->model)});
    buf_add_str(out, ",\"max_tokens\":");
    buf_add_u64(out, limit);
    buf_add_str(out, ",\"stream\":true");
    // The automatic breakpoint is at the end of the messages and moves with them, outside of their
    // bytes. A long system prompt gets one of its own: other sessions begin with it too.
    bool cache = caches(caps, r);
    if (cache && !r->fresh)
        buf_add_str(out, "," CACHE_CONTROL);
    if (cache && r->system.len && r->system_tokens >= caps->cache_min_tokens) {
        add_member(out, ",\"system\":[{\"type\":\"text\",\"text\":", r->system);
        buf_add_str(out, "," CACHE_CONTROL "}]");
    } else if (r->system.len) {
        add_member(out, ",\"system\":", r->system);
    }
    buf_add_str(out, ",\"messages\":[");
}

// ---- OpenAI

static void openai_tool_part(struct buf *out, const struct block *b)
{
    if (out->len)
        buf_add_char(out, ',');
    if (b->type == BLOCK_TOOL_RESULT) {
        add_member(out, "{\"role\":\"tool\",\"tool_call_id\":", b->id);
        add_member(out, ",\"content\":", b->text);
        buf_add_char(out, '}');
        return;
    }
    add_member(out, "{\"id\":", b->id);
    add_member(out, ",\"type\":\"function\",\"function\":{\"name\":", b->name);
    add_member(out, ",\"arguments\":", tool_input(b));
    buf_add_str(out, "}}");
}

static void openai_step(struct buf *out, const struct content *content)
{
    for (uint32_t i = 0; i < content->len; i++) {
        const struct block *b = &content->blocks[i];
        if (b->type == BLOCK_TOOL_RESULT || b->type == BLOCK_TOOL_USE)
            openai_tool_part(out, b);
    }
    buf_add_char(out, '\n');
    bool says = false;
    for (uint32_t i = 0; i < content->len; i++)
        says = says || (content->blocks[i].type == BLOCK_TEXT && !blank(content->blocks[i].text));
    for (uint32_t i = 0; says && i < content->len; i++) {
        if (content->blocks[i].type == BLOCK_TEXT)
            add_escaped(out, content->blocks[i].text);
    }
}

static struct slice openai_part(const struct step *step, bool text)
{
    const struct wire_form *wire = &step->wire;
    const char *end = memchr(wire->ptr, '\n', wire->len);
    size_t head = (size_t)(end - wire->ptr);

    return text ? slice_of(end + 1, wire->len - head - 1) : slice_of(wire->ptr, head);
}

// Every step's part, with `between` between those that have one. False when none has.
static bool openai_join(struct buf *out, const struct llm_message *m, bool text,
                        const char *between)
{
    bool any = false;

    for (uint32_t i = 0; i < m->len; i++) {
        struct slice part = openai_part(m->steps[i], text);
        if (part.len == 0)
            continue;
        if (any)
            buf_add_str(out, between);
        buf_add_slice(out, part);
        any = true;
    }
    return any;
}

static bool openai_has(const struct llm_message *m, bool text)
{
    for (uint32_t i = 0; i < m->len; i++) {
        if (openai_part(m->steps[i], text).len)
            return true;
    }
    return false;
}

static bool openai_assistant(struct buf *out, const struct llm_message *m)
{
    bool calls = openai_has(m, false);

    buf_add_str(out, "{\"role\":\"assistant\",\"content\":");
    if (calls && !openai_has(m, true)) {
        buf_add_str(out, "null");
    } else {
        buf_add_char(out, '"');
        if (!openai_join(out, m, true, "\\n\\n"))
            buf_add_str(out, ELLIPSIS);
        buf_add_char(out, '"');
    }
    if (calls) {
        buf_add_str(out, ",\"tool_calls\":[");
        openai_join(out, m, false, ",");
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
    return true;
}

static bool openai_user(struct buf *out, const struct llm_message *m, bool last)
{
    bool results = openai_join(out, m, false, ",");
    bool text = openai_has(m, true);

    if (text) {
        buf_add_str(out, results ? ",{\"role\":\"user\",\"content\":\""
                                 : "{\"role\":\"user\",\"content\":\"");
        // Turns without a reply stand together in one message, a blank line between them.
        openai_join(out, m, true, "\\n\\n");
        buf_add_str(out, "\"}");
    } else if (!results && !last) {
        buf_add_str(out, "{\"role\":\"user\",\"content\":\"" ELLIPSIS "\"}");
        return true;
    }
    return results || text;
}

static void openai_open_messages(struct buf *out, const struct llm_caps *caps,
                                 const struct llm_request *r)
{
    buf_add_str(out, ",\"messages\":[");
    if (r->system.len) {
        add_member(out, caps->developer_role ? "{\"role\":\"developer\",\"content\":"
                                             : "{\"role\":\"system\",\"content\":",
                   r->system);
        buf_add_str(out, r->messages_len ? "}," : "}");
    }
}

static void openai_head(struct buf *out, const struct llm_caps *caps, const struct llm_request *r)
{
    uint64_t limit = r->max_output_tokens;

    if (caps->output_tokens_max && limit > caps->output_tokens_max)
        limit = caps->output_tokens_max;
    add_member(out, "{\"model\":", (struct safe_text){r->model, strlen(r->model)});
    if (limit) {
        buf_add_str(out, caps->max_completion_tokens ? ",\"max_completion_tokens\":"
                                                     : ",\"max_tokens\":");
        buf_add_u64(out, limit);
    }
    buf_add_str(out, ",\"stream\":true");
    if (caps->stream_usage)
        buf_add_str(out, ",\"stream_options\":{\"include_usage\":true}");
    openai_open_messages(out, caps, r);
}

// ---- both

static int render_step(enum llm_dialect dialect, struct step *step, struct err *err)
{
    struct buf form = BUF_INIT(WIRE_BYTES_MAX);

    if (step->wire.ptr && step->wire.dialect == dialect && step->wire.foreign == step->foreign)
        return E_OK;
    if (dialect == LLM_OPENAI)
        openai_step(&form, &step->content);
    else
        anthropic_step(&form, step);
    // A step that says nothing is a form too: an empty one.
    if (!form.ptr)
        buf_reserve(&form, 1);
    int rc = buf_check(&form, "a message", err);
    if (rc) {
        buf_release(&form);
        return rc;
    }
    mem_free(step->wire.ptr);
    step->wire =
        (struct wire_form){form.ptr, (uint32_t)form.len, (uint8_t)dialect, step->foreign};
    return E_OK;
}

// Renders what is not yet, and makes room for all of it. A form was last read when the session's
// turn before was sent, and is in no cache of the processor by now: the copying that follows would
// wait for each in turn (measured: 60 messages in 14 us, so in 5), so all are asked for here.
static int render_steps(enum llm_dialect dialect, const struct llm_request *request,
                        struct buf *out, struct err *err)
{
    enum { FRAME_BYTES = 48, LINE_BYTES = 64, AHEAD_BYTES = 256 };
    size_t bytes = 0;

    for (uint32_t i = 0; i < request->messages_len; i++) {
        const struct llm_message *m = &request->messages[i];
        for (uint32_t k = 0; k < m->len; k++) {
            int rc = render_step(dialect, m->steps[k], err);
            if (rc)
                return err_prefix(err, "request: message %u: ", i + 1), rc;
            const struct wire_form *wire = &m->steps[k]->wire;
            for (uint32_t at = 0; at < wire->len && at < AHEAD_BYTES; at += LINE_BYTES)
                __builtin_prefetch(wire->ptr + at);
            bytes += wire->len;
        }
        bytes += FRAME_BYTES;
    }
    buf_reserve(out, bytes);
    return buf_check(out, "the request's body", err);
}

static int render_message(enum llm_dialect dialect, const struct llm_message *m, bool last,
                          struct buf *out, struct err *err)
{
    bool any = dialect == LLM_ANTHROPIC ? anthropic_message(out, m, last)
               : m->role == ROLE_USER   ? openai_user(out, m, last)
                                        : openai_assistant(out, m);
    if (!any && buf_ok(out))
        return err_set(err, E_REFUSED, "it says nothing that can be sent");
    return E_OK;
}

static int render_messages(enum llm_dialect dialect, const struct llm_caps *caps,
                           const struct llm_request *request, struct buf *out, struct err *err)
{
    int code = render_steps(dialect, request, out, err);

    if (code)
        return code;
    for (uint32_t i = 0; i < request->messages_len; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        bool last = i + 1 == request->messages_len;
        int rc = render_message(dialect, &request->messages[i], last, out, err);
        if (rc)
            return err_prefix(err, "request: message %u: ", i + 1), rc;
        // An automatic one would cache the last message, which nobody reads again as it is.
        if (dialect == LLM_ANTHROPIC && request->fresh && caches(caps, request) &&
            i + 2 == request->messages_len)
            anthropic_breakpoint(out);
    }
    buf_add_str(out, "]}");
    return buf_check(out, "the request's body", err);
}

// The body at `from` of out, as its provider is to read it.
static int reveal(const struct llm_request *request, size_t from, int code, struct buf *out,
                  struct err *err)
{
    struct buf shown = BUF_INIT(out->max);

    if (code || !request->reveal)
        return code;
    request->reveal(request->reveal_user, slice_of(out->ptr + from, out->len - from), &shown);
    code = buf_check(&shown, "the request", err);
    if (!code) {
        buf_truncate(out, from);
        buf_add_slice(out, buf_slice(&shown));
        code = buf_check(out, "the request", err);
    }
    buf_release(&shown);
    return code;
}

int llm_render(enum llm_dialect dialect, const struct llm_caps *caps,
               const struct llm_request *request, struct buf *out, struct err *err)
{
    size_t from = out->len;

    BUG_ON(dialect != LLM_ANTHROPIC && dialect != LLM_OPENAI);
    if (dialect == LLM_ANTHROPIC)
        anthropic_head(out, caps, request);
    else
        openai_head(out, caps, request);
    int code = render_messages(dialect, caps, request, out, err);
    return reveal(request, from, code, out, err);
}

// What is counted is the input: neither limits nor marks for the cache, which Anthropic's endpoint
// would refuse as parameters that it does not know.
int llm_render_count(enum llm_dialect dialect, const struct llm_caps *caps,
                     const struct llm_request *request, struct buf *out, struct err *err)
{
    struct llm_request bare = *request;
    size_t from = out->len;

    BUG_ON(dialect != LLM_ANTHROPIC && dialect != LLM_OPENAI);
    bare.cache = bare.fresh = false;
    add_member(out, "{\"model\":", (struct safe_text){bare.model, strlen(bare.model)});
    if (dialect == LLM_OPENAI) {
        openai_open_messages(out, caps, &bare);
    } else {
        if (bare.system.len)
            add_member(out, ",\"system\":", bare.system);
        buf_add_str(out, ",\"messages\":[");
    }
    int code = render_messages(dialect, caps, &bare, out, err);
    return reveal(request, from, code, out, err);
}
