// SPDX-License-Identifier: MIT
// replay_svg.c: two line charts and a legend; see replay_svg.h.
#include "cli/replay_svg.h"

#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 880, LEFT = 80, RIGHT = 20, TOP = 40, CHART = 240, GAP = 80,
    LINE = 20,          // of the legend
    TICKS = 5, NAME_MAX_BYTES = 4096,
    COLORS = 8,         // as in the style below; further policies have them again, dashed
};

static const char style[] =
    "<style>\n"
    "svg{font:13px system-ui,sans-serif;--text:#222;--grid:#ddd;--ground:#fff}\n"
    "@media(prefers-color-scheme:dark){svg{--text:#ddd;--grid:#444;--ground:#181818}}\n"
    ".ground{fill:var(--ground)}text{fill:var(--text)}\n"
    ".title{font-weight:600}.grid{stroke:var(--grid);fill:none}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    ".c0{stroke:#888}.c1{stroke:#0b84d8}.c2{stroke:#e08a00}.c3{stroke:#00996b}\n"
    ".c4{stroke:#d9480f}.c5{stroke:#b5589b}.c6{stroke:#7a6ff0}.c7{stroke:#9a8200}\n"
    ".dashed{stroke-dasharray:6 4}\n"
    "</style>\n";

struct chart {
    const char *key, *title, *unit;  // a member of by_turn
    double top;                      // where it begins
    double x_max, y_max;             // of its axes, from 1 and from 0
};

static void add_xml(struct buf *out, struct slice text)
{
    for (size_t at = 0; at < text.len; at++) {
        unsigned char c = (unsigned char)text.ptr[at];
        if (c == '<')
            buf_add_str(out, "&lt;");
        else if (c == '&')
            buf_add_str(out, "&amp;");
        else
            buf_add_char(out, c < ' ' ? '?' : (char)c);
    }
}

static void add_line_class(struct buf *out, unsigned policy)
{
    buf_addf(out, "class=\"line c%u%s\"", policy % COLORS, policy >= COLORS ? " dashed" : "");
}

// The first of 1, 2, 5 times a power of ten that is no less than `least`, which is above 0.
static double nice_step(double least)
{
    double power = 1;
    while (power < least)
        power *= 10;
    while (power >= least * 10)
        power /= 10;
    // power / 10 < least <= power
    return power / 5 >= least ? power / 5 : power / 2 >= least ? power / 2 : power;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double x_of(const struct chart *c, double turn)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (c->x_max > 1 ? (turn - 1) / (c->x_max - 1) : 0.5);
}

static double y_of(const struct chart *c, double value)
{
    return c->top + CHART - CHART * value / c->y_max;
}

// ---- what there is to draw

static void measure(struct chart *c, struct json policies)
{
    struct json_iter it = {0}, rows;
    struct json none, policy, row;

    c->x_max = 1;
    c->y_max = 0;
    while (json_next(policies, &it, &none, &policy)) {
        rows = (struct json_iter){0};
        while (json_next(json_get(policy, "by_turn"), &rows, &none, &row)) {
            c->x_max = larger(c->x_max, json_double(json_get(row, "turn"), 1));
            c->y_max = larger(c->y_max, json_double(json_get(row, c->key), 0));
        }
    }
}

static void add_policy(struct buf *out, const struct chart *c, struct json policy, unsigned index)
{
    struct json_iter it = {0};
    struct json none, row;
    bool begun = false;

    buf_add_str(out, "<path ");
    add_line_class(out, index);
    buf_add_str(out, " d=\"");
    while (json_next(json_get(policy, "by_turn"), &it, &none, &row)) {
        double value = json_double(json_get(row, c->key), NAN);
        if (isnan(value) || json_i64(json_get(row, "requests"), 0) == 0)
            continue;
        buf_addf(out, "%s%.1f %.1f", begun ? "L" : "M",
                 x_of(c, json_double(json_get(row, "turn"), 1)), y_of(c, value));
        begun = true;
    }
    buf_add_str(out, "\"/>\n");
}

// ---- axes

static void add_text(struct buf *out, double x, double y, const char *attributes, const char *text)
{
    buf_addf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y, attributes, text);
}

static void add_number(struct buf *out, double x, double y, const char *anchor, double value)
{
    char text[32], attributes[64];

    if (value >= 1000)
        snprintf(text, sizeof text, "%.0f", value);
    else
        snprintf(text, sizeof text, "%.4g", value);
    snprintf(attributes, sizeof attributes, "text-anchor=\"%s\"", anchor);
    add_text(out, x, y, attributes, text);
}

static void add_axes(struct buf *out, const struct chart *c)
{
    double y_step = nice_step(c->y_max / TICKS);
    double x_step = larger(1, nice_step(c->x_max / (2 * TICKS)));

    for (double v = 0; v <= c->y_max * 1.0001; v += y_step) {
        buf_addf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, y_of(c, v),
                 WIDTH - RIGHT);
        add_number(out, LEFT - 8, y_of(c, v) + 4, "end", v);
    }
    for (double t = x_step; t <= c->x_max; t += x_step)
        add_number(out, x_of(c, t), c->top + CHART + 18, "middle", t);
    add_text(out, LEFT, c->top - 14, "class=\"title\"", c->title);
    add_text(out, (LEFT + WIDTH - RIGHT) / 2.0, c->top + CHART + 38, "text-anchor=\"middle\"",
             "turn of the conversation");
    buf_addf(out, "<text transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">"
             "%s</text>\n", c->top + CHART / 2.0, c->unit);
}

static void add_chart(struct buf *out, struct chart *c, struct json policies)
{
    struct json_iter it = {0};
    struct json none, policy;

    measure(c, policies);
    if (!(c->y_max > 0)) {
        add_text(out, LEFT, c->top - 14, "class=\"title\"", c->title);
        add_text(out, LEFT, c->top + 20, "", "nothing, or no price is known");
        return;
    }
    double step = nice_step(c->y_max / TICKS);
    double top = 0;
    while (top < c->y_max)
        top += step;
    c->y_max = top;
    add_axes(out, c);
    for (unsigned i = 0; json_next(policies, &it, &none, &policy); i++)
        add_policy(out, c, policy, i);
}

static void add_legend(struct buf *out, struct json policies, double top)
{
    struct buf scratch = BUF_INIT(NAME_MAX_BYTES);
    struct json_iter it = {0};
    struct json none, policy;

    for (unsigned i = 0; json_next(policies, &it, &none, &policy); i++) {
        double y = top + LINE * i;
        buf_add_str(out, "<path ");
        add_line_class(out, i);
        buf_addf(out, " d=\"M%d %.1fh30\"/>\n<text x=\"%d\" y=\"%.1f\">", LEFT, y - 4, LEFT + 40,
                 y);
        add_xml(out, json_text(json_get(policy, "policy"), &scratch));
        buf_add_str(out, " (");
        add_xml(out, json_text(json_get(policy, "strategy"), &scratch));
        buf_add_str(out, ")</text>\n");
    }
    buf_release(&scratch);
}

void replay_svg(struct buf *out, struct json report)
{
    struct json policies = json_get(report, "policies");
    struct chart cost = {.key = "cost_usd", .title = "Cost of a turn, with a cache of five minutes",
                         .unit = "US dollars", .top = TOP};
    struct chart tokens = {.key = "input_tokens", .title = "What is sent for a turn",
                           .unit = "tokens", .top = TOP + CHART + GAP};
    double legend = tokens.top + CHART + GAP - 10;
    double height = legend + LINE * json_count(policies);

    buf_addf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" role=\"img\" "
             "aria-label=\"Cost and tokens per turn by policy\">\n", WIDTH, height);
    buf_add_str(out, style);
    buf_addf(out, "<rect class=\"ground\" width=\"%d\" height=\"%.0f\"/>\n", WIDTH, height);
    add_chart(out, &cost, policies);
    add_chart(out, &tokens, policies);
    add_legend(out, policies, legend);
    buf_add_str(out, "</svg>\n");
}
