// SPDX-License-Identifier: MIT
// phone_words.c: the words, of the languages that chatbots speak most.
#include "redact/phone_words.h"

#include "redact/words.h"

static const char *const words_phone[] = {
    "phone*",    "telephone*", "tel",       "tels",        "mobile*",    "cell",      "cellphone*",
    "cellular",  "fax*",       "call",      "calls",       "called",     "calling",   "dial*",
    "ring",      "whatsapp",   "sms",       "text me",     "voicemail",  "hotline*",  "landline",
    "helpline",  "switchboard", "extension", "telefon*",   "tfn",        "telefón*",
    "telefoon*", "tél*", "mobil*",   "móvil", "movil",     "celular",   "handy*",
    "rufnummer", "ruf",        "anrufen",   "portable",    "gsm",        "cellulare", "telem*",
    "ligue",     "llame",      "llamar",    "appelez",     "appeler",    "puh",       "puhelin*",
    "komórka",   "numer telefonu",
    "тел*",
    "Тел*",
    "טלפון",
    "电话",
    "手机",
    "電話",
    "携帯",
    "전화",
    NULL,
};

static const char *const words_vague[] = {
    "number*", "contact*", "reach*", "line", "text*", "nummer", "numéro", "número",
    "numero",  "message",  "home",   "work", "office", "desk",  "ph",            NULL,
};

static const char *const words_other[] = {
    "order*",   "invoice*",  "ticket*", "ref",      "reference*", "id",        "ids",
    "tracking", "policy",    "serial*", "sku",      "isbn*",      "version*",  "code*",
    "pin",      "zip*",      "iban",    "case",     "claim*",     "booking*",  "confirmation*",
    "transaction*", "txn",   "receipt*", "part",    "model",      "item*",     "batch",
    "customer", "ssn",       "social security*",    "npi",        "sin",       "passport*",
    "license",  "licence",   "vat",     "tax*",     "price*",     "total",     "amount*",
    "balance",  "timestamp*", "epoch",  "unix",     "imei",       "port",      "pid",
    "build",    "commit",    "hash",    "error*",   "nhs",        "aadhaar",   "bsn",
    "cpf",      "medicare",  "bestell*", "rechnung*", "auftrag*", "kunden*",   "commande",
    "facture",  "pedido",    "factura", "row*",     "line item",  "lines",     "bytes",
    "user id",  "session",   "request*", "record",  "barcode",    "ean",       "upc",
    "article",  "doi",       "issn",    "pmid",     "member",     "membership", "card*",
    "kontonummer", "account*", "routing*", "shipment", "parcel",  "flight",    "room",
    NULL,
};

// A word that says something else, so near in front of a number, is about the number.
enum { OTHER_BYTES = 28 };

enum phone_saying phone_words(const struct view *v, size_t at)
{
    struct slice text = slice_of(v->ptr, v->len);
    size_t phone = words_before(text, at, words_phone);
    size_t other = words_before(text, at, words_other);

    if (other && other <= OTHER_BYTES && (!phone || other < phone))
        return SAYS_OTHER;
    if (phone)
        return SAYS_PHONE;
    return words_before(text, at, words_vague) ? SAYS_VAGUELY : SAYS_NOTHING;
}
