// SPDX-License-Identifier: MIT
// secret.c: API keys and tokens of well-known shapes, and what a name before it says is one.
//
// Private keys as text are in secret_pem.c. Checksums that a few issuers put into theirs are not
// looked at: a key with a slip in it is still nearly the key.
#include "redact/recognise.h"

enum { TOKEN_BYTES = 8192, NAMED_BYTES = 2048, NAMED_MIN = 16, NAMED_BACK_BYTES = 48 };

enum charset { ALNUM, WORD, DASHED, HEX, BASE32, DOTTED };

static bool is_in(enum charset set, int c)
{
    switch (set) {
    case ALNUM:
        return is_alnum(c);
    case WORD:
        return is_alnum(c) || c == '_';
    case DASHED:
        return is_alnum(c) || c == '_' || c == '-';
    case HEX:
        return hex_value(c) >= 0;
    case BASE32:
        return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
    default:
        return is_alnum(c) || c == '_' || c == '-' || c == '.';
    }
}

// What issuers say of their keys, or secret scanners of them. Lengths are of what follows the
// prefix; most issuers lengthen theirs now and then, so few have an upper end. Sources: [A] AWS IAM
// user guide, "Unique identifiers"; [G] GitHub docs, "Token formats", and its list "Supported
// secret scanning patterns"; [L] GitLab docs, "Token overview"; [K] gitleaks' default rules (MIT).
static const struct shape {
    const char *prefix;
    enum charset set;
    unsigned min, max;
} shapes[] = {
    {"AKIA", BASE32, 16, 16}, {"ASIA", BASE32, 16, 16},                 // Amazon: [A]
    {"ABIA", BASE32, 16, 16}, {"ACCA", BASE32, 16, 16},
    {"AIza", DASHED, 35, 35}, {"GOCSPX-", DASHED, 20, 40},              // Google: [G]
    {"ya29.", DASHED, 20, 2048},
    {"AGE-SECRET-KEY-1", ALNUM, 58, 58},                                // age: its specification
    {"ATATT3", DASHED, 60, 400}, {"EAAA", DASHED, 60, 64},              // Atlassian, Square: [K]
    {"NRAK-", ALNUM, 27, 27}, {"PMAK-", DASHED, 50, 80},                // New Relic, Postman: [K]
    {"SG.", DOTTED, 66, 66}, {"SK", HEX, 32, 32},                       // Twilio: [G]
    {"dapi", HEX, 32, 32}, {"dckr_pat_", DASHED, 20, 60},               // Databricks, Docker: [K]
    {"dop_v1_", HEX, 64, 64}, {"doo_v1_", HEX, 64, 64},                 // DigitalOcean: [G]
    {"dor_v1_", HEX, 64, 64},
    {"dp.pt.", ALNUM, 40, 44}, {"figd_", DASHED, 36, 60},               // Doppler, Figma: [K]
    {"ghp_", ALNUM, 36, 255}, {"gho_", ALNUM, 36, 255},                 // GitHub: [G]
    {"ghu_", ALNUM, 36, 255}, {"ghs_", ALNUM, 36, 255},
    {"ghr_", ALNUM, 36, 255}, {"github_pat_", WORD, 36, 255},
    {"glpat-", DASHED, 20, 255}, {"gloas-", DASHED, 20, 255},           // GitLab: [L]
    {"gldt-", DASHED, 20, 255}, {"glrt-", DASHED, 20, 255},
    {"glcbt-", DASHED, 20, 255}, {"glptt-", DASHED, 20, 255},
    {"glft-", DASHED, 20, 255}, {"glimt-", DASHED, 20, 255},
    {"glagent-", DASHED, 20, 255}, {"glsoat-", DASHED, 20, 255},
    {"glsa_", WORD, 32, 64}, {"glc_", ALNUM, 32, 400},                  // Grafana: [K]
    {"gsk_", ALNUM, 48, 64}, {"hf_", ALNUM, 30, 64},                    // Groq, Hugging Face: [G]
    {"hvs.", DASHED, 24, 255}, {"hvb.", DASHED, 24, 400},               // Vault: HashiCorp's docs
    {"lin_api_", ALNUM, 32, 64}, {"npm_", ALNUM, 36, 64},               // Linear, npm: [G]
    {"ntn_", ALNUM, 40, 60}, {"pplx-", ALNUM, 40, 64},                  // Notion, Perplexity: [K]
    {"pscale_tkn_", DASHED, 32, 64}, {"pypi-", DASHED, 50, 400},        // PlanetScale, PyPI: [G]
    {"r8_", ALNUM, 37, 40}, {"rubygems_", HEX, 48, 48},                 // Replicate, RubyGems: [K]
    {"rk_live_", ALNUM, 16, 247}, {"rk_test_", ALNUM, 16, 247},         // Stripe: [G]
    {"sk_live_", ALNUM, 16, 247}, {"sk_test_", ALNUM, 16, 247},
    {"whsec_", DASHED, 24, 64},
    {"sbp_", HEX, 40, 40}, {"sntrys_", DASHED, 40, 400},                // Supabase, Sentry: [K]
    {"shpat_", HEX, 32, 32}, {"shpss_", HEX, 32, 32},                   // Shopify: [G]
    {"shpca_", HEX, 32, 32}, {"shppa_", HEX, 32, 32},
    {"sk-", DASHED, 20, 255},             // OpenAI, Anthropic (sk-ant-), DeepSeek, OpenRouter: [G]
    {"sq0atp-", DASHED, 22, 22}, {"sq0csp-", DASHED, 43, 43},           // Square: [G]
    {"xai-", ALNUM, 60, 100},                                           // xAI: [G]
    {"xapp-", DASHED, 20, 255}, {"xoxa-", DASHED, 20, 255},             // Slack: [G]
    {"xoxb-", DASHED, 20, 255}, {"xoxe-", DASHED, 20, 255},
    {"xoxe.", DASHED, 20, 255}, {"xoxp-", DASHED, 20, 255},
    {"xoxr-", DASHED, 20, 255}, {"xoxs-", DASHED, 20, 255},
};

// The end of the characters of a set at i, `max` of them at most.
static size_t run_end(struct view *v, size_t i, enum charset set, size_t max)
{
    size_t end = i;

    while (end - i < max && is_in(set, view_at(v, end)))
        end++;
    return end;
}

static bool starts_with(struct view *v, size_t at, const char *prefix)
{
    while (*prefix && view_at(v, at) == (unsigned char)*prefix)
        at++, prefix++;
    return !*prefix;
}

// Whether something is no word of prose: sk-hynix-reports-record-profit is part of an address.
static bool looks_random(struct view *v, size_t at, size_t end)
{
    for (size_t i = at; i < end; i++)
        if (is_digit(view_at(v, i)) || (is_letter(view_at(v, i)) && view_at(v, i) <= 'Z'))
            return true;
    return false;
}

bool shape_at(struct view *v, size_t at, struct match *out)
{
    int first = view_at(v, at);

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const struct shape *s = &shapes[i];
        if (s->prefix[0] != first || !starts_with(v, at, s->prefix))
            continue;
        size_t body = at + strlen(s->prefix), end = run_end(v, body, s->set, s->max);
        while (end > body && (view_at(v, end - 1) == '-' || view_at(v, end - 1) == '.'))
            end--;
        *out = (struct match){.end = end, .score = 95};
        return end - body >= s->min && !view_word(v, end) && looks_random(v, body, end);
    }
    return false;
}

// Webhooks are URLs of which nothing is before the host: they are their own key.
bool hook_at(struct view *v, size_t at, struct match *out)
{
    static const char *const hooks[] = {
        "hooks.slack.com/services/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/",
    };

    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
        if (!starts_with(v, at, hooks[i]))
            continue;
        size_t body = at + strlen(hooks[i]), end = body;
        while (end - body < 255 && (is_in(DASHED, view_at(v, end)) || view_at(v, end) == '/'))
            end++;
        *out = (struct match){.end = end, .score = 95};
        return end - body >= 40;
    }
    return false;
}

// A JSON web token (RFC 7519), signed or not: base64url of '{"', twice, and a signature.
bool jwt_at(struct view *v, size_t at, struct match *out)
{
    if (!starts_with(v, at, "eyJ"))
        return false;
    size_t header = run_end(v, at, DASHED, TOKEN_BYTES / 4);
    if (header - at < NAMED_MIN || view_at(v, header) != '.' || !starts_with(v, header + 1, "eyJ"))
        return false;
    size_t claims = run_end(v, header + 1, DASHED, TOKEN_BYTES);
    *out = (struct match){.end = claims, .score = 98};
    if (view_at(v, claims) == '.')
        out->end = run_end(v, claims + 1, DASHED, TOKEN_BYTES / 4);
    return true;
}

static bool is_token_char(int c)
{
    return is_alnum(c) || c == '_' || c == '-' || c == '+' || c == '/' || c == '.' || c == '~' ||
           c == '=';
}

// The end of a token at `at` that no known prefix tells: 0, or NAMED_MIN characters without a break
// and among them a letter and a digit, so that a word of prose is none.
static size_t token_end(struct view *v, size_t at)
{
    bool letter = false, digit = false;
    size_t i = at, run = 0, longest = 0;

    for (int c; i - at < NAMED_BYTES && is_token_char(c = view_at(v, i)); i++) {
        letter |= is_letter(c);
        digit |= is_digit(c);
        run = c == '.' || c == '~' || c == '=' ? 0 : run + 1;
        longest = run > longest ? run : longest;
        if (i - at == 63 && longest < NAMED_MIN)
            return 0;
    }
    while (i > at && view_at(v, i - 1) == '.')
        i--;
    return letter && digit && longest >= NAMED_MIN ? i : 0;
}

// The place before blanks, quotes, and one of `marks`, that stand before at.
static size_t back_over(const struct view *v, size_t at, const char *marks)
{
    size_t least = at > NAMED_BACK_BYTES ? at - NAMED_BACK_BYTES : 0;

    while (at > least && view_before(v, at) > 0 && strchr(marks, view_before(v, at)))
        at--;
    return at;
}

static bool ends_with(const struct view *v, size_t end, const char *word)
{
    size_t len = strlen(word);

    if (end < len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (to_lower((unsigned char)v->ptr[end - len + i]) != word[i])
            return false;
    return true;
}

// `Authorization: Bearer …` (RFC 6750, 2.1), `Basic …` (RFC 7617), and `api_key = "…"`.
bool named_at(struct view *v, size_t at, struct match *out)
{
    static const char *const names[] = {
        "api_key", "apikey", "api-key", "api key", "secret", "secret_key", "access_key", "token",
        "password", "passwd", "auth_key", "private_key", "account_key", "accountkey",
    };
    int before = view_before(v, at);

    if (is_alnum(before) || before < 0)  // what names it has a mark or a blank behind it
        return false;
    size_t word = back_over(v, at, " \t"), name = back_over(v, at, " \t\"'`:=>");
    bool named = false;

    if (word < at)
        named = ends_with(v, word, "bearer") || ends_with(v, word, "authorization: basic");
    if (!named && memchr(v->ptr + name, ':', at - name) == NULL &&
        memchr(v->ptr + name, '=', at - name) == NULL)
        return false;
    for (size_t i = 0; !named && i < sizeof(names) / sizeof(names[0]); i++)
        named = ends_with(v, name, names[i]);
    if (!named)
        return false;
    *out = (struct match){.end = token_end(v, at), .score = 85};
    return out->end != 0;
}
