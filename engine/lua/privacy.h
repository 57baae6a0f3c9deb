// SPDX-License-Identifier: MIT
// privacy.h: `privacy` of a policy: what is masked, what of it is kept, and who reads what.
#ifndef LUA_PRIVACY_H
#define LUA_PRIVACY_H

#include "lua/sandbox.h"
#include "lua/shape.h"
#include "policy/policy.h"

// Reads member `privacy` of the policy's table at idx (absolute). *redactor becomes what finds the
// policy's kinds, its owner's even if this raises; NULL: the default rules. region: of telephone
// numbers, if the policy names none; NULL: nowhere. Raises "file:line: privacy.…: what is wrong".
LJMP void privacy_read(lua_State *L, int idx, const struct shape_source *source, const char *region,
                       struct privacy *out, struct redactor **redactor);

#endif
