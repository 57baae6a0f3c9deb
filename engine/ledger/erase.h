// SPDX-License-Identifier: MIT
// erase.h: erasures are completed in the store. A user is erased by the tombstone in the keyring
// (vault_forget), which comes first and destroys the keys; what is left to do is done here, whoever
// wrote the tombstone, whenever, and however often it was broken off.
//
// The keyring's erasures are numbered, and the store says how many of them it has completed
// (ledger/receipt.h). What is missing is done one after the other:
//
//   mark read ─▶ counted, noted ─▶ STORE_ERASE ─▶ noted, mark moved on ─▶ vault told ─▶ the next
//       ▲              │            └ a reader is in the way: again, a second at most, then E_BUSY
//       └──────────────┴── another process was here too
//
// Each step is harmless when it is repeated. So a process may be killed anywhere, several may do
// this at once, and a store that was put back from a backup, whose mark is older, is rid again of
// whom it brought back. One thread, as the ledger.
#ifndef LEDGER_ERASE_H
#define LEDGER_ERASE_H

#include "ledger/ledger.h"
#include "ledger/receipt.h"

// Completes all erasures that this store lacks; op->turns counts them. E_BUSY: all of them are
// closed and unreadable, but copies are left in the store's files until who reads them is through.
void ledger_erase(struct ledger *l, struct ledger_op *op);
// What is known of one: *out is the caller's until done. E_NOT_FOUND: nothing is.
void ledger_find_erasure(struct ledger *l, const char *partition, struct erasure_record *out,
                         struct ledger_op *op);

#endif
