// SPDX-License-Identifier: MIT
// answer.c: a model's answer that is one list (answer.h). Pure; any thread.
#include "memory/answer.h"

static int find_items(struct json root, const struct answer_list *list, struct json *items,
                      struct err *err)
{
    *items = json_get(root, list->member);
    if (json_type(root) != JSON_OBJECT || json_count(root) != 1 || json_type(*items) != JSON_ARRAY)
        return err_set(err, E_USAGE, "the answer is not {\"%s\":[…]}", list->member);
    if (json_count(*items) > list->items_max)
        return err_set(err, E_USAGE, "the answer has more than %u %ss", list->items_max, list->one);
    return E_OK;
}

int answer_read(struct slice answer, const struct answer_list *list,
                int (*item)(void *user, uint32_t n, struct json v, bool take, struct err *err),
                void *user, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct err why = ERR_INIT;
    struct json items = {0};
    int code = json_parse(&doc, answer, list->depth_max, &why);

    // What a reader says of it may have words of the answer.
    if (code)
        code = err_set(err, code == E_NOMEM ? E_NOMEM : E_USAGE, "the answer is not JSON");
    if (!code)
        code = find_items(json_root(&doc), list, &items, err);
    for (int take = 0; take < 2 && !code; take++) {
        struct json_iter it = {0};
        struct json key, v;

        for (uint32_t n = 1; !code && json_next(items, &it, &key, &v); n++)
            code = item(user, n, v, take == 1, err);
    }
    json_doc_release(&doc);
    return code;
}
