// SPDX-License-Identifier: MIT
// house.h: what is learned for all users, as records of the house: how a provider's counts of
// tokens relate to our estimates (tokens/calibration.h), one record per provider and model.
//
// Such a record has no body and is nobody's, so no user's key seals it. Its meta ends with a keyed
// digest of place and meta instead, so that no changed number is believed:
//   {"seen":…,"from":…,"bins":[…],"sum":"…"}
// Pure; any thread.
#ifndef LEDGER_HOUSE_H
#define LEDGER_HOUSE_H

#include "model/record.h"
#include "tokens/calibration.h"
#include "vault/vault.h"

// The meta of the record with that key; appended to out, which is empty.
void house_write_calibration(const struct vault *v, struct slice key, const struct calibration *c,
                             struct buf *out);
// E_CORRUPT: it is not what was written there; *c is then the prior. E_NOMEM.
int house_read_calibration(const struct vault *v, const struct record *r, struct calibration *c,
                           struct err *err);
// Whether a record of a partition of the house ("~…") is one of those that there are, and is what
// was written there, as far as that can be told by itself. E_CORRUPT says why not; E_NOMEM.
int house_check(const struct vault *v, const struct record *r, struct err *err);

#endif
