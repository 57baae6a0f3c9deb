// SPDX-License-Identifier: MIT
// parley_libraries.c: what this program runs with, by name and version: what there is now, not what
// it was built with.
#include "parley_int.h"

#include <curl/curl.h>
#include <gnu/libc-version.h>
#include <lua.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sodium.h>
#include <sqlite3.h>
#include <utf8proc.h>
#include <zstd.h>

struct library {
    const char *name, *version, *licence;
};

int parley_libraries(char **report, parley_error *error)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    char pcre2[64] = "";
    struct err err = ERR_INIT;
    struct json_writer w;
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    const struct library libraries[] = {
        {"glibc", gnu_get_libc_version(), "LGPL-2.1-or-later"},
        {"libcurl", curl->version, "curl"},
        {"tls", curl->ssl_version ? curl->ssl_version : "", ""},
        {"libsodium", sodium_version_string(), "ISC"},
        {"lua", LUA_RELEASE, "MIT"},
        {"pcre2", pcre2, "BSD-3-Clause"},
        {"sqlite", sqlite3_libversion(), "blessing"},
        {"utf8proc", utf8proc_version(), "MIT"},
        {"zstd", ZSTD_versionString(), "BSD-3-Clause"},
    };
    jw_init(&w, &json);
    jw_array(&w);
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        jw_object(&w);
        jw_kv_str(&w, "name", libraries[i].name);
        jw_kv_str(&w, "version", libraries[i].version);
        jw_kv_str(&w, "licence", libraries[i].licence);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    return finish_report(&json, buf_check(&json, "the report", &err), report, &err, error);
}
