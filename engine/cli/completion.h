// SPDX-License-Identifier: MIT
// completion.h: completion scripts for shells, out of the tables in options.c.
//
// scripts/completion/ has a template for each shell; its lines between @ signs are filled in. Pure
// but for the output.
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "cli/output.h"

extern const char *const completion_shells[]; // ends with NULL

// False when there is none for that shell.
bool completion_print(struct output *o, const char *shell);

#endif
