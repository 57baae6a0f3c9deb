// SPDX-License-Identifier: MIT
// phone_words.c: the words, of the languages that chatbots speak most.
#include "redact/phone_words.h"

#include "redact/words.h"

enum { PHONE = SAYS_PHONE, VAGUE = SAYS_VAGUELY, OTHER = SAYS_OTHER };

// In the order of their bytes.
static const struct {
    const char *word;  // words.h
    unsigned char says;
} words[] = {
    {"aadhaar", OTHER}, {"account*", OTHER}, {"amount*", OTHER}, {"anrufen", PHONE},
    {"appeler", PHONE}, {"appelez", PHONE}, {"article", OTHER}, {"auftrag*", OTHER},
    {"balance", OTHER}, {"barcode", OTHER}, {"batch", OTHER}, {"bestell*", OTHER},
    {"booking*", OTHER}, {"bsn", OTHER}, {"build", OTHER}, {"bytes", OTHER}, {"call", PHONE},
    {"called", PHONE}, {"calling", PHONE}, {"calls", PHONE}, {"card*", OTHER}, {"case", OTHER},
    {"cell", PHONE}, {"cellphone*", PHONE}, {"cellular", PHONE}, {"cellulare", PHONE},
    {"celular", PHONE}, {"claim*", OTHER}, {"code*", OTHER}, {"commande", OTHER},
    {"commit", OTHER}, {"confirmation*", OTHER}, {"contact*", VAGUE}, {"cpf", OTHER},
    {"customer", OTHER}, {"desk", VAGUE}, {"dial*", PHONE}, {"doi", OTHER}, {"ean", OTHER},
    {"epoch", OTHER}, {"error*", OTHER}, {"extension", PHONE}, {"factura", OTHER},
    {"facture", OTHER}, {"fax*", PHONE}, {"flight", OTHER}, {"gsm", PHONE}, {"handy*", PHONE},
    {"hash", OTHER}, {"helpline", PHONE}, {"home", VAGUE}, {"hotline*", PHONE}, {"iban", OTHER},
    {"id", OTHER}, {"ids", OTHER}, {"imei", OTHER}, {"invoice*", OTHER}, {"isbn*", OTHER},
    {"issn", OTHER}, {"item*", OTHER}, {"komórka", PHONE}, {"kontonummer", OTHER},
    {"kunden*", OTHER}, {"landline", PHONE}, {"licence", OTHER}, {"license", OTHER},
    {"ligue", PHONE}, {"line", VAGUE}, {"line item", OTHER}, {"lines", OTHER}, {"llamar", PHONE},
    {"llame", PHONE}, {"medicare", OTHER}, {"member", OTHER}, {"membership", OTHER},
    {"message", VAGUE}, {"mobil*", PHONE}, {"mobile*", PHONE}, {"model", OTHER}, {"movil", PHONE},
    {"móvil", PHONE}, {"nhs", OTHER}, {"npi", OTHER}, {"number*", VAGUE},
    {"numer telefonu", PHONE}, {"numero", VAGUE}, {"nummer", VAGUE}, {"numéro", VAGUE},
    {"número", VAGUE}, {"office", VAGUE}, {"order*", OTHER}, {"parcel", OTHER}, {"part", OTHER},
    {"passport*", OTHER}, {"pedido", OTHER}, {"ph", VAGUE}, {"phone*", PHONE}, {"pid", OTHER},
    {"pin", OTHER}, {"pmid", OTHER}, {"policy", OTHER}, {"port", OTHER}, {"portable", PHONE},
    {"price*", OTHER}, {"puh", PHONE}, {"puhelin*", PHONE}, {"reach*", VAGUE}, {"receipt*", OTHER},
    {"rechnung*", OTHER}, {"record", OTHER}, {"ref", OTHER}, {"reference*", OTHER},
    {"request*", OTHER}, {"ring", PHONE}, {"room", OTHER}, {"routing*", OTHER}, {"row*", OTHER},
    {"ruf", PHONE}, {"rufnummer", PHONE}, {"serial*", OTHER}, {"session", OTHER},
    {"shipment", OTHER}, {"sin", OTHER}, {"sku", OTHER}, {"sms", PHONE},
    {"social security*", OTHER}, {"ssn", OTHER}, {"switchboard", PHONE}, {"tax*", OTHER},
    {"tel", PHONE}, {"telefon*", PHONE}, {"telefoon*", PHONE}, {"telefón*", PHONE},
    {"telem*", PHONE}, {"telephone*", PHONE}, {"tels", PHONE}, {"text me", PHONE},
    {"text*", VAGUE}, {"ticket*", OTHER}, {"timestamp*", OTHER}, {"total", OTHER},
    {"tracking", OTHER}, {"transaction*", OTHER}, {"txn", OTHER}, {"tél*", PHONE}, {"unix", OTHER},
    {"upc", OTHER}, {"user id", OTHER}, {"vat", OTHER}, {"version*", OTHER}, {"voicemail", PHONE},
    {"whatsapp", PHONE}, {"work", VAGUE}, {"zip*", OTHER}, {"Тел*", PHONE}, {"тел*", PHONE},
    {"טלפון", PHONE}, {"手机", PHONE}, {"携帯", PHONE}, {"电话", PHONE}, {"電話", PHONE}, {"전화", PHONE},
};
enum { WORDS = sizeof(words) / sizeof(*words) };

// A word that says something else, so near in front of a number, is about the number.
enum { OTHER_BYTES = 28 };

// A word's first two bytes; each has two, none of them a blank or '*'.
static unsigned head_of(const char *word)
{
    return (unsigned)(unsigned char)word[0] << 8 | (unsigned char)word[1];
}

static size_t first_with(unsigned head)
{
    size_t low = 0, high = WORDS;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (head_of(words[mid].word) < head)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

// What the word that begins at i says.
static enum phone_saying word_says(struct slice text, size_t i, size_t at)
{
    enum phone_saying most = SAYS_NOTHING;

    if (i + 1 >= at)
        return SAYS_NOTHING;
    char start[2] = {(char)to_lower((unsigned char)text.ptr[i]),
                     (char)to_lower((unsigned char)text.ptr[i + 1])};
    unsigned head = head_of(start);
    for (size_t w = first_with(head); w < WORDS && head_of(words[w].word) == head; w++)
        if (words[w].says > most && words_stands(text, i, at, words[w].word))
            most = (enum phone_saying)words[w].says;
    return most;
}

enum phone_saying phone_words(const struct view *v, size_t at)
{
    struct slice text = slice_of(v->ptr, v->len);
    size_t from = words_from(text, at);
    enum phone_saying most = SAYS_NOTHING;

    for (size_t i = at; words_previous(text, &i, from);) {
        enum phone_saying says = word_says(text, i, at);

        if (says == SAYS_PHONE || (says == SAYS_OTHER && at - i <= OTHER_BYTES))
            return says;
        if (says == SAYS_VAGUELY)
            most = SAYS_VAGUELY;
    }
    return most;
}
